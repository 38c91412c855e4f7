//! The operator's checklist (manual §7), answered from what the host knows.
//!
//! Every procedure leaves its last result with [`record`]; [`evaluate`] turns those and the state of the key into six items.

mod records;
#[cfg(test)]
mod tests;

use flota_seal::json::Json;
use jiff::{SignedDuration, Timestamp};

pub use records::{Outcome, Procedure, Proof, Record, Records, RecordsError, load, record};

use crate::iso_time;

/// How long a package check counts. An approved package waits for its window; a week covers the usual one.
pub const PACKAGE_CHECK_MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long confirmed TPM evidence, a health check and an export count: the checklist is a daily one.
pub const DAILY_MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// How far in the future a result may lie before it counts as stale: the clock was set back since.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What the host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecklistInputs {
    /// The key that exports are signed with.
    pub hmac_key: KeyState,
    /// Whether the file of the last export is still where it was written.
    pub export_file: FileState,
    /// The last result of each procedure.
    pub records: Records,
}

/// The state of the environment's HMAC key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Set and usable.
    Set,
    /// Not set.
    Missing,
    /// Set and not usable.
    Malformed,
}

/// Whether a file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is.
    Present,
    /// It is not.
    Gone,
}

/// The checklist at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checklist {
    generated_at: Timestamp,
    items: [ChecklistItem; 6],
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecklistItem {
    /// A stable name.
    pub id: &'static str,
    /// What the manual calls it.
    pub title: &'static str,
    /// How it stands.
    pub status: ItemStatus,
    /// When the procedure ran; `None` if it is not one, or never ran.
    pub when: Option<Timestamp>,
    /// What proves it.
    pub evidence: Option<Proof>,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemStatus {
    /// Done, and it still counts.
    Done,
    /// Tried, without success.
    Failed,
    /// Never done.
    Missing,
    /// Done too long ago, or before something that undid it.
    Stale,
}

impl ItemStatus {
    /// The spelling in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Stale => "stale",
        }
    }
}

/// Evaluates the checklist. Pure.
pub fn evaluate(inputs: &ChecklistInputs, now: Timestamp) -> Checklist {
    let records = &inputs.records;
    let updated_at = records.last(Procedure::Update).map(|update| update.at);
    let fresh = |max_age| Freshness { now, max_age: Some(max_age), not_before: None };
    let after_update = Freshness { now, max_age: None, not_before: updated_at };
    let health = Freshness { not_before: updated_at, ..fresh(DAILY_MAX_AGE) };
    let item = |procedure, id, title, freshness: Freshness| {
        let last = records.last(procedure);
        ChecklistItem {
            id,
            title,
            status: last.map_or(ItemStatus::Missing, |last| freshness.status_of(last)),
            when: last.map(|last| last.at),
            evidence: last.and_then(|last| last.proof.clone()),
        }
    };
    let mut export = item(
        Procedure::SecurityExport,
        "security_export",
        "security log bundle archived in exports/security",
        fresh(DAILY_MAX_AGE),
    );
    if export.status != ItemStatus::Failed && export.when.is_some() && inputs.export_file == FileState::Gone {
        export.status = ItemStatus::Missing;
    }
    let items = [
        ChecklistItem {
            id: "hmac_key",
            title: "HMAC key set in the environment",
            status: match inputs.hmac_key {
                KeyState::Set => ItemStatus::Done,
                KeyState::Missing => ItemStatus::Missing,
                KeyState::Malformed => ItemStatus::Failed,
            },
            when: None,
            evidence: None,
        },
        item(Procedure::PackageCheck, "package_check", "update package verified", fresh(PACKAGE_CHECK_MAX_AGE)),
        item(Procedure::TpmEvidence, "tpm_evidence", "TPM evidence confirmed", fresh(DAILY_MAX_AGE)),
        item(Procedure::ExchangeHealth, "exchange_health", "exchange health check passed", health),
        export,
        item(Procedure::Ticket, "ticket", "update recorded in the ticket system", after_update),
    ];
    Checklist { generated_at: now, items }
}

impl Checklist {
    /// The six items, in the order of the manual.
    pub fn items(&self) -> &[ChecklistItem] {
        &self.items
    }

    /// Whether every item is done.
    pub fn is_done(&self) -> bool {
        self.items.iter().all(|item| item.status == ItemStatus::Done)
    }

    /// 0 if every item is done, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_done())
    }

    /// The document for stdout.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("status", Json::from(if self.is_done() { "done" } else { "open" })),
            ("generated_at", Json::from(iso_time::format(self.generated_at).as_str())),
            ("items", Json::Array(self.items.iter().map(ChecklistItem::to_json).collect())),
        ])
    }
}

impl ChecklistItem {
    fn to_json(&self) -> Json {
        Json::object([
            ("id", Json::from(self.id)),
            ("title", Json::from(self.title)),
            ("status", Json::from(self.status.as_str())),
            ("when", self.when.map_or(Json::Null, |when| iso_time::format(when).as_str().into())),
            ("evidence", self.evidence.as_ref().map_or(Json::Null, Proof::to_json)),
        ])
    }
}

/// When a result still counts.
#[derive(Clone, Copy)]
struct Freshness {
    now: Timestamp,
    max_age: Option<SignedDuration>,
    not_before: Option<Timestamp>,
}

impl Freshness {
    fn status_of(self, last: &Record) -> ItemStatus {
        if last.outcome == Outcome::Failed {
            return ItemStatus::Failed;
        }
        let age = self.now.duration_since(last.at);
        let too_old = self.max_age.is_some_and(|max_age| age > max_age);
        let overtaken = self.not_before.is_some_and(|not_before| last.at < not_before);
        if too_old || overtaken || age < -CLOCK_TOLERANCE { ItemStatus::Stale } else { ItemStatus::Done }
    }
}
