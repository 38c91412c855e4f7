//! Power loss, absence and exchange of the TPM.

use std::time::{Duration, Instant};

use flota_swtpm::Swtpm;
use flota_tpm::{Tpm, TpmConfig, TpmError};

use crate::bench::{Host, chain, verify};

#[test]
fn after_a_power_loss_the_next_quote_works() {
    let mut host = Host::new();
    let tpm = host.open().unwrap();

    // Not noticed by any command in between: the handles are void.
    host.swtpm.restart().unwrap();
    let quote = tpm.quote([1; 32], &[0]).unwrap();
    verify(&tpm.identity().ak_public, &quote.attest, &quote.signature);

    // Noticed: the connection is dead and must be made anew.
    host.swtpm.kill().unwrap();
    let started = Instant::now();
    let error = tpm.quote([2; 32], &[0]).unwrap_err();
    assert!(matches!(error, TpmError::Unreachable { .. }), "{}", chain(&error));
    assert!(chain(&error).contains("Connection refused"), "{}", chain(&error));
    assert!(started.elapsed() < Duration::from_secs(2), "a dead TPM is reported at once");
    assert!(matches!(tpm.certify_tls_key([0; 32]), Err(TpmError::Unreachable { .. })));

    host.swtpm.restart().unwrap();
    tpm.quote([3; 32], &[0]).unwrap();
    tpm.tls_key().sign(b"message").unwrap();
    crate::attestation::assert_activates(&host, &tpm);
    assert_eq!(host.loaded(), (0, 2));
}

#[test]
fn every_command_survives_a_power_loss_of_its_own() {
    let mut host = Host::new();
    let tpm = host.open().unwrap();
    host.swtpm.restart().unwrap();
    tpm.certify_tls_key([0; 32]).unwrap();
    host.swtpm.restart().unwrap();
    tpm.tls_key().sign(b"message").unwrap();
    host.swtpm.restart().unwrap();
    crate::attestation::assert_activates(&host, &tpm);
    host.swtpm.restart().unwrap();
    drop(tpm);
    assert_eq!(host.loaded(), (0, 0));
}

#[test]
fn a_tpm_that_was_never_there_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let open = |tcti: &str| Tpm::open(TpmConfig { tcti: tcti.parse().unwrap(), state_dir: dir.path().join("state") });

    let error = open("device:/nonexistent/tpmrm0").unwrap_err();
    assert!(matches!(error, TpmError::Unreachable { .. }), "{}", chain(&error));
    assert!(chain(&error).contains("No such file"), "{}", chain(&error));

    let mut host = Host::new();
    host.swtpm.kill().unwrap();
    let error = open(&host.swtpm.tcti()).unwrap_err();
    assert!(matches!(error, TpmError::Unreachable { .. }), "{}", chain(&error));
    assert!(!dir.path().join("state").exists(), "nothing is written for a TPM that was not found");
}

#[test]
fn another_tpm_in_the_same_place_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    drop(Swtpm::start(&other).unwrap());
    let mut swtpm = Swtpm::start(&one).unwrap();
    let config = TpmConfig { tcti: swtpm.tcti().parse().unwrap(), state_dir: dir.path().join("state") };
    let tpm = Tpm::open(config).unwrap();

    swtpm.kill().unwrap();
    std::fs::rename(one.join("state"), one.join("away")).unwrap();
    std::fs::rename(other.join("state"), one.join("state")).unwrap();
    swtpm.restart().unwrap();
    let error = tpm.quote([0; 32], &[0]).unwrap_err();
    assert!(matches!(error, TpmError::Exchanged { .. }), "{}", chain(&error));
}
