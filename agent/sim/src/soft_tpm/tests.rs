//! What can be seen without a verifier; the rest is held against the controller's in `tests/tests/sim.rs`.

use super::*;
use crate::Manufacturer;

fn tpm() -> SoftTpm {
    Manufacturer::new().unwrap().make_tpm(AkKind::P256).unwrap()
}

/// The clock of an attestation: behind magic, type, and the sized signer and extraData.
fn clock_of(signed: &Signed) -> u64 {
    let at = 4 + 2 + 2 + 34 + 2 + 32;
    u64::from_be_bytes(signed.attest[at..at + 8].try_into().unwrap())
}

#[test]
fn the_clock_grows_with_every_attestation() {
    let tpm = tpm();
    let clocks: Vec<u64> = (0..20).map(|_| clock_of(&tpm.quote([0; 32], &[0]).unwrap().signed)).collect();
    assert!(clocks.is_sorted_by(|before, after| before < after), "{clocks:?}");
    tpm.turn_clock_back(Duration::from_hours(1));
    assert!(clock_of(&tpm.quote([0; 32], &[0]).unwrap().signed) < clocks[0]);
}

#[test]
fn a_power_cut_is_a_reboot_with_a_clock_that_cannot_be_trusted() {
    let tpm = tpm();
    tpm.extend(7, [1; 32]).unwrap();
    let before = tpm.clock_info();
    tpm.lose_power(Duration::from_secs(1));
    let after = tpm.clock_info();
    assert_eq!((after.reset_count, after.restart_count, after.safe), (before.reset_count + 1, 0, false));
    assert!(after.clock < before.clock);
    assert_eq!(tpm.quote([0; 32], &[7]).unwrap().pcr_values, [(7, [0; 32])]);
}

#[test]
fn pcrs_are_quoted_once_and_in_order() {
    let tpm = tpm();
    tpm.extend(3, [1; 32]).unwrap();
    let indices: Vec<u8> =
        tpm.quote([0; 32], &[7, 3, 7, 0]).unwrap().pcr_values.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [0, 3, 7]);
    assert_eq!(tpm.quote([0; 32], &[24]).unwrap_err(), SoftTpmError::NoSuchPcr(24));
    assert_eq!(tpm.extend(24, [0; 32]), Err(SoftTpmError::NoSuchPcr(24)));
}

#[test]
fn nothing_secret_is_printed() {
    let tpm = tpm();
    let printed = format!("{tpm:?} {:?}", tpm.keys());
    assert!(printed.contains("PrivateKey(..)") && printed.len() < 4000, "{printed}");
}

#[test]
fn a_broken_credential_is_refused() {
    let tpm = tpm();
    for (blob, secret) in [(&[][..], &[][..]), (&[0; 68], &[0; 256]), (&[0xff; 68], &[1; 255])] {
        assert_eq!(tpm.activate_credential(blob, secret).unwrap_err(), SoftTpmError::Integrity);
    }
}
