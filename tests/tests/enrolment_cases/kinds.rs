//! What must succeed: hosts with every kind of key that a software TPM comes with.

use std::process::Command;

use flota_net::tls;
use flota_swtpm::Swtpm;
use flota_tests::client::{FleetSession, begin_request, enrol, open_tpm, sign_begin};
use flota_tests::{Bins, Ground};
use flota_tpm::{AttestationKind, EndorsementKind, KeyChoice};

use super::{NEVER, assert_answer, ground};

#[tokio::test(flavor = "multi_thread")]
async fn hosts_with_other_keys_than_the_usual_enrol_and_attest() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let mut ids = std::collections::HashSet::new();
    for (name, endorsement, attestation) in [
        ("p384", EndorsementKind::P384, AttestationKind::P256),
        ("rsa-ak", EndorsementKind::Rsa2048, AttestationKind::Rsa2048),
    ] {
        let choice = KeyChoice { endorsement: Some(endorsement), attestation: Some(attestation) };
        let tpm = open_tpm(&ground.tpms[0], &dir.path().join(name), choice).unwrap();
        let member = enrol(&ground.controller, &tpm, &ground.token(name).unwrap()).await.unwrap();
        let mut session = FleetSession::connect(&ground.controller, &member, &tpm).await.unwrap();
        let verdict = session.attest(&tpm).await.unwrap();
        assert_eq!((verdict.verdict.as_str(), &verdict.reasons), ("pass", &Vec::new()));
        assert_eq!(ground.trust(name).unwrap(), "trusted");
        ids.insert(member.host_id);
    }
    assert_eq!(ids.len(), 2, "another endorsement key is another host");
}

/// Operators have a vendor's root; the TPM has the intermediate.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_completes_its_certificates_path_with_the_chain_in_its_tpm() {
    let dir = tempfile::tempdir().unwrap();
    let bins = Bins::beside_this_program().unwrap();
    let ground = Ground::trusting_roots_alone(&bins, dir.path(), NEVER).unwrap();
    let bundle = tls::certificates(ground.tpms[0].ca_pem().unwrap().as_bytes()).unwrap();
    let [_, intermediate] = &bundle[..] else { panic!("root and intermediate") };
    let refused = enrol(&ground.controller, &ground.open(0).unwrap(), &ground.token("a").unwrap()).await.unwrap_err();
    let status = refused.downcast_ref::<tonic::Status>().cloned().unwrap();
    assert_answer(Err::<(), _>(status), "FLT-0402", "ek_chain");

    leave_in_tpm(&ground.tpms[0], dir.path(), intermediate);
    let tpm = ground.open(0).unwrap();
    assert_eq!(tpm.identity().ek_chain, [intermediate.to_vec()]);
    let token = ground.token("b").unwrap();
    let mut request = begin_request(&tpm, &token).unwrap();
    request.ek_chain = vec![vec![0x30; 9000]];
    sign_begin(&mut request, &token);
    let mut connection = flota_tests::client::EnrolmentConnection::dial(&ground.controller).await.unwrap();
    assert_answer(connection.begin(request).await, "FLT-0402", "ek_chain_size");
    enrol(&ground.controller, &tpm, &token).await.unwrap();
}

/// Where vendors leave their intermediates.
fn leave_in_tpm(swtpm: &Swtpm, dir: &std::path::Path, certificate: &[u8]) {
    let file = dir.join("intermediate.der");
    std::fs::write(&file, certificate).unwrap();
    let (size, file) = (certificate.len().to_string(), file.display().to_string());
    for arguments in [
        vec!["nvdefine", "0x01C00100", "-C", "o", "-s", &size, "-a", "ownerwrite|ownerread|authread|no_da"],
        vec!["nvwrite", "0x01C00100", "-C", "o", "-i", &file],
    ] {
        let output = Command::new("tpm2").args(&arguments).env("TPM2TOOLS_TCTI", swtpm.tcti()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
