//! The software TPM against the real swtpm.

use std::path::Path;

use flota_swtpm::{Swtpm, SwtpmError, stop};
use sha2::{Digest, Sha256};

fn extended(value: [u8; 32], digest: [u8; 32]) -> [u8; 32] {
    Sha256::digest([value, digest].concat()).into()
}

#[test]
fn power_loss_keeps_the_state_and_clears_the_pcrs() {
    let dir = tempfile::tempdir().unwrap();
    let mut tpm = Swtpm::start(dir.path()).unwrap();
    let tcti = tpm.tcti();
    let first_pid = tpm.pid();

    tpm.extend_pcr(16, [7; 32]).unwrap();
    assert_eq!(tpm.read_pcr(16).unwrap(), extended([0; 32], [7; 32]));
    assert_eq!(tpm.read_pcr(0).unwrap(), [0; 32]);

    tpm.kill().unwrap();
    assert_eq!(tpm.pid(), None);
    assert!(matches!(tpm.read_pcr(16), Err(SwtpmError::Exchange { .. })));

    tpm.restart().unwrap();
    assert_eq!(tpm.tcti(), tcti);
    assert_ne!(tpm.pid(), first_pid);
    assert_eq!(tpm.read_pcr(16).unwrap(), [0; 32]);
}

#[test]
fn a_refused_command_names_the_response_code() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = Swtpm::start(dir.path()).unwrap();
    assert!(matches!(tpm.extend_pcr(99, [0; 32]), Err(SwtpmError::Refused { .. })));
    assert!(matches!(tpm.read_pcr(99), Err(SwtpmError::Reply { .. })));
}

#[test]
fn tpms_started_together_share_a_ca_and_nothing_else() {
    const TPMS: usize = 4;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("vendor");
    let tpms: Vec<Swtpm> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..TPMS)
            .map(|host| {
                let (dir, ca) = (dir.path().join(format!("host {host}")), ca.clone());
                scope.spawn(move || Swtpm::start_with_ca(&dir, &ca).unwrap())
            })
            .collect();
        starting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    for (host, tpm) in tpms.iter().enumerate() {
        tpm.extend_pcr(23, [u8::try_from(host).unwrap(); 32]).unwrap();
        assert_eq!(tpm.ca_pem().unwrap(), tpms[0].ca_pem().unwrap());
    }
    for (host, tpm) in tpms.iter().enumerate() {
        assert_eq!(tpm.read_pcr(23).unwrap(), extended([0; 32], [u8::try_from(host).unwrap(); 32]));
    }
    // One for the issuing CA and two for the EKs of every TPM; had two certificates shared a number, it would be lower.
    let serial = std::fs::read_to_string(ca.join("certserial")).unwrap();
    assert_eq!(serial.trim().parse::<usize>().unwrap(), 1 + 2 * TPMS);
    assert_eq!(tpms[0].ca_pem().unwrap().matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn a_detached_tpm_is_refused_a_second_server_and_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = Swtpm::start(dir.path()).unwrap();
    let pid = tpm.pid().unwrap();
    tpm.detach();

    assert!(matches!(Swtpm::start(dir.path()), Err(SwtpmError::AlreadyRunning { pid: other, .. }) if other == pid));
    assert!(stop(dir.path()).unwrap());
    assert!(!stop(dir.path()).unwrap());
    Swtpm::start(dir.path()).unwrap();
}

#[test]
fn a_dropped_tpm_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let pid = Swtpm::start(dir.path()).unwrap().pid().unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_folder_that_swtpm_would_misread_is_refused() {
    assert!(matches!(Swtpm::start(Path::new("/nowhere/a,b")), Err(SwtpmError::Path { .. })));
}
