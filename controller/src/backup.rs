//! Backups of a controller, and its return from one.
//!
//! A backup is a folder: a copy of the database as it was at one moment, what else the data folder holds, and a list of all of it
//! with its digests and the signed head of the audit log. A controller that returns from one knows less than its fleet does: so
//! every rollout that ran stands still until a person lets it go on, and numbers of rollouts that may have been given out since
//! are not given out again. What hosts know and it does not, they tell it when they connect; quotes confirm it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_model::audit::{AuditEntry, BrokenChain, ChainVerifier};
use flota_model::evidence::{Checkpoint, SealedCheckpoint};
use flota_model::rollout::IntentVerb;
use flota_model::{Clock, Digest, RolloutId, Timestamp};
use flota_seal::evidence::verify_checkpoint;
use flota_store::{AuditStore as _, RolloutStore as _, StoreError};
use flota_store_sqlite::SqliteStore;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Digest as _;

use crate::checkpoints::{AuditKey, AuditKeyError};
use crate::files::{self, FileError};
use crate::init::DATABASE;
use crate::settings::{self, BadSettings, Settings};

/// Names the form of a backup.
const FORMAT: &str = "flota backup 1";
/// The list of what is in it.
const MANIFEST: &str = "backup.json";
/// What is copied beside the database and the blobs: small files, those that are there.
const FILES: [&str; 9] = [
    settings::FILE_NAME,
    "ca.pem",
    "ca-key.pem",
    "audit-key.pem",
    "audit-key.pub",
    "audit-checkpoints.jsonl",
    "ek-roots.pem",
    crate::releases::ROOT,
    "release-trust.json",
];
/// The folder of blobs: packages and exports.
const BLOBS: &str = "blobs";
/// Numbers of rollouts that are left out after a return: more than are begun between two backups.
const ROLLOUTS_LEFT_OUT: u32 = 1000;
/// Bytes of a file that are read at once.
const READ_BYTES: usize = 1 << 17;
/// Entries of the log that are read at once.
const BATCH: u32 = 1000;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form.
    format: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The audit log's head in it, signed.
    checkpoint: SealedCheckpoint,
    /// Every file, by its path in the backup.
    files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    sha256: Digest,
    size_bytes: u64,
}

