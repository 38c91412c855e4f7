//! The document of a policy, as far as people want to read it. The controller judges by it; here it is only shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::output::text::{clean, count};

/// The schema that is known here. A document of another one may ask for things that would be left out.
const SCHEMA: &str = "flota.attest.policy/1";

/// A document.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Document {
    schema: String,
    /// Label selector; empty: every host.
    pub(crate) applies_to: String,
    /// Rules by register.
    pub(crate) pcrs: BTreeMap<u32, Rule>,
    /// `any` or `required`.
    #[serde(default)]
    pub(crate) secure_boot: String,
    /// `if_sent` or `required`.
    #[serde(default)]
    pub(crate) boot_log: String,
    /// The lowest firmware version of the TPM.
    #[serde(default)]
    pub(crate) min_firmware: Option<u64>,
    /// The approved ones; empty: any.
    #[serde(default)]
    pub(crate) firmware: BTreeSet<u64>,
}

/// What is asked of one register.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RuleDocument")]
pub(crate) enum Rule {
    /// One of these values.
    Values(Vec<Approved>),
    /// Nothing but these events.
    Events {
        /// The events.
        events: Vec<Approved>,
        /// Whether one may be absent.
        presence: Presence,
    },
    /// Nothing, for this reason.
    Ignored(String),
}

/// Whether events may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Each may.
    Optional,
    /// None may.
    Required,
}

/// A digest, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Approved {
    /// Hexadecimal.
    pub(crate) digest: String,
    /// May be empty.
    #[serde(default)]
    pub(crate) note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleDocument {
    allow: Option<Vec<Approved>>,
    events: Option<Vec<Approved>>,
    ignore: Option<String>,
    require_all: Option<bool>,
}

impl TryFrom<RuleDocument> for Rule {
    type Error = &'static str;

    fn try_from(rule: RuleDocument) -> Result<Self, Self::Error> {
        let presence = if rule.require_all == Some(true) { Presence::Required } else { Presence::Optional };
        match (rule.allow, rule.events, rule.ignore) {
            (Some(values), None, None) => Ok(Self::Values(values)),
            (None, Some(events), None) => Ok(Self::Events { events, presence }),
            (None, None, Some(reason)) => Ok(Self::Ignored(reason)),
            _ => Err("a rule is one of allow, events and ignore"),
        }
    }
}

impl Document {
    /// None if it is not one that is understood in full.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok().filter(|document: &Self| document.schema == SCHEMA)
    }

    /// What it asks besides the registers, one demand a line.
    pub(crate) fn demands(&self) -> Vec<String> {
        let mut demands = Vec::new();
        if self.secure_boot == "required" {
            demands.push("Secure Boot is on".to_owned());
        }
        if self.boot_log == "required" {
            demands.push("the host sends its boot log".to_owned());
        }
        demands.extend(self.min_firmware.map(|version| format!("the TPM's firmware is {version:#x} or newer")));
        if !self.firmware.is_empty() {
            let versions: Vec<String> = self.firmware.iter().map(|version| format!("{version:#x}")).collect();
            demands.push(format!("the TPM's firmware is {}", versions.join(" or ")));
        }
        demands
    }
}

impl Rule {
    /// In words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Values(values) if values.len() == 1 => "this value".to_owned(),
            Self::Values(values) => format!("one of {}", count(values.len(), "value")),
            Self::Events { events, presence: Presence::Optional } => {
                format!("nothing but {}", count(events.len(), "event"))
            }
            Self::Events { events, presence: Presence::Required } => {
                format!("exactly {}", count(events.len(), "event"))
            }
            Self::Ignored(reason) => format!("not looked at: {}", clean(reason)),
        }
    }

    /// What it approves.
    pub(crate) fn approved(&self) -> &[Approved] {
        match self {
            Self::Values(approved) | Self::Events { events: approved, .. } => approved,
            Self::Ignored(_) => &[],
        }
    }

    /// Whether a digest is among what it approves.
    pub(crate) fn approves(&self, digest: &str) -> bool {
        self.approved().iter().any(|one| one.digest.eq_ignore_ascii_case(digest))
    }
}
