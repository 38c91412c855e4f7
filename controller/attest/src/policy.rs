//! What a host may have booted: a document that is approved by people and named by its digest, and the verdict of it
//! (attestation specification, sections 2.4 V15 and 4).
//!
//! **Default is deny.** Every PCR that is quoted must be named, with the values it may have, with the events that may be
//! measured into it, or with the reason why it is ignored. [`crate::baseline`] is the policy of a host that has none.
//!
//! Start at [`Policy::parse`] and [`Policy::check_selection`] for what an operator uploads, [`Policy::judge`] for what a
//! host sends, [`Policy::propose`] for where a policy comes from, and [`diff`] for what changes with a new one.

mod diff;
mod document;
mod error;
mod judge;
mod miss;
mod propose;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use diff::{Change, diff};
pub use error::PolicyError;
pub use miss::Miss;
pub use propose::{MAX_PLAIN_VALUES, Observation, Proposal, ProposalNote, ProposedRules};

use crate::hash::sha256;
use crate::selection::{Bank, Selection};

/// The only schema there is.
pub const SCHEMA: &str = "flota.attest.policy/1";

/// Largest document, in bytes: some thousands of digests with their notes.
pub const MAX_POLICY_BYTES: usize = 1 << 20;

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Longest note, reason or selector, in characters.
pub const MAX_NOTE_CHARS: usize = 400;

/// Most digests of one rule. A boot with GRUB measures some 200 events into PCR 8, its other PCRs a dozen.
pub const MAX_DIGESTS_OF_RULE: usize = 512;

/// A policy. Valid by construction; equal policies have equal digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: String,
    bank: Bank,
    applies_to: String,
    pcrs: BTreeMap<u8, PcrRule>,
    secure_boot: SecureBootRule,
    boot_log: BootLogRule,
    min_firmware: Option<u64>,
    firmware: BTreeSet<u64>,
}

/// What is asked of one PCR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PcrRule {
    /// Its value is one of these. For PCRs that are the same on every host of a model.
    Allow(Vec<Approved>),
    /// Every event that was measured into it has one of these digests, by a boot log that replays to its value. For PCRs
    /// whose value depends on the order or on how often something ran.
    Events {
        /// The approved events.
        events: Vec<Approved>,
        /// Whether all of them must be there.
        presence: Presence,
    },
    /// Nothing is asked of it, for this reason.
    Ignore(String),
}

/// A digest that somebody approved, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Approved {
    /// The value of a PCR, or the digest of an event.
    pub digest: [u8; 32],
    /// What it stands for, such as "shim 15.8"; may be empty.
    pub note: String,
}

/// Whether approved events may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Each may be absent.
    Optional,
    /// Each must have been measured.
    RequireAll,
}

/// What is asked of Secure Boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecureBootRule {
    /// Nothing.
    #[default]
    Any,
    /// The boot log must show that it was on. PCR 7 must be named, so that it is quoted.
    Required,
}

/// What is asked of the boot log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootLogRule {
    /// If a host sends one, it must have no finding.
    #[default]
    IfSent,
    /// There must be one, without finding.
    Required,
}

impl Policy {
    /// Parses a document, which has at most [`MAX_POLICY_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        document::parse(bytes)
    }

    /// The document in the one form that its digest is taken of: JSON without white space; every object's keys in
    /// alphabetical order, those of `pcrs` in numerical order; lists in the order of the document, `firmware` ascending
    /// and each number once; every default spelled out; `min_firmware` and `firmware` left out if there are none;
    /// digests in lower case; `boot_log` is `required` where another rule implies it.
    pub fn to_canonical_json(&self) -> String {
        document::canonical(self)
    }

    /// SHA-256 of [`Self::to_canonical_json`]: the name of exactly this policy.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[self.to_canonical_json().as_bytes()])
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bank that must be quoted.
    pub const fn bank(&self) -> Bank {
        self.bank
    }

    /// The label selector of the hosts that it is for, as text; empty for all. Not read here.
    pub fn applies_to(&self) -> &str {
        &self.applies_to
    }

    /// The rules by PCR. Never empty.
    pub const fn pcrs(&self) -> &BTreeMap<u8, PcrRule> {
        &self.pcrs
    }

    /// What is asked of Secure Boot.
    pub const fn secure_boot(&self) -> SecureBootRule {
        self.secure_boot
    }

    /// What is asked of the boot log, what other rules imply included.
    pub const fn boot_log(&self) -> BootLogRule {
        self.boot_log
    }

    /// The lowest firmware version of the TPM.
    pub const fn min_firmware(&self) -> Option<u64> {
        self.min_firmware
    }

    /// The approved firmware versions of the TPM; empty if every one is.
    pub const fn firmware(&self) -> &BTreeSet<u64> {
        &self.firmware
    }

    /// Whether the policy fits what the fleet quotes: the same bank, every selected PCR named (no PCR is skipped, case
    /// 68) and none that is not selected (its rule would seem to protect).
    pub fn check_selection(&self, selection: &Selection) -> Result<(), PolicyError> {
        if self.bank != selection.bank() {
            return Err(PolicyError::Bank);
        }
        let selected: BTreeSet<u8> = selection.indices().collect();
        if let Some(&pcr) = selected.iter().find(|pcr| !self.pcrs.contains_key(pcr)) {
            return Err(PolicyError::PcrNotNamed { pcr });
        }
        match self.pcrs.keys().find(|pcr| !selected.contains(pcr)) {
            Some(&pcr) => Err(PolicyError::PcrNotSelected { pcr }),
            None => Ok(()),
        }
    }
}

impl PcrRule {
    /// The word of the rule in a document.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Events { .. } => "events",
            Self::Ignore(_) => "ignore",
        }
    }

    /// The digests that it approves; none if the PCR is ignored.
    pub fn approved(&self) -> &[Approved] {
        match self {
            Self::Allow(approved) | Self::Events { events: approved, .. } => approved,
            Self::Ignore(_) => &[],
        }
    }
}
