//! A policy in signs and words: what it is called, where it stands, what a person would do next.

use flota_model::Timestamp;
use flota_proto::v1::{Policy, PolicyDetail, PolicyRequest};

use crate::output::signs::Sign;
use crate::output::text::{clean, words};
use crate::output::time;

/// A policy with its document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// What is said about it.
    pub(crate) policy: &'a Policy,
    /// JSON.
    pub(crate) document: &'a str,
    /// What a person has to know of it.
    pub(crate) notes: &'a [String],
}

impl<'a> Known<'a> {
    /// None if the answer has a hole where the policy should be.
    pub(crate) fn of(detail: &'a PolicyDetail) -> Option<Self> {
        let PolicyDetail { policy, document_json, notes } = detail;
        Some(Self { policy: policy.as_ref()?, document: document_json, notes })
    }
}

/// Name and version, as every verb takes it.
pub(crate) fn label(policy: &Policy) -> String {
    format!("{}@{}", clean(&policy.name), policy.version)
}

/// The hosts that it is for.
pub(crate) fn applies_to(policy: &Policy) -> String {
    if policy.applies_to.is_empty() { "every host".to_owned() } else { clean(&policy.applies_to) }
}

/// Whether hosts are held to it, or it is accepted beside what they are held to.
pub(crate) fn is_in_use(policy: &Policy) -> bool {
    matches!(policy.state.as_str(), "active" | "staged" | "retiring")
}

/// `37/42`; nothing where no host is held to it.
pub(crate) fn met(policy: &Policy) -> String {
    if is_in_use(policy) { format!("{}/{}", policy.hosts_met, policy.hosts) } else { String::new() }
}

/// The sign of its state.
pub(crate) fn sign(policy: &Policy) -> Sign {
    match policy.state.as_str() {
        "active" => Sign::Ok,
        "draft" | "approved" => Sign::Waiting,
        "retired" => Sign::Skipped,
        _ => Sign::Working,
    }
}

/// Its state, with the window that it has.
pub(crate) fn state(policy: &Policy, now: Timestamp) -> String {
    let state = words(&policy.state);
    if !matches!(policy.state.as_str(), "staged" | "retiring") {
        return state;
    }
    let (from, until) = (time::parse(&policy.valid_from), time::parse(&policy.valid_until));
    let at = |time: Timestamp| format!("{} UTC", time::clock(&time.to_string(), now));
    match (from.filter(|from| *from > now), until) {
        (Some(from), _) => format!("{state} from {} on", at(from)),
        (None, Some(until)) if until <= now => format!("{state}, its time is over"),
        (None, Some(until)) => format!("{state} until {}", at(until)),
        (None, None) => state,
    }
}

/// The change that somebody asks for, as a noun.
pub(crate) fn change(request: &PolicyRequest) -> &'static str {
    match request.change.as_str() {
        "retire" => "retirement",
        "rollback" => "rollback",
        _ => "change",
    }
}

/// What waits for a second person.
pub(crate) fn asked(request: &PolicyRequest) -> String {
    format!("its {} is asked for by {}", change(request), clean(&request.author))
}

/// What to do next, one command a line.
pub(crate) fn next(policy: &Policy) -> Vec<String> {
    let (label, name) = (label(policy), clean(&policy.name));
    if let Some(request) = &policy.request {
        return vec![format!(
            "next: flota policy approve {label}     by somebody else than {}, until {}",
            clean(&request.author),
            time::stamp(&request.until)
        )];
    }
    match policy.state.as_str() {
        "draft" => vec![format!("next: flota policy approve {label}     by somebody else than {}", author(policy))],
        "approved" => vec![
            format!("next: flota policy stage {label} --until 2d     accepted beside the active one for a while"),
            format!("or    flota policy activate {label}"),
        ],
        "staged" => vec![
            format!("next: flota policy activate {label}     once the hosts have changed"),
            format!("undo: flota policy retire {label}"),
        ],
        "active" => {
            let hosts = if policy.applies_to.is_empty() {
                "--all".to_owned()
            } else {
                format!("-l {}", clean(&policy.applies_to))
            };
            vec![
                format!("next: flota attest challenge {hosts}     holds them to it now"),
                format!("undo: flota policy rollback {name}"),
            ]
        }
        "retired" | "retiring" => vec![format!("next: flota policy list {name}")],
        _ => Vec::new(),
    }
}

/// Whose policy it is.
pub(crate) fn author(policy: &Policy) -> String {
    if policy.author.is_empty() { "its author".to_owned() } else { clean(&policy.author) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::now;
    use crate::testing::trust::policy;

    #[test]
    fn a_window_says_when_it_begins_or_ends() {
        let staged = |from: &str, until: &str| {
            state(&Policy { valid_from: from.into(), valid_until: until.into(), ..policy(4, "staged") }, now())
        };
        assert_eq!(staged("2026-11-23T14:00:00Z", "2026-11-25T15:00:00Z"), "staged until 2026-11-25 15:00 UTC");
        assert_eq!(staged("2026-11-24T08:00:00Z", "2026-11-25T15:00:00Z"), "staged from 2026-11-24 08:00 UTC on");
        assert_eq!(staged("2026-11-20T08:00:00Z", "2026-11-23T14:43:10Z"), "staged, its time is over");
        assert_eq!(state(&policy(3, "active"), now()), "active");
    }

    #[test]
    fn every_state_has_a_next_command() {
        for state in ["draft", "approved", "staged", "active", "retiring", "retired"] {
            assert!(!next(&policy(4, state)).is_empty(), "{state}");
        }
    }
}
