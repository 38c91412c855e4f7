//! Checks the evidence that auditors are given, with nothing but the document and, at best, the key from elsewhere.
//!
//! What the signature and the chain of hashes carry is believed; every document that came along must be named by them.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::audit::{AuditRow, BrokenChain, ChainVerifier};
use flota_model::evidence::{
    Checkpoint, DocumentKind, Evidence, EvidenceEntry, FORMAT, RolloutEvidence, SealedCheckpoint, SealedDocument,
};
use flota_model::rollout::{RAN_ALREADY, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetState};
use flota_model::update::Direction;
use flota_model::{Digest, HostId};
use serde_json::Value;

use crate::ed25519;

/// Length of an Ed25519 public key, in bytes.
const KEY_BYTES: usize = 32;

/// Why evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvidence {
    /// It has another form.
    #[error("this is `{0}`, not `{FORMAT}`")]
    Format(String),
    /// There is nothing in it.
    #[error("it has no entries")]
    Empty,
    /// The key is not the one that was given.
    #[error("it is signed by another key: {0}")]
    OtherKey(String),
    /// The signature is not that of what was signed.
    #[error("its signature does not hold: it was changed after it was signed")]
    Signature,
    /// The chain does not hold.
    #[error("the log was changed: {0}")]
    Chain(#[from] BrokenChain),
    /// The chain does not end where the checkpoint says.
    #[error("the entries end with {found}, the checkpoint is of {signed}")]
    End {
        /// The last entry.
        found: u64,
        /// That of the checkpoint.
        signed: u64,
    },
    /// A document cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether it holds.
    pub holds: bool,
    /// What, in a sentence.
    pub sentence: String,
}

/// What the evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The key under which it was checked, hex.
    pub key: String,
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// How many entries, and the first of them.
    pub entries: usize,
    /// The first entry's place.
    pub first: u64,
    /// What was checked of the rollout.
    pub checks: Vec<Check>,
}

impl Proved {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

/// Checks it. `key`: the audit key as it was got from elsewhere, 32 bytes in hex; without one the document's own is used,
/// which proves only that it was not changed by somebody without that key.
pub fn verify(evidence: &Evidence, key: Option<&str>) -> Result<Proved, BadEvidence> {
    let Evidence { format, rollout, entries, checkpoint } = evidence;
    if format != FORMAT {
        return Err(BadEvidence::Format(format.chars().take(40).collect()));
    }
    let signed = verify_checkpoint(checkpoint, key)?;
    let (first, last) = entries.first().zip(entries.last()).ok_or(BadEvidence::Empty)?;
    let mut verifier = ChainVerifier::following(first.sequence, first.previous);
    for entry in entries {
        verifier.accept(&AuditRow::from(entry))?;
    }
    if (last.sequence, last.hash) != (signed.sequence, signed.head) {
        return Err(BadEvidence::End { found: last.sequence, signed: signed.sequence });
    }
    let checks = rollout.as_ref().map(|rollout| of_rollout(rollout, entries)).transpose()?.unwrap_or_default();
    let key = checkpoint.public_key.clone();
    Ok(Proved { key, checkpoint: signed, entries: entries.len(), first: first.sequence, checks })
}

/// A checkpoint whose signature holds; under this key, where one is given.
pub fn verify_checkpoint(sealed: &SealedCheckpoint, key: Option<&str>) -> Result<Checkpoint, BadEvidence> {
    let SealedCheckpoint { checkpoint, public_key, signature } = sealed;
    check_signature(public_key, signature, &SealedCheckpoint::message(checkpoint), key)?;
    serde_json::from_str(checkpoint).map_err(|_| BadEvidence::Unreadable("the checkpoint"))
}

/// A document whose signature holds; under this key, where one is given. Gives what is in it.
pub fn verify_document(kind: DocumentKind, sealed: &SealedDocument, key: Option<&str>) -> Result<Value, BadEvidence> {
    let SealedDocument { document, public_key, signature } = sealed;
    check_signature(public_key, signature, &SealedDocument::message(kind, document), key)?;
    serde_json::from_str(document).map_err(|_| BadEvidence::Unreadable("the document"))
}

fn check_signature(public_key: &str, signature: &str, message: &[u8], key: Option<&str>) -> Result<(), BadEvidence> {
    if key.is_some_and(|key| !key.eq_ignore_ascii_case(public_key)) {
        return Err(BadEvidence::OtherKey(public_key.chars().take(2 * KEY_BYTES).collect()));
    }
    let raw = hex::decode(public_key).ok().and_then(|raw| <[u8; KEY_BYTES]>::try_from(raw).ok());
    let (Some(raw), Ok(signature)) = (raw, hex::decode(signature)) else { return Err(BadEvidence::Signature) };
    ed25519::verify(&raw, message, &signature).map_err(|_| BadEvidence::Signature)
}

/// The entries of one rollout, read.
struct Log<'a> {
    object: String,
    entries: &'a [EvidenceEntry],
}

