//! Structures that a TPM, or whoever pretends to be one, sends to the controller; and the policies over them.

use flota_attest::attest::{Attest, Attested};
use flota_attest::ek_chain::{TrustRoots, verify_ek_certificate};
use flota_attest::event_log::{DataStanding, EventLog, MAX_EVENTS, MAX_FINDINGS, describe, first_difference};
use flota_attest::policy::{Policy, diff};
use flota_attest::public::{MAX_PUBLIC_BYTES, Public};
use flota_attest::selection::Selection;
use flota_attest::signature::verify;

use crate::{Reach, fixed};

macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/quote/", $name))
    };
}

/// Keys and messages that a TPM made, and its signatures over them: RSASSA, ECDSA.
const QUOTES: [[&[u8]; 3]; 2] = [
    [golden!("ak.pub"), golden!("q.msg"), golden!("q.sig")],
    [golden!("ake.pub"), golden!("qe.msg"), golden!("qe.sig")],
];

/// The authority that certified the endorsement keys of the corpus.
const ROOTS: [&str; 2] = [
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../controller/attest/tests/data/swtpm/root.pem")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../controller/attest/tests/data/swtpm/intermediate.pem")),
];

/// A public area is kept byte for byte: its name is a hash over it.
pub(crate) fn public(input: &[u8]) -> Reach {
    let Ok(public) = Public::parse_2b(input) else { return Reach::Refused };
    assert_eq!(public.to_2b(), input);
    assert!(input.len() <= MAX_PUBLIC_BYTES + 2);
    assert!(!public.spki_der().is_empty() && public.name().as_bytes().len() > 2);
    let again = Public::parse_2b(&public.to_2b()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.name().as_bytes(), public.name().as_bytes());
    Reach::Accepted
}

/// What an attestation says points into its own bytes.
pub(crate) fn attest(input: &[u8]) -> Reach {
    let Ok(attest) = Attest::parse(input) else { return Reach::Refused };
    assert!(attest.qualified_signer.len() + attest.extra_data.len() < input.len());
    if let Attested::Quote { selections, .. } = &attest.body {
        assert!(selections.len() < input.len());
    }
    Reach::Accepted
}

/// Only the signatures that the TPM made are good; RSA has exactly one for each message.
pub(crate) fn signature(input: &[u8]) -> Reach {
    let mut reach = Reach::Refused;
    for [public, message, genuine] in QUOTES {
        let key = Public::parse_2b(public).unwrap_or_else(|error| panic!("{error}"));
        if verify(&key, message, input).is_ok() {
            assert_eq!(input.len(), genuine.len());
            reach = Reach::Accepted;
        }
        assert!(verify(&key, input, genuine).is_err() || input == message, "a second message with that signature");
    }
    reach
}

/// A certificate that the roots vouch for holds the key it names.
pub(crate) fn ek_certificate(input: &[u8]) -> Reach {
    let _ = TrustRoots::from_der([input]);
    let _ = TrustRoots::from_pem(input);
    let roots = TrustRoots::from_pem(ROOTS.concat().as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let none: &[Vec<u8>] = &[];
    let Ok(certificate) = verify_ek_certificate(input, none, &roots, fixed::NOW_UNIX.unsigned_abs()) else {
        return Reach::Refused;
    };
    let spki = certificate.spki_der;
    assert!(!spki.is_empty() && input.windows(spki.len()).any(|window| window == spki));
    Reach::Accepted
}

/// A log replays to its own values and differs from itself nowhere; data that was altered is not handed out, and no
/// description acts on a terminal.
pub(crate) fn event_log(input: &[u8]) -> Reach {
    let Ok(log) = EventLog::parse(input) else { return Reach::Refused };
    assert!(log.events().len() <= MAX_EVENTS as usize);
    let replayed = log.replay();
    for (pcr, value) in &replayed {
        assert_eq!(log.replayed(*pcr), *value);
        assert!(first_difference(&log, &log, *pcr).is_none());
    }
    assert!(log.extended_later(&replayed).is_empty());
    let findings = log.check(&replayed);
    assert!(findings.len() <= MAX_FINDINGS && findings.iter().all(|finding| finding.code() != "log_replay"));
    for event in log.events() {
        let shown = describe(event);
        assert!(shown.chars().count() < 300 && !shown.chars().any(char::is_control));
        let altered = event.standing() == DataStanding::Altered;
        assert!(!altered || (event.measured_data().is_none() && !findings.is_empty()));
    }
    let _ = log.secure_boot();
    Reach::Accepted
}

/// A policy has one canonical form, comes back from it, and fits exactly the PCRs that it names.
pub(crate) fn policy(input: &[u8]) -> Reach {
    let Ok(policy) = Policy::parse(input) else { return Reach::Refused };
    let canonical = policy.to_canonical_json();
    let again = Policy::parse(canonical.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, policy);
    assert_eq!((again.digest(), again.to_canonical_json()), (policy.digest(), canonical));
    assert!(diff(&policy, &again).is_empty());
    let named = Selection::new(policy.bank(), policy.pcrs().keys().copied()).unwrap_or_else(|error| panic!("{error}"));
    assert!(policy.check_selection(&named).is_ok());
    Reach::Accepted
}
