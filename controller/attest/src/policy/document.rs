//! A policy as JSON: strict on the way in, canonical on the way out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Approved, BootLogRule, MAX_DIGESTS_OF_RULE, MAX_NAME_BYTES, MAX_NOTE_CHARS, MAX_POLICY_BYTES, PcrRule, Policy,
    PolicyError, Presence, SCHEMA, SecureBootRule,
};
use crate::event_log::{SECURE_BOOT_PCR, text};
use crate::selection::{Bank, PCR_COUNT};

/// The fields stand in alphabetical order: that is the canonical one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) applies_to: String,
    pub(super) bank: Bank,
    #[serde(default)]
    pub(super) boot_log: BootLogRule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) firmware: Option<BTreeSet<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) min_firmware: Option<u64>,
    pub(super) name: String,
    #[serde(deserialize_with = "each_pcr_once")]
    pub(super) pcrs: BTreeMap<u8, RuleDocument>,
    pub(super) schema: String,
    #[serde(default)]
    pub(super) secure_boot: SecureBootRule,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<ApprovedDocument>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    events: Option<Vec<ApprovedDocument>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ignore: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    require_all: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovedDocument {
    digest: String,
    #[serde(default)]
    note: String,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Policy, PolicyError> {
    if bytes.len() > MAX_POLICY_BYTES {
        return Err(PolicyError::TooLarge { len: bytes.len() });
    }
    let document: Document = serde_json::from_slice(bytes).map_err(PolicyError::Json)?;
    let policy = Policy::try_from(document)?;
    // What is spelled out may not fit where the shorthand did; a policy must come back from its canonical form.
    match policy.to_canonical_json().len() {
        len if len > MAX_POLICY_BYTES => Err(PolicyError::TooLarge { len }),
        _ => Ok(policy),
    }
}

pub(super) fn canonical(policy: &Policy) -> String {
    // There is no map with other keys than numbers and no number that JSON lacks, so nothing in it can fail.
    serde_json::to_string(&Document::from(policy)).unwrap_or_default()
}

impl TryFrom<Document> for Policy {
    type Error = PolicyError;

    fn try_from(document: Document) -> Result<Self, PolicyError> {
        let Document { applies_to, bank, boot_log, firmware, min_firmware, name, pcrs, schema, secure_boot } = document;
        if schema != SCHEMA {
            return Err(PolicyError::Schema);
        }
        let in_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(in_name) {
            return Err(PolicyError::Name);
        }
        check_text("applies_to", &applies_to)?;
        match pcrs.last_key_value() {
            None => return Err(PolicyError::NoPcrs),
            Some((&pcr, _)) if pcr >= PCR_COUNT => return Err(PolicyError::NoSuchPcr { pcr }),
            Some(_) => {}
        }
        let firmware = match firmware {
            None => BTreeSet::new(),
            Some(versions) if versions.is_empty() => return Err(PolicyError::NoFirmware),
            Some(versions) => versions,
        };
        if secure_boot == SecureBootRule::Required && !pcrs.contains_key(&SECURE_BOOT_PCR) {
            return Err(PolicyError::SecureBootPcr);
        }
        let pcrs: BTreeMap<u8, PcrRule> =
            pcrs.into_iter().map(|(pcr, rule)| Ok((pcr, rule.into_rule(pcr)?))).collect::<Result<_, PolicyError>>()?;
        let needs_log =
            secure_boot == SecureBootRule::Required || pcrs.values().any(|rule| matches!(rule, PcrRule::Events { .. }));
        let boot_log = if needs_log { BootLogRule::Required } else { boot_log };
        Ok(Self { name, bank, applies_to, pcrs, secure_boot, boot_log, min_firmware, firmware })
    }
}

impl From<&Policy> for Document {
    fn from(policy: &Policy) -> Self {
        let Policy { name, bank, applies_to, pcrs, secure_boot, boot_log, min_firmware, firmware } = policy;
        Self {
            applies_to: applies_to.clone(),
            bank: *bank,
            boot_log: *boot_log,
            firmware: (!firmware.is_empty()).then(|| firmware.clone()),
            min_firmware: *min_firmware,
            name: name.clone(),
            pcrs: pcrs.iter().map(|(pcr, rule)| (*pcr, rule.into())).collect(),
            schema: SCHEMA.to_owned(),
            secure_boot: *secure_boot,
        }
    }
}

impl RuleDocument {
    fn into_rule(self, pcr: u8) -> Result<PcrRule, PolicyError> {
        if self.require_all.is_some() && self.events.is_none() {
            return Err(PolicyError::RequireAll { pcr });
        }
        match (self.allow, self.events, self.ignore) {
            (Some(values), None, None) => Ok(PcrRule::Allow(approved(pcr, values)?)),
            (None, Some(events), None) => {
                let presence = if self.require_all == Some(true) { Presence::RequireAll } else { Presence::Optional };
                Ok(PcrRule::Events { events: approved(pcr, events)?, presence })
            }
            (None, None, Some(reason)) if reason.trim().is_empty() => Err(PolicyError::NoReason { pcr }),
            (None, None, Some(reason)) => {
                check_text("the reason of an ignored PCR", &reason)?;
                Ok(PcrRule::Ignore(reason))
            }
            _ => Err(PolicyError::RuleShape { pcr }),
        }
    }
}

impl From<&PcrRule> for RuleDocument {
    fn from(rule: &PcrRule) -> Self {
        let list = |approved: &[Approved]| {
            let document =
                |one: &Approved| ApprovedDocument { digest: hex::encode(one.digest), note: one.note.clone() };
            Some(approved.iter().map(document).collect())
        };
        match rule {
            PcrRule::Allow(values) => Self { allow: list(values), ..Self::default() },
            PcrRule::Events { events, presence } => {
                Self { events: list(events), require_all: Some(*presence == Presence::RequireAll), ..Self::default() }
            }
            PcrRule::Ignore(reason) => Self { ignore: Some(reason.clone()), ..Self::default() },
        }
    }
}

fn approved(pcr: u8, list: Vec<ApprovedDocument>) -> Result<Vec<Approved>, PolicyError> {
    if list.is_empty() {
        return Err(PolicyError::EmptyRule { pcr });
    }
    if list.len() > MAX_DIGESTS_OF_RULE {
        return Err(PolicyError::LongRule { pcr });
    }
    let mut seen = BTreeSet::new();
    let mut approved = Vec::new();
    for ApprovedDocument { digest: text, note } in list {
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest).map_err(|_| PolicyError::Digest { pcr })?;
        if !seen.insert(digest) {
            return Err(PolicyError::DigestRepeated { pcr, digest });
        }
        check_text("a note", &note)?;
        approved.push(Approved { digest, note });
    }
    Ok(approved)
}

fn check_text(field: &'static str, text: &str) -> Result<(), PolicyError> {
    let fits = text.chars().count() <= MAX_NOTE_CHARS && text::is_plain(text);
    if fits { Ok(()) } else { Err(PolicyError::Text { field }) }
}

/// The rules by PCR. A PCR twice is refused: JSON readers disagree on which one holds, and so would the people who
/// approve it.
fn each_pcr_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u8, RuleDocument>, D::Error> {
    struct Rules;

    impl<'de> Visitor<'de> for Rules {
        type Value = BTreeMap<u8, RuleDocument>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of rules by PCR")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut rules = BTreeMap::new();
            while let Some((pcr, rule)) = map.next_entry()? {
                if rules.insert(pcr, rule).is_some() {
                    return Err(A::Error::custom(format_args!("PCR {pcr} is there twice")));
                }
            }
            Ok(rules)
        }
    }

    deserializer.deserialize_map(Rules)
}