impl<'a> Log<'a> {
    /// Its own entries with their particulars.
    fn own(&self) -> impl Iterator<Item = (&'a EvidenceEntry, Value)> + '_ {
        let own = self.entries.iter().filter(|entry| entry.entry.object == self.object);
        own.map(|entry| (entry, details(entry)))
    }
}

fn details(entry: &EvidenceEntry) -> Value {
    serde_json::from_str(&entry.entry.details_json).unwrap_or(Value::Null)
}

fn of_rollout(rollout: &RolloutEvidence, entries: &[EvidenceEntry]) -> Result<Vec<Check>, BadEvidence> {
    let spec: RolloutSpec =
        serde_json::from_str(&rollout.specification).map_err(|_| BadEvidence::Unreadable("the specification"))?;
    let plans = rollout.plans.iter().map(|plan| serde_json::from_str::<RolloutPlan>(plan));
    let plans: Vec<RolloutPlan> = plans.collect::<Result<_, _>>().map_err(|_| BadEvidence::Unreadable("a plan"))?;
    let log = Log { object: format!("rollout/{}", rollout.id), entries };
    let digest = Digest::of(rollout.specification.as_bytes());
    let mut checks = vec![specified(&log, rollout, &spec, &digest), approved(&log, &spec, &digest)];
    checks.push(planned(&log, rollout, &plans));
    if let Some(last) = plans.last() {
        checks.push(ended(last));
        checks.extend(hosts(&log, &spec, last));
    }
    Ok(checks)
}

/// The log names this very specification as the one that holds.
fn specified(log: &Log<'_>, rollout: &RolloutEvidence, spec: &RolloutSpec, digest: &Digest) -> Check {
    let named = log.own().filter_map(|(entry, details)| match entry.entry.action.as_str() {
        "rollout.create" => details["spec"].as_str().map(str::to_owned),
        "rollout.amend" => details["amended"].as_str().map(str::to_owned),
        _ => None,
    });
    let holds = named.last() == Some(digest.to_string()) && spec.id == rollout.id;
    let sentence = format!("the log names the specification of {}: sha256 {}", rollout.id, digest.short());
    Check { holds, sentence }
}

/// Whenever it ran, enough persons had agreed to it as it was then, none of whom had written or amended it.
fn approved(log: &Log<'_>, spec: &RolloutSpec, document: &Digest) -> Check {
    let needed = usize::try_from(spec.approvals).unwrap_or(usize::MAX);
    let (mut authors, mut approvers) = (BTreeSet::<&str>::new(), BTreeSet::<&str>::new());
    let (mut digest, mut holds) = (String::new(), true);
    for (entry, details) in log.own().filter(|(entry, _)| entry.entry.outcome == "ok") {
        let actor = entry.entry.actor.as_str();
        match entry.entry.action.as_str() {
            action @ ("rollout.create" | "rollout.amend") => {
                let named = if action == "rollout.create" { &details["spec"] } else { &details["amended"] };
                named.as_str().unwrap_or_default().clone_into(&mut digest);
                authors.insert(actor);
                approvers.clear();
            }
            "rollout.approve" if details["spec"] == digest && !authors.contains(actor) => {
                approvers.insert(actor);
            }
            "rollout.running" => holds &= approvers.len() >= needed,
            _ => {}
        }
    }
    // Of another document nobody has said anything.
    if document.to_string() != digest {
        (holds, approvers) = (false, BTreeSet::new());
    }
    let names: Vec<&str> = approvers.iter().map(|actor| actor.trim_start_matches("operator/")).collect();
    let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    let author = &spec.created_by;
    let sentence = match needed {
        0 => format!("no approval was needed beside {author}: given by {names}"),
        1 => format!("1 approval was needed beside {author}: given by {names}"),
        _ => format!("{needed} approvals were needed beside {author}: given by {names}"),
    };
    Check { holds, sentence }
}

/// Every plan is one that the log names.
fn planned(log: &Log<'_>, rollout: &RolloutEvidence, plans: &[RolloutPlan]) -> Check {
    let named: BTreeSet<String> =
        log.own().filter_map(|(_, details)| details["plan"].as_str().map(str::to_owned)).collect();
    let unknown = rollout.plans.iter().filter(|plan| !named.contains(&Digest::of(plan.as_bytes()).to_string())).count();
    let others = plans.iter().filter(|plan| plan.rollout != rollout.id).count();
    // The newest plan of a rollout that goes on may change no state, and then the log does not name it.
    let allowed = usize::from(plans.last().is_some_and(|plan| !plan.state.is_terminal()));
    let sentence = format!("{} plans, each named by the log where the state changed", plans.len());
    Check { holds: unknown <= allowed && others == 0 && !plans.is_empty(), sentence }
}

fn ended(last: &RolloutPlan) -> Check {
    let sentence = format!("it is {}: {}", last.state.as_str().replace('_', " "), last.cause);
    Check { holds: last.state.is_terminal(), sentence }
}

/// Every host that counts as updated proved by a quote what it runs, and made its security export first.
fn hosts(log: &Log<'_>, spec: &RolloutSpec, last: &RolloutPlan) -> Vec<Check> {
    let committed: Vec<&HostId> =
        last.targets.iter().filter(|(_, target)| was_updated(target)).map(|(host, _)| host).collect();
    let mut quotes = BTreeMap::<&str, u64>::new();
    let mut exports = BTreeSet::<&str>::new();
    for entry in log.entries {
        let host = entry.entry.object.strip_prefix("host/").unwrap_or_default();
        let details = details(entry);
        match entry.entry.action.as_str() {
            "host.attest" if entry.entry.outcome == "pass" && runs(spec, host, &details) => {
                quotes.entry(host).or_insert(entry.sequence);
            }
            "host.export" if details["rollout"] == spec.id.to_string() => {
                exports.insert(host);
            }
            _ => {}
        }
    }
    let without = |has: &dyn Fn(&str) -> bool| -> Vec<String> {
        let lacks = committed.iter().filter(|host| !has(host.as_str()));
        lacks.map(|host| name(spec, host)).collect()
    };
    let unproved = without(&|host| quotes.contains_key(host));
    let mut checks = vec![Check {
        holds: unproved.is_empty(),
        sentence: counted(committed.len(), &unproved, "proved by a quote that passed what they run"),
    }];
    if spec.direction == Direction::Forward && last.state != RolloutState::Draft {
        let unexported = without(&|host| exports.contains(host));
        checks.push(Check {
            holds: unexported.is_empty(),
            sentence: counted(committed.len(), &unexported, "made a security export for it"),
        });
    }
    checks
}

/// A host that ran the release before it began was not updated: it made no export, and its quote is of an earlier time.
fn was_updated(target: &TargetPlan) -> bool {
    target.state == TargetState::Committed && !target.reason.text.starts_with(RAN_ALREADY)
}

/// Whether a quote was made over the release that this host was to run.
fn runs(spec: &RolloutSpec, host: &str, details: &Value) -> bool {
    let wanted = spec.targets.iter().find(|(id, _)| id.as_str() == host).map(|(_, target)| target.release.digest);
    // A host that joined later is not in the specification; it gets what most get.
    details["running"] == wanted.unwrap_or(spec.release.digest).to_string()
}

fn counted(all: usize, without: &[String], what: &str) -> String {
    let with = all.saturating_sub(without.len());
    match without {
        [] => format!("{with} of {all} updated hosts {what}"),
        names => format!("{with} of {all} updated hosts {what}; not {}", names.join(", ")),
    }
}

fn name(spec: &RolloutSpec, host: &HostId) -> String {
    spec.targets.get(host).map_or_else(|| host.to_string(), |target| target.name.to_string())
}

#[cfg(test)]
mod tests;
