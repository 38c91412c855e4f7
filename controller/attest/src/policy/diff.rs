//! What changes from one policy to another, line by line, for whoever approves it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Approved, PcrRule, Policy, Presence};
use crate::event_log::text;

/// One thing that is different. `Display` is a line such as `PCR 4: + 1a2b3c4d5e6f… shim 15.8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A field that is not about one PCR.
    Field {
        /// Its name in the document.
        field: &'static str,
        /// What it was, for people.
        old: String,
        /// What it is, for people.
        new: String,
    },
    /// A PCR that was not named.
    RuleAdded {
        /// The PCR.
        pcr: u8,
        /// The new rule in short.
        rule: String,
    },
    /// A PCR that is not named any more.
    RuleRemoved {
        /// The PCR.
        pcr: u8,
        /// The old rule in short.
        rule: String,
    },
    /// Another rule for a PCR, or another condition of it.
    RuleChanged {
        /// The PCR.
        pcr: u8,
        /// The old rule in short.
        old: String,
        /// The new rule in short.
        new: String,
    },
    /// A digest that is approved now.
    Approved {
        /// The PCR.
        pcr: u8,
        /// The digest and its note.
        approved: Approved,
    },
    /// A digest that is not approved any more.
    Withdrawn {
        /// The PCR.
        pcr: u8,
        /// The digest and its note.
        approved: Approved,
    },
    /// Another note for a digest that stays.
    Note {
        /// The PCR.
        pcr: u8,
        /// The digest and its new note.
        approved: Approved,
    },
}

/// All that is different in `new`; nothing if it asks the same in the same words. The order of lists does not count, and
/// where a rule becomes one of another kind, its digests went with it: only the new ones are listed.
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    let fields = fields(old).into_iter().zip(fields(new));
    changes.extend(fields.filter(|(old, new)| old != new).map(|((field, old), (_, new))| Change::Field {
        field,
        old,
        new,
    }));
    let indices: BTreeSet<u8> = old.pcrs.keys().chain(new.pcrs.keys()).copied().collect();
    for pcr in indices {
        match (old.pcrs.get(&pcr), new.pcrs.get(&pcr)) {
            (Some(old), Some(new)) => diff_rule(pcr, old, new, &mut changes),
            (None, Some(new)) => {
                changes.push(Change::RuleAdded { pcr, rule: summary(new) });
                changes.extend(new.approved().iter().map(|one| Change::Approved { pcr, approved: one.clone() }));
            }
            (Some(old), None) => changes.push(Change::RuleRemoved { pcr, rule: summary(old) }),
            (None, None) => {}
        }
    }
    changes
}

fn diff_rule(pcr: u8, old: &PcrRule, new: &PcrRule, changes: &mut Vec<Change>) {
    if summary(old) != summary(new) {
        changes.push(Change::RuleChanged { pcr, old: summary(old), new: summary(new) });
    }
    // The value of a PCR and the digest of an event have nothing to do with each other.
    let same_kind = old.word() == new.word();
    let notes = |rule: &PcrRule| -> BTreeMap<[u8; 32], String> {
        rule.approved().iter().map(|one| (one.digest, one.note.clone())).collect()
    };
    let (before, after) = (notes(old), notes(new));
    for approved in old.approved().iter().filter(|one| same_kind && !after.contains_key(&one.digest)) {
        changes.push(Change::Withdrawn { pcr, approved: approved.clone() });
    }
    for approved in new.approved() {
        let approved = approved.clone();
        match before.get(&approved.digest).filter(|_| same_kind) {
            None => changes.push(Change::Approved { pcr, approved }),
            Some(note) if *note != approved.note => changes.push(Change::Note { pcr, approved }),
            Some(_) => {}
        }
    }
}

fn fields(policy: &Policy) -> [(&'static str, String); 6] {
    let Policy { name, bank: _, applies_to, pcrs: _, secure_boot, boot_log, min_firmware, firmware } = policy;
    let versions: Vec<String> = firmware.iter().map(|version| format!("{version:#x}")).collect();
    let or = |text: String, empty: &str| if text.is_empty() { empty.to_owned() } else { text };
    [
        ("name", name.clone()),
        ("applies_to", or(applies_to.clone(), "every host")),
        ("secure_boot", word(secure_boot)),
        ("boot_log", word(boot_log)),
        ("min_firmware", min_firmware.map_or_else(|| "none".to_owned(), |version| format!("{version:#x}"))),
        ("firmware", or(versions.join(", "), "any")),
    ]
}

/// The word of a choice in the document.
fn word(choice: &impl serde::Serialize) -> String {
    serde_json::to_string(choice).unwrap_or_default().trim_matches('"').to_owned()
}

fn summary(rule: &PcrRule) -> String {
    match rule {
        PcrRule::Allow(_) | PcrRule::Events { presence: Presence::Optional, .. } => rule.word().to_owned(),
        PcrRule::Events { presence: Presence::RequireAll, .. } => format!("{} (all required)", rule.word()),
        PcrRule::Ignore(reason) => format!("{} ({reason})", rule.word()),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = |approved: &Approved| format!("{} {}", text::short(&approved.digest), approved.note);
        match self {
            Self::Field { field, old, new } => write!(f, "{field}: {old} → {new}"),
            Self::RuleAdded { pcr, rule } => write!(f, "PCR {pcr}: not named → {rule}"),
            Self::RuleRemoved { pcr, rule } => write!(f, "PCR {pcr}: {rule} → not named"),
            Self::RuleChanged { pcr, old, new } => write!(f, "PCR {pcr}: {old} → {new}"),
            Self::Approved { pcr, approved } => write!(f, "PCR {pcr}: + {}", digest(approved).trim_end()),
            Self::Withdrawn { pcr, approved } => write!(f, "PCR {pcr}: - {}", digest(approved).trim_end()),
            Self::Note { pcr, approved } => write!(f, "PCR {pcr}: ~ {}", digest(approved).trim_end()),
        }
    }
}
