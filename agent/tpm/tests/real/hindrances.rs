//! What stands between an agent and its TPM on real hosts, and what the operator is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flota_tpm::{Tpm, TpmConfig, TpmError};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::ioctl_tiocexcl;
use rustix::thread::set_thread_res_uid;
use tss_esapi::abstraction::ek::create_ek_object_2;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, DefaultKey};
use tss_esapi::attributes::NvIndexAttributesBuilder;
use tss_esapi::handles::NvIndexTpmHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{NvAuth, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Auth, NvPublicBuilder};

use crate::bench::{Host, chain};
use crate::raw::{self, SHA1, SHA256};
use crate::vendor::evict;

/// `nobody` of every Linux.
const NOBODY: u32 = 65_534;

fn open(device: &Path) -> TpmError {
    let tcti = format!("device:{}", device.display()).parse().unwrap();
    let state_dir = device.with_file_name("state");
    Tpm::open(TpmConfig { tcti, state_dir }).unwrap_err()
}

/// As a service runs: without root's right to open everything. The identity of a thread is inherited by those it starts.
fn as_a_service<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let service = scope.spawn(|| {
            if rustix::process::getuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(NOBODY);
                set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            work()
        });
        service.join().unwrap()
    })
}

#[test]
fn a_device_that_may_not_be_opened_is_told_with_the_group_to_join() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let device = dir.path().join("tpmrm0");
    fs::write(&device, []).unwrap();
    fs::set_permissions(&device, Permissions::from_mode(0o000)).unwrap();

    let error = as_a_service(|| open(&device));
    assert!(matches!(&error, TpmError::Permission { device: named, .. } if *named == device), "{}", chain(&error));
    assert!(error.to_string().contains("add the service's user to group tss"), "{error}");
    assert!(chain(&error).contains("Permission denied"), "{}", chain(&error));
}

/// A terminal in exclusive mode answers like /dev/tpm0 while another program has it open.
#[test]
fn a_device_that_serves_another_is_told_with_the_one_to_use_instead() {
    let controlling = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controlling).unwrap();
    unlockpt(&controlling).unwrap();
    let device = ptsname(&controlling, Vec::new()).unwrap().into_string().unwrap();
    let holder = fs::OpenOptions::new().read(true).write(true).open(&device).unwrap();
    ioctl_tiocexcl(&holder).unwrap();
    fs::set_permissions(&device, Permissions::from_mode(0o666)).unwrap();

    let error = as_a_service(|| open(Path::new(&device)));
    assert!(matches!(error, TpmError::DeviceBusy { .. }), "{}", chain(&error));
    assert!(error.to_string().contains("use /dev/tpmrm0"), "{error}");
    assert!(chain(&error).contains("busy"), "{}", chain(&error));
    drop(holder);
}

#[test]
fn a_tpm_without_a_sha256_bank_is_told_so() {
    let mut host = Host::new();
    raw::allocate(&host.swtpm, &[(SHA1, &[0xFF; 3]), (SHA256, &[0, 0, 0])]);
    host.swtpm.restart().unwrap();
    let tpm = host.open().unwrap();
    let error = tpm.quote([0; 32], &[0]).unwrap_err();
    assert!(matches!(error, TpmError::NoSha256Bank), "{}", chain(&error));
    assert!(error.to_string().contains("allocate it in the firmware's settings"), "{error}");
    tpm.tls_key().sign(b"and nothing else is lost").unwrap();
}

/// The keys are exempt from the lockout, and so is the use of the endorsement key: it takes the hierarchy's password.
#[test]
fn a_tpm_that_others_have_locked_still_serves_the_agent() {
    let host = Host::new();
    lock(&host);
    let tpm = host.open().unwrap();
    tpm.quote([0; 32], &[0]).unwrap();
    tpm.certify_tls_key([0; 32]).unwrap();
    tpm.tls_key().sign(b"message").unwrap();
    crate::attestation::assert_activates(&host, &tpm);
}

/// Gives wrong passwords for something that is not exempt until the TPM answers with TPM_RC_LOCKOUT.
fn lock(host: &Host) {
    let index = NvIndexTpmHandle::new(0x0180_0001).unwrap();
    let attributes = NvIndexAttributesBuilder::new().with_auth_read(true).with_auth_write(true).build().unwrap();
    let public = NvPublicBuilder::new()
        .with_nv_index(index)
        .with_index_name_algorithm(HashingAlgorithm::Sha256)
        .with_index_attributes(attributes)
        .with_data_area_size(8)
        .build()
        .unwrap();
    let mut context = host.context();
    context.execute_with_session(Some(AuthSession::Password), |context| {
        let right = Auth::try_from(b"right".as_slice()).unwrap();
        let handle = context.nv_define_space(Provision::Owner, Some(right), public).unwrap();
        context.tr_set_auth(handle.into(), Auth::try_from(b"wrong".as_slice()).unwrap()).unwrap();
        let locked = (0..64).any(|_| {
            let refused = context.nv_read(NvAuth::NvIndex(handle), handle, 8, 0).unwrap_err();
            refused.to_string().contains("0x00000921") || format!("{refused:?}").contains("2337")
        });
        assert!(locked, "the TPM never locked itself");
    });
}

#[test]
fn a_tpm_that_another_program_keeps_full_is_told_with_the_device_to_use_instead() {
    let host = Host::new();
    evict(&host, 0x8101_0001);
    let tpm = host.open().unwrap();
    let mut rival = host.context();
    let rsa = AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048);
    let taken = create_ek_object_2(&mut rival, rsa, DefaultKey).unwrap();

    let error = tpm.activate_credential(&[0; 68], &[0; 256]).unwrap_err();
    assert!(matches!(error, TpmError::NoRoom { .. }), "{}", chain(&error));
    assert!(error.to_string().contains("/dev/tpmrm0"), "{error}");
    assert!(chain(&error).contains("0x902"), "{}", chain(&error));

    rival.flush_context(taken.into()).unwrap();
    crate::attestation::assert_activates(&host, &tpm);
    assert_eq!(host.loaded(), (0, 2));
}
