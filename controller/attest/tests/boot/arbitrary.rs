//! No input may make the parsers panic, and what they accept keeps their promises.

use std::collections::BTreeMap;

use flota_attest::event_log::{EventLog, describe, first_difference};
use flota_attest::policy::{Observation, Policy, ProposedRules, diff};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::built::{debian, facts};

/// Edits that reach behind the door: bytes overwritten, removed, repeated, cut off and put in.
fn mutated(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<Index>(), any::<u8>(), 0..6_u8), 1..6);
    edits.prop_map(move |edits| {
        let mut bytes = good.clone();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len() + 1);
            match edit {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => {
                    let piece = bytes[at..bytes.len().min(at + usize::from(byte))].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
        bytes
    })
}

fn document() -> Vec<u8> {
    let (log, pcrs) = (debian().parse(), debian().facts().pcrs);
    let observation = Observation { host: "web-1", pcrs: &pcrs, log: Some(&log) };
    let proposal = Policy::propose("debian-12", "", &[observation], ProposedRules::EventsWhereLogsReplay).unwrap();
    proposal.policy.to_canonical_json().into_bytes()
}

/// Everything that is ever asked of a log.
fn use_it(log: &EventLog) {
    let replayed = log.replay();
    let reference = debian().parse();
    for pcr in 0..24 {
        assert!(replayed.get(&pcr).is_none_or(|value| *value == log.replayed(pcr)));
        if let Some(difference) = first_difference(&reference, log, pcr) {
            assert!(difference.to_string().chars().count() < 700);
        }
    }
    for event in log.events() {
        let shown = describe(event);
        assert!(shown.chars().count() < 300 && !shown.chars().any(char::is_control), "{shown}");
    }
    for finding in log.check(&replayed) {
        assert!(finding.code() != "log_replay" && !finding.to_string().is_empty());
    }
    let _ = (log.secure_boot(), log.extended_later(&replayed));
}

proptest! {
    #[test]
    fn logs(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..600), mutated(debian().bytes())]) {
        if let Ok(log) = EventLog::parse(&bytes) {
            use_it(&log);
        }
    }

    /// A log that was altered in any way and is accepted without a finding says the same as before about all that is
    /// measured and hashed.
    #[test]
    fn altered_logs_with_true_pcrs(bytes in mutated(debian().bytes())) {
        let pcrs = debian().facts().pcrs;
        if let Ok(log) = EventLog::parse(&bytes) && log.check(&pcrs).is_empty() {
            let genuine = debian().parse();
            for pcr in 0..8 {
                let digests = |log: &EventLog| log.measured(pcr).map(|event| *event.sha256()).collect::<Vec<_>>();
                prop_assert_eq!(digests(&log), digests(&genuine));
            }
            prop_assert!(log.secure_boot() != Some(false));
            for (altered, genuine) in log.measured(7).zip(genuine.measured(7)) {
                prop_assert!(altered.measured_data().is_none_or(|data| Some(data) == genuine.measured_data()));
            }
        }
    }

    #[test]
    fn policies(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..600), mutated(document())]) {
        if let Ok(policy) = Policy::parse(&bytes) {
            let canonical = policy.to_canonical_json();
            prop_assert_eq!(&Policy::parse(canonical.as_bytes()).unwrap(), &policy);
            prop_assert_eq!(diff(&policy, &policy), []);
            let original = Policy::parse(&document()).unwrap();
            prop_assert!(diff(&original, &policy).iter().all(|change| !change.to_string().contains('\n')));
            let log = debian().parse();
            for miss in policy.judge(&debian().facts(), Some(&log)).iter().chain(&policy.judge(&facts(BTreeMap::new()), None)) {
                prop_assert!(!miss.to_string().is_empty() && !miss.code().is_empty());
            }
        }
    }

    #[test]
    fn proposals(values in prop::collection::vec(prop::collection::btree_map(0..24_u8, any::<[u8; 32]>(), 1..8), 1..12)) {
        let observations: Vec<Observation<'_>> =
            values.iter().map(|pcrs| Observation { host: "web", pcrs, log: None }).collect();
        let policy = Policy::propose("draft", "", &observations, ProposedRules::Values).unwrap().policy;
        for pcrs in &values {
            let misses = policy.judge(&facts(pcrs.clone()), None);
            prop_assert!(misses.iter().all(|miss| miss.code() == "pcr_not_quoted"));
        }
    }
}