/// Why a backup was not made, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The settings of the controller.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The database.
    #[error("the database of the backup")]
    Store(#[from] StoreError),
    /// The audit key.
    #[error(transparent)]
    Key(#[from] AuditKeyError),
    /// A small file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another file.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The place is not empty.
    #[error("{} is there already: nothing is written over", .0.display())]
    Taken(PathBuf),
    /// It has no log yet.
    #[error("there is nothing in this controller's log: it has never run")]
    Empty,
    /// The list cannot be read.
    #[error("{} is no backup: its list cannot be read", path.display())]
    Unreadable {
        /// Of which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file is not what it was.
    #[error("`{0}` of the backup is missing or was changed")]
    Changed(String),
    /// The log of the backup does not hold.
    #[error("the audit log of the backup is broken")]
    Log(#[from] BrokenChain),
    /// The head was not signed by the key that is in it.
    #[error("the backup's signed head is not that of its log")]
    Head,
}

/// What was made or found.
#[derive(Debug)]
pub struct Backup {
    /// When it was made.
    pub made_at: Timestamp,
    /// Entries of the audit log in it.
    pub entries: u64,
    /// Files in it.
    pub files: usize,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// What a person must know after a return.
#[derive(Debug)]
pub struct Returned {
    /// The backup.
    pub backup: Backup,
    /// Rollouts that ran, and stand still now.
    pub paused: Vec<RolloutId>,
    /// The first number that the next rollout has.
    pub next_rollout: RolloutId,
    /// Entries of the log that are lost, where newer checkpoints say so.
    pub lost: Option<u64>,
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> BackupError + 'a {
    move |source| BackupError::Io { doing, path: path.to_owned(), source }
}

/// Copies the controller of `data_dir`, which may run, into a folder that is not there yet.
pub async fn make(data_dir: &Path, to: &Path, clock: &dyn Clock) -> Result<Backup, BackupError> {
    Settings::load(data_dir)?;
    let key = AuditKey::open(data_dir)?;
    if to.exists() {
        return Err(BackupError::Taken(to.to_owned()));
    }
    // Aside first: a folder with that name is whole.
    let aside = to.with_extension("partial");
    if aside.exists() {
        files::remove_folder(&aside)?;
    }
    files::private_folder(&aside)?;
    // The blobs before the database: what it names is there.
    copy_blobs(&data_dir.join(BLOBS), &aside.join(BLOBS))?;
    let store = SqliteStore::open(&data_dir.join(DATABASE)).await?;
    store.copy_to(&aside.join(DATABASE)).await?;
    store.close().await;
    for name in FILES.iter().filter(|name| data_dir.join(name).is_file()) {
        copy(&data_dir.join(name), &aside.join(name))?;
    }
    let copied = SqliteStore::open(&aside.join(DATABASE)).await?;
    let newest = copied.audit(None, None, 1).await?.into_iter().next().ok_or(BackupError::Empty)?;
    copied.close().await;
    let made_at = clock.now();
    let checkpoint = Checkpoint { sequence: newest.sequence, head: newest.hash, signed_at: made_at };
    let checkpoint = key.seal(&checkpoint).map_err(|_| BackupError::Head)?;
    let manifest = Manifest { format: FORMAT.to_owned(), made_at, checkpoint, files: listed(&aside)? };
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|source| BackupError::Unreadable { path: aside.clone(), source })?;
    files::create(&aside.join(MANIFEST), 0o600, &text)?;
    let made = verify(&aside).await?;
    files::rename(&aside, to)?;
    Ok(made)
}

/// Checks that every file is there and what it was, and that its log holds up to its signed head.
pub async fn verify(folder: &Path) -> Result<Backup, BackupError> {
    let manifest = read(folder)?;
    let found = listed(folder)?;
    for (name, entry) in &manifest.files {
        // Opening the database writes beside it; what it holds is checked by its digest.
        if found.get(name) != Some(entry) {
            return Err(BackupError::Changed(name.clone()));
        }
    }
    let signed = signed(&manifest.checkpoint)?;
    let copy = tempfile_beside(folder)?;
    let checked = check_log(&folder.join(DATABASE), &copy, &signed).await;
    files::remove_folder(&copy)?;
    let entries = checked?;
    let bytes = manifest.files.values().map(|entry| entry.size_bytes).sum();
    Ok(Backup { made_at: manifest.made_at, entries, files: manifest.files.len(), bytes })
}

/// A controller in `data_dir`, which must hold none, as it was when the backup was made. `checkpoints`: a newer copy of
/// `audit-checkpoints.jsonl`, to tell how much is lost.
pub async fn restore(
    folder: &Path,
    data_dir: &Path,
    checkpoints: Option<&Path>,
    clock: &dyn Clock,
) -> Result<Returned, BackupError> {
    let backup = verify(folder).await?;
    if data_dir.join(DATABASE).exists() || data_dir.join(settings::FILE_NAME).exists() {
        return Err(BackupError::Taken(data_dir.to_owned()));
    }
    files::private_folder(data_dir)?;
    let manifest = read(folder)?;
    for name in manifest.files.keys() {
        let to = data_dir.join(name);
        if let Some(parent) = to.parent() {
            files::private_folder(parent)?;
        }
        copy(&folder.join(name), &to)?;
    }
    let store = SqliteStore::open(&data_dir.join(DATABASE)).await?;
    let paused = stand_still(&store, &manifest, clock).await?;
    let next_rollout = store.leave_rollouts_out(ROLLOUTS_LEFT_OUT).await?;
    let newest = checkpoints.map(newest_checkpoint).transpose()?.flatten();
    let lost = newest.map(|newest| newest.sequence.saturating_sub(backup.entries));
    let details = json!({
        "made_at": manifest.made_at, "entries": backup.entries, "paused": paused, "next_rollout": next_rollout,
        "lost": lost,
    });
    let entry = AuditEntry {
        at: clock.now(),
        actor: "controller".into(),
        action: "controller.restore".into(),
        object: "controller".into(),
        outcome: "ok".into(),
        details_json: details.to_string(),
    };
    store.append_audit(&[entry]).await?;
    store.close().await;
    Ok(Returned { backup, paused, next_rollout, lost })
}

/// What ran goes on when a person says so: it may have been aborted after the backup.
async fn stand_still(
    store: &SqliteStore,
    manifest: &Manifest,
    clock: &dyn Clock,
) -> Result<Vec<RolloutId>, BackupError> {
    let mut paused = Vec::new();
    for record in store.active_rollouts().await?.iter().filter(|record| record.intent.verb == IntentVerb::Run) {
        let id = record.spec.id;
        let details = json!({ "reason": "the controller returned from a backup", "made_at": manifest.made_at });
        let audit = AuditEntry {
            at: clock.now(),
            actor: "controller".into(),
            action: "rollout.pause".into(),
            object: format!("rollout/{id}"),
            outcome: "ok".into(),
            details_json: details.to_string(),
        };
        if store.set_intent(id, &record.intent, &record.intent.with(IntentVerb::Pause), &audit).await? {
            paused.push(id);
        }
    }
    Ok(paused)
}

fn read(folder: &Path) -> Result<Manifest, BackupError> {
    let text = files::read_text(&folder.join(MANIFEST))?;
    let unreadable = |source| BackupError::Unreadable { path: folder.to_owned(), source };
    let manifest: Manifest = serde_json::from_str(&text).map_err(unreadable)?;
    if manifest.format == FORMAT { Ok(manifest) } else { Err(BackupError::Changed(MANIFEST.to_owned())) }
}

fn signed(sealed: &SealedCheckpoint) -> Result<Checkpoint, BackupError> {
    verify_checkpoint(sealed, None).map_err(|_| BackupError::Head)
}

/// The log of a copy, so that the backup itself stays as it is.
async fn check_log(database: &Path, aside: &Path, signed: &Checkpoint) -> Result<u64, BackupError> {
    let copied = aside.join(DATABASE);
    copy(database, &copied)?;
    let store = SqliteStore::open(&copied).await?;
    let mut verifier = ChainVerifier::default();
    loop {
        let rows = store.audit_from(verifier.accepted().saturating_add(1), BATCH).await?;
        if rows.is_empty() {
            break;
        }
        rows.iter().try_for_each(|row| verifier.accept(row))?;
    }
    store.close().await;
    if (verifier.accepted(), verifier.head()) == (signed.sequence, &signed.head) {
        Ok(verifier.accepted())
    } else {
        Err(BackupError::Head)
    }
}

fn newest_checkpoint(path: &Path) -> Result<Option<Checkpoint>, BackupError> {
    let text = files::read_text(path)?;
    let last = text.lines().rev().find_map(|line| serde_json::from_str::<SealedCheckpoint>(line).ok());
    last.map(|sealed| signed(&sealed)).transpose()
}

fn tempfile_beside(folder: &Path) -> Result<PathBuf, BackupError> {
    let aside = folder.with_extension("checking");
    if aside.exists() {
        files::remove_folder(&aside)?;
    }
    files::private_folder(&aside)?;
    Ok(aside)
}

/// Every file below `folder` but the list itself, by its path.
fn listed(folder: &Path) -> Result<BTreeMap<String, FileEntry>, BackupError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(failed("listing", &next))? {
            let path = entry.map_err(failed("listing", &next))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if name != MANIFEST {
                files.insert(name, digested(&path)?);
            }
        }
    }
    Ok(files)
}

fn digested(path: &Path) -> Result<FileEntry, BackupError> {
    let mut file = fs::File::open(path).map_err(failed("reading", path))?;
    let (mut hasher, mut size_bytes) = (sha2::Sha256::new(), 0_u64);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(failed("reading", path))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        size_bytes = size_bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(FileEntry { sha256: Digest::from_bytes(hasher.finalize().into()), size_bytes })
}

/// Whole blobs alone: what is being uploaded is sent again.
fn copy_blobs(from: &Path, to: &Path) -> Result<(), BackupError> {
    files::private_folder(to)?;
    if !from.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from).map_err(failed("listing", from))? {
        let path = entry.map_err(failed("listing", from))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != crate::blobs::PARTIAL {
            copy_blobs(&path, &to.join(name))?;
        } else if path.is_file() && name.parse::<Digest>().is_ok() {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::copy(from, to).map_err(failed("copying", from))?;
    let file = fs::File::open(to).map_err(failed("opening", to))?;
    file.sync_all().map_err(failed("syncing", to))
}
