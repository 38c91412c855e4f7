//! Documents for auditors: `flota rollout evidence`, `flota audit export`, and `flota audit verify FILE`.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flota_model::audit::AuditEntry;
use flota_model::evidence::{Evidence, EvidenceEntry, FORMAT, RolloutEvidence, SealedCheckpoint};
use flota_model::{Digest, RolloutId, Timestamp};
use flota_proto::v1::{self, CheckpointRequest, ReadAuditRequest, RolloutDocumentsRequest};
use flota_seal::evidence::{BadEvidence, Proved, verify};
use serde::Serialize;

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::text::clean;
use crate::output::{Style, time};

/// Entries asked for at once.
const PAGE: u32 = 1000;
/// Largest document that is read, in bytes: a log of some million entries.
const MAX_DOCUMENT: u64 = 2 << 30;

/// `flota rollout evidence`
#[derive(Debug, Args)]
pub(crate) struct OfRollout {
    /// Which, as in R-3
    id: RolloutId,
    /// Where to write it; the file must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// `flota audit export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where to write it; the file must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The first entry to write
    #[arg(long, value_name = "SEQUENCE", default_value_t = 1)]
    from: u64,
}

/// `flota audit verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A document of `flota rollout evidence` or `flota audit export`, checked without a controller; none: the controller's log
    file: Option<PathBuf>,
    /// The audit key as you got it from the fleet's owner: 64 hex digits, or a file with them
    #[arg(long, value_name = "KEY", requires = "file")]
    key: Option<String>,
}

impl Verify {
    /// The document, where one was given.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Writes what there is of a rollout.
pub(crate) async fn of_rollout(invocation: &Invocation, args: OfRollout) -> Result<Exit, Failure> {
    must_be_new(&args.to)?;
    let session = invocation.session().await?;
    let request = session.ask(RolloutDocumentsRequest { id: args.id.to_string() });
    let documents = session.rollouts().documents(request).await;
    let documents = documents.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    let v1::RolloutDocuments { specification, plans, first_sequence, last_sequence } = documents;
    let rollout = RolloutEvidence { id: args.id, specification, plans };
    write(invocation, &session, Some(rollout), (first_sequence, last_sequence), &args.to).await
}

/// Writes the log.
pub(crate) async fn export(invocation: &Invocation, args: Export) -> Result<Exit, Failure> {
    must_be_new(&args.to)?;
    let session = invocation.session().await?;
    write(invocation, &session, None, (args.from, 0), &args.to).await
}

async fn write(
    invocation: &Invocation,
    session: &Session,
    rollout: Option<RolloutEvidence>,
    (first, last): (u64, u64),
    to: &Path,
) -> Result<Exit, Failure> {
    let checkpoint = session.audit().checkpoint(session.ask(CheckpointRequest { sequence: last })).await;
    let checkpoint = checkpoint.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    let v1::Checkpoint { checkpoint, public_key, signature, sequence } = checkpoint;
    let entries = entries(session, first, sequence).await?;
    let checkpoint = SealedCheckpoint { checkpoint, public_key, signature };
    let evidence = Evidence { format: FORMAT.to_owned(), rollout, entries, checkpoint };
    // What is handed over is checked first: nobody is to find out in front of an auditor.
    let proved = verify(&evidence, None).map_err(|error| bad(&error))?;
    let file = std::fs::File::create_new(to).map_err(|error| taken(to).because_of(&error))?;
    let mut file = BufWriter::new(file);
    let written = serde_json::to_writer(&mut file, &evidence).map_err(std::io::Error::from);
    let written = written.and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all());
    written.map_err(|error| Failure::new(Exit::Bad, format!("{} is not whole", to.display())).because_of(&error))?;
    print(invocation, &proved)?;
    let shown = to.display();
    if file.get_ref().metadata().is_ok_and(|metadata| metadata.len() > MAX_DOCUMENT) {
        let sentence = format!("{shown} is larger than 2 GiB, and `flota audit verify` reads no larger one");
        return Err(Failure::new(Exit::Bad, sentence).fix("flota audit export --from SEQUENCE, in parts"));
    }
    invocation.out.talk(&format!(
        "written to {shown}. Whoever has it checks it with:\n  flota audit verify {shown} --key {}",
        proved.key
    ));
    Ok(exit(&proved))
}

/// Before anything is asked: the answer may be large, and a file is not replaced.
pub(crate) fn must_be_new(to: &Path) -> Result<(), Failure> {
    if to.exists() { Err(taken(to).detail("it is there already; a file is not replaced")) } else { Ok(()) }
}

fn taken(to: &Path) -> Failure {
    Failure::new(Exit::Usage, format!("{} cannot be created", to.display()))
}

