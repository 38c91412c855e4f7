//! What must succeed: hosts with every kind of key that a software TPM comes with.

use flota_tests::client::{FleetSession, enrol, open_tpm};
use flota_tpm::{AttestationKind, EndorsementKind, KeyChoice};

use super::ground;

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
