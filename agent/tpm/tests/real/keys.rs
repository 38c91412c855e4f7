//! Making, keeping and refusing keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use flota_tpm::TpmError;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, DefaultKey, ek};
use tss_esapi::constants::SessionType;
use tss_esapi::handles::AuthHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Auth, SymmetricDefinition};

use crate::bench::{Host, chain};
use crate::vendor::evict;

#[test]
fn the_keys_are_made_once_and_found_again() {
    let host = Host::new();
    let first = host.open().unwrap().identity().clone();
    let again = host.open().unwrap().identity().clone();
    assert_eq!(first, again);

    // Attributes after size, type and name algorithm: the controller insists on these.
    let attributes = |public: &[u8]| u32::from_be_bytes(public[6..10].try_into().unwrap());
    assert_eq!(attributes(&first.ak_public), 0x0005_0472);
    assert_eq!(attributes(&first.tls_public), 0x0004_0472);
    assert_eq!(attributes(&first.ek_public), 0x0003_00B2);
    let modulus = first.ek_public.last_chunk::<256>().unwrap();
    assert!(first.ek_certificate.windows(256).any(|window| window == modulus));
    assert_eq!(first.manufacturer, "IBM");
    assert_ne!(first.firmware_version, 0);

    let file = host.dir.path().join("state/tpm-keys.json");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(host.loaded(), (0, 0), "closing the TPM frees its slots");
}

#[test]
fn keys_of_another_tpm_are_told_from_damaged_ones() {
    let (host, other) = (Host::new(), Host::new());
    drop(host.open().unwrap());
    let theirs = other.config().state_dir;
    fs::create_dir(&theirs).unwrap();
    fs::copy(host.config().state_dir.join("tpm-keys.json"), theirs.join("tpm-keys.json")).unwrap();

    let error = other.open().unwrap_err();
    assert!(matches!(error, TpmError::OtherTpm { .. }), "{}", chain(&error));
    assert!(error.to_string().contains("enrol the host again"), "{error}");
    assert_eq!(other.loaded(), (0, 0));
}

#[test]
fn an_altered_key_is_refused_and_stays_in_place() {
    let host = Host::new();
    drop(host.open().unwrap());
    let file = host.config().state_dir.join("tpm-keys.json");
    let original = fs::read_to_string(&file).unwrap();

    for (key, part) in [("ak", "private"), ("ak", "public"), ("tls", "private"), ("tls", "public")] {
        let start = original.find(&format!("\"{key}\"")).unwrap();
        let start = start + original[start..].find(&format!("\"{part}\": \"")).unwrap() + part.len() + 5;
        // Near the end of the Base64 text: inside the key, not in a size or an algorithm number.
        let position = start + original[start..].find('"').unwrap() - 8;
        let mut altered = original.clone();
        let replacement = if &original[position..=position] == "A" { "B" } else { "A" };
        altered.replace_range(position..=position, replacement);
        fs::write(&file, &altered).unwrap();

        let error = host.open().unwrap_err();
        assert!(matches!(error, TpmError::KeysRefused { .. }), "{key} {part}: {}", chain(&error));
        assert_eq!(fs::read_to_string(&file).unwrap(), altered, "nothing is replaced silently");
        assert_eq!(host.loaded(), (0, 0), "{key} {part}");
    }

    fs::write(&file, original).unwrap();
    host.open().unwrap();
}

#[test]
fn two_tpms_do_not_mix() {
    let (host, other) = (Host::new(), Host::new());
    let (tpm, another) = (host.open().unwrap(), other.open().unwrap());
    assert_ne!(tpm.identity().ek_public, another.identity().ek_public);
    assert_ne!(tpm.identity().ak_public, another.identity().ak_public);
    host.swtpm.extend_pcr(16, [1; 32]).unwrap();
    assert_ne!(tpm.quote([0; 32], &[16]).unwrap().pcr_values, another.quote([0; 32], &[16]).unwrap().pcr_values);
}

#[test]
fn what_a_killed_agent_left_loaded_is_cleared_away() {
    let host = Host::new();
    let mut context = host.context();
    let rsa = AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048);
    for _ in 0..2 {
        ek::create_ek_object_2(&mut context, rsa, DefaultKey).unwrap();
    }
    for kind in [SessionType::Hmac, SessionType::Policy, SessionType::Policy] {
        context
            .start_auth_session(None, None, None, kind, SymmetricDefinition::AES_128_CFB, HashingAlgorithm::Sha256)
            .unwrap();
    }
    // As a SIGKILL would: nothing is flushed.
    std::mem::forget(context);
    assert_eq!(host.loaded(), (3, 2));

    let tpm = host.open().unwrap();
    tpm.quote([0; 32], &[0]).unwrap();
    assert_eq!(host.loaded(), (0, 2), "the attestation and the TLS key, nothing else");
}

#[test]
fn an_endorsement_key_that_the_tpm_does_not_keep_is_made_from_its_template() {
    let host = Host::new();
    let kept = host.open().unwrap().identity().clone();
    evict(&host, 0x8101_0001);

    let tpm = host.open().unwrap();
    assert_eq!(tpm.identity(), &kept);
    tpm.quote([0; 32], &[0]).unwrap();
    assert_eq!(host.loaded(), (0, 2), "the made endorsement key does not stay loaded");
    crate::attestation::assert_activates(&host, &tpm);
    assert_eq!(host.loaded(), (0, 2));
}

#[test]
fn a_password_on_the_endorsement_hierarchy_is_named() {
    let host = Host::new();
    drop(host.open().unwrap());
    host.context()
        .execute_with_session(Some(AuthSession::Password), |context| {
            context.hierarchy_change_auth(AuthHandle::Endorsement, Auth::try_from(b"secret".as_slice()).unwrap())
        })
        .unwrap();

    let error = host.open().unwrap_err();
    assert!(matches!(error, TpmError::EndorsementPassword { .. }), "{}", chain(&error));
    assert_eq!(host.loaded(), (0, 0));
}