async fn entries(session: &Session, first: u64, last: u64) -> Result<Vec<EvidenceEntry>, Failure> {
    let mut entries = Vec::new();
    let mut next = first;
    while next <= last {
        let page = session.audit().read(session.ask(ReadAuditRequest { from: next, limit: PAGE })).await;
        let page = page.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().entries;
        let read: Vec<EvidenceEntry> = page.into_iter().map(entry).collect::<Result<_, _>>()?;
        let Some(newest) = read.last().map(|entry| entry.sequence) else { break };
        entries.extend(read.into_iter().filter(|entry| entry.sequence <= last));
        next = newest.saturating_add(1);
    }
    Ok(entries)
}

fn entry(entry: v1::AuditEntry) -> Result<EvidenceEntry, Failure> {
    let v1::AuditEntry { sequence, at, actor, action, object, outcome, details_json, hash, previous_hash } = entry;
    let unreadable =
        |what: &str| Failure::new(Exit::Bad, format!("entry {sequence} of the log has a {what} that is none"));
    let at: Timestamp = at.parse().map_err(|_| unreadable("time"))?;
    let previous: Digest = previous_hash.parse().map_err(|_| unreadable("hash"))?;
    let hash: Digest = hash.parse().map_err(|_| unreadable("hash"))?;
    Ok(EvidenceEntry {
        sequence,
        previous,
        hash,
        entry: AuditEntry { at, actor, action, object, outcome, details_json },
    })
}

/// Checks a document with nothing but itself and a key.
pub(crate) fn verify_file(invocation: &Invocation, file: &Path, args: &Verify) -> Result<Exit, Failure> {
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Exit::NotFound, format!("{} is no evidence that can be read", file.display())).because_of(error)
    };
    let opened = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let reader = std::io::BufReader::new(std::io::Read::take(opened, MAX_DOCUMENT));
    let evidence: Evidence = serde_json::from_reader(reader).map_err(|error| unreadable(&error))?;
    let key = args.key.as_deref().map(key).transpose()?;
    let proved = verify(&evidence, key.as_deref()).map_err(|error| bad(&error))?;
    print(invocation, &proved)?;
    if key.is_none() {
        invocation.out.talk(
            "no --key was given: it was checked with the key that is in it. Get the key from the fleet's owner another way.",
        );
    }
    Ok(exit(&proved))
}

pub(crate) fn key(text: &str) -> Result<String, Failure> {
    let is_key = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_key(text) {
        return Ok(text.to_owned());
    }
    let read = std::fs::read_to_string(text).map(|contents| contents.trim().to_owned());
    match read {
        Ok(contents) if is_key(&contents) => Ok(contents),
        _ => Err(Failure::new(
            Exit::Usage,
            format!("--key {} is neither 64 hex digits nor a file with them", clean(text)),
        )),
    }
}

fn bad(error: &BadEvidence) -> Failure {
    Failure::new(Exit::Bad, "this proves nothing").because_of(error)
}

fn exit(proved: &Proved) -> Exit {
    if proved.holds() { Exit::Good } else { Exit::Bad }
}

/// What was proved, for machines.
#[derive(Serialize)]
struct Document {
    holds: bool,
    key: String,
    first: u64,
    sequence: u64,
    head: String,
    signed_at: String,
    checks: Vec<CheckDocument>,
}

#[derive(Serialize)]
struct CheckDocument {
    holds: bool,
    check: String,
}

fn print(invocation: &Invocation, proved: &Proved) -> Result<(), Failure> {
    let Proved { key, checkpoint, entries: _, first, checks } = proved;
    let document = Document {
        holds: proved.holds(),
        key: key.clone(),
        first: *first,
        sequence: checkpoint.sequence,
        head: checkpoint.head.to_string(),
        signed_at: checkpoint.signed_at.to_string(),
        checks: checks
            .iter()
            .map(|check| CheckDocument { holds: check.holds, check: check.sentence.clone() })
            .collect(),
    };
    invocation.out.object("Evidence", &document, &document.head, |style| text(proved, style))
}

/// For people.
fn text(proved: &Proved, style: Style) -> String {
    let Proved { key, checkpoint, entries, first, checks } = proved;
    let sign = |holds: bool| if holds { Sign::Ok } else { Sign::Failed };
    let signed_at = time::stamp(&checkpoint.signed_at.to_string());
    let last = checkpoint.sequence;
    let mut lines = vec![
        style
            .say(Sign::Ok, &format!("{} of the log, {first} to {last}, follow one from another", entries_of(*entries))),
        style.say(Sign::Ok, &format!("their head {} was signed {signed_at} with key {key}", checkpoint.head.short())),
    ];
    lines.extend(checks.iter().map(|check| style.say(sign(check.holds), &clean(&check.sentence))));
    lines.join("\n")
}

fn entries_of(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}
