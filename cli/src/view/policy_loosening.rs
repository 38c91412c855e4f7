//! In what a policy asks less than another: that is what whoever approves it must see, and what is confirmed by a name.

use std::collections::BTreeSet;

use super::policy_document::{Approved, Document, Presence, Rule};
use crate::output::text::count;

/// What `new` accepts and `old` does not, in words. Empty only if nothing is: a document that is not understood counts.
pub(crate) fn loosened(old: &str, new: &str) -> Vec<String> {
    match (Document::parse(old), Document::parse(new)) {
        (Some(old), Some(new)) => between(&old, &new),
        _ => vec!["this flota does not understand its document".to_owned()],
    }
}

fn between(old: &Document, new: &Document) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |holds: bool, words: &str| {
        if holds {
            found.push(words.to_owned());
        }
    };
    note(old.applies_to != new.applies_to, "it is for other hosts");
    note(old.secure_boot == "required" && new.secure_boot != "required", "Secure Boot need not be on");
    note(old.boot_log == "required" && new.boot_log != "required", "no boot log is needed");
    note(old.min_firmware > new.min_firmware, "older firmware of the TPM is accepted");
    let more = !old.firmware.is_empty() && (new.firmware.is_empty() || !new.firmware.is_subset(&old.firmware));
    note(more, "other firmware of the TPM is accepted");
    for (pcr, before) in &old.pcrs {
        let less = new.pcrs.get(pcr).map_or_else(|| Some("not named".to_owned()), |after| of_rule(before, after));
        found.extend(less.map(|less| format!("PCR {pcr} {less}")));
    }
    found
}

fn of_rule(old: &Rule, new: &Rule) -> Option<String> {
    match (old, new) {
        (Rule::Ignored(_), _) => None,
        (_, Rule::Ignored(_)) => Some("is not looked at".to_owned()),
        (Rule::Values(old), Rule::Values(new)) => added(old, new, "value").map(|more| format!("may have {more}")),
        (Rule::Events { events: old, presence: before }, Rule::Events { events: new, presence: after }) => {
            match added(old, new, "event") {
                Some(more) => Some(format!("may measure {more}")),
                None if *before == Presence::Required && (*after == Presence::Optional || fewer(old, new)) => {
                    Some("may leave events out".to_owned())
                }
                None => None,
            }
        }
        // The value of a register and the digests of its events cannot be compared.
        (Rule::Values(_), Rule::Events { .. }) => Some("is judged by events".to_owned()),
        (Rule::Events { .. }, Rule::Values(_)) => Some("is judged by its value".to_owned()),
    }
}

fn added(old: &[Approved], new: &[Approved], noun: &str) -> Option<String> {
    let more = digests(new).difference(&digests(old)).count();
    (more > 0).then(|| format!("{} more", count(more, noun)))
}

fn fewer(old: &[Approved], new: &[Approved]) -> bool {
    !digests(old).is_subset(&digests(new))
}

fn digests(approved: &[Approved]) -> BTreeSet<String> {
    approved.iter().map(|one| one.digest.to_ascii_lowercase()).collect()
}

/// For one line: the first of them, and how many more.
pub(crate) fn in_short(loosened: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = loosened.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match loosened.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {}", count(more, "more way")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::digest;
    use crate::testing::trust::document;

    fn less(change: impl Fn(&mut Value)) -> Vec<String> {
        let old = document();
        let mut new: Value = serde_json::from_str(&old).unwrap();
        change(&mut new);
        loosened(&old, &new.to_string())
    }

    #[test]
    fn what_asks_the_same_or_more_is_no_loosening() {
        assert!(less(|_| {}).is_empty());
        assert!(less(|new| new["pcrs"]["9"] = json!({ "allow": [{ "digest": digest("initrd") }] })).is_empty());
        assert!(less(|new| new["min_firmware"] = json!(0x2_0001_0000_0000_u64)).is_empty());
        let values = document().matches("seen on").count();
        assert_eq!(values, 2, "the document that the rest is measured against has two values in PCR 0");
        assert!(less(|new| drop(new["pcrs"]["0"]["allow"].as_array_mut().unwrap().pop())).is_empty());
    }

    #[test]
    fn every_way_to_ask_less_is_seen() {
        let one = json!({ "digest": digest("other") });
        let allow = |pcr: &str, list: &str| {
            let mut new: Value = serde_json::from_str(&document()).unwrap();
            new["pcrs"][pcr][list].as_array_mut().unwrap().push(one.clone());
            loosened(&document(), &new.to_string())
        };
        assert_eq!(allow("0", "allow"), ["PCR 0 may have 1 value more"]);
        assert_eq!(allow("4", "events"), ["PCR 4 may measure 1 event more"]);
        let set = |pointer: &str, value: Value| less(|new| *new.pointer_mut(pointer).unwrap() = value.clone());
        assert_eq!(set("/applies_to", json!("env=lab")), ["it is for other hosts"]);
        assert_eq!(set("/secure_boot", json!("any")), ["Secure Boot need not be on"]);
        assert_eq!(set("/boot_log", json!("if_sent")), ["no boot log is needed"]);
        assert_eq!(set("/min_firmware", Value::Null), ["older firmware of the TPM is accepted"]);
        assert_eq!(set("/pcrs/7", json!({ "ignore": "later" })), ["PCR 7 is not looked at"]);
        assert_eq!(set("/pcrs/4", json!({ "allow": [one] })), ["PCR 4 is judged by its value"]);
        assert_eq!(set("/pcrs/0", json!({ "events": [one] })), ["PCR 0 is judged by events"]);
        let unnamed = less(|new| drop(new["pcrs"].as_object_mut().unwrap().remove("0")));
        assert_eq!(unnamed, ["PCR 0 not named"]);
        let firmware = |old: &str, new: &str| {
            let with = |list: &str| document().replacen('{', &format!("{{\"firmware\":{list},"), 1);
            loosened(&with(old), &with(new))
        };
        assert!(firmware("[1,2]", "[1]").is_empty() && firmware("[]", "[1]").is_empty());
        assert_eq!(firmware("[1]", "[1,2]"), ["other firmware of the TPM is accepted"]);
        assert_eq!(firmware("[1]", "[]"), ["other firmware of the TPM is accepted"]);
        let strict = document().replace("\"require_all\":false", "\"require_all\":true");
        assert_eq!(loosened(&strict, &document()), ["PCR 4 may leave events out"]);
        assert!(loosened(&document(), &strict).is_empty());
        assert!(!loosened(&document(), "{}").is_empty(), "what is not understood is not waved through");
        assert!(!less(|new| new["schema"] = json!("flota.attest.policy/2")).is_empty());
    }
}
