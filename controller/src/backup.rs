//! Backups of a controller, and its return from one.
//!
//! A backup is a folder: a copy of the database as it was at one moment, what else the data folder holds, and a list of all of it
//! with its digests and the signed head of the audit log. A controller that returns from one knows less than its fleet does: so
//! every rollout that ran stands still until a person lets it go on, and numbers of rollouts that may have been given out since
//! are not given out again. What hosts know and it does not, they tell it when they connect; quotes confirm it.

mod restore;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use flota_model::audit::{AuditEntry, BrokenChain, ChainVerifier};
use flota_model::evidence::{Checkpoint, SealedCheckpoint};
use flota_model::{Clock, Digest, Timestamp};
use flota_seal::evidence::verify_checkpoint;
use flota_store::{AuditStore as _, StoreError};
use flota_store_sqlite::SqliteStore;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::checkpoints::{AuditKey, AuditKeyError};
use crate::files::{self, FileError};
use crate::init::DATABASE;
use crate::settings::{self, BadSettings, Settings};

pub use restore::{Returned, restore};
use tree::{copy, copy_blobs, folder_beside, listed, private};

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
    /// Something is there.
    #[error("{} is there already: nothing is written over", .0.display())]
    Taken(PathBuf),
    /// The folder is not empty.
    #[error("{} is not empty: nothing is written over. Move what is in it away, all of it", .0.display())]
    NotEmpty(PathBuf),
    /// It names no folder of its own.
    #[error("`{}` does not name the backup: give the folder that is to be made", .0.display())]
    Unnamed(PathBuf),
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

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// The backup.
    pub backup: Backup,
    /// Files that the controller needs and that are not in it: they are not in the data folder.
    pub left_out: Vec<PathBuf>,
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> BackupError + 'a {
    move |source| BackupError::Io { doing, path: path.to_owned(), source }
}

/// Copies the controller of `data_dir`, which may run, into a folder that is not there yet.
pub async fn make(data_dir: &Path, to: &Path, clock: &dyn Clock) -> Result<Made, BackupError> {
    let settings = Settings::load(data_dir)?;
    let key = AuditKey::open(data_dir)?;
    if to.exists() {
        return Err(BackupError::Taken(to.to_owned()));
    }
    if to.file_name().is_none() {
        return Err(BackupError::Unnamed(to.to_owned()));
    }
    // Aside first: a folder with that name is whole. What fails leaves nothing behind.
    let whole = folder_beside(to)?;
    let aside = whole.path().to_owned();
    let store = SqliteStore::open(&data_dir.join(DATABASE)).await?;
    if store.audit(None, None, 1).await?.is_empty() {
        return Err(BackupError::Empty);
    }
    store.append_audit(&[entry(clock, "controller.backup", &json!({ "to": to }))]).await?;
    store.copy_to(&aside.join(DATABASE)).await?;
    store.close().await;
    private(&aside.join(DATABASE))?;
    // The blobs after the database: what it names was there before it was named.
    copy_blobs(&data_dir.join(BLOBS), &aside.join(BLOBS))?;
    let (named, left_out) = named_files(data_dir, &settings);
    for name in FILES.iter().map(PathBuf::from).chain(named).filter(|name| data_dir.join(name).is_file()) {
        let to = aside.join(&name);
        files::private_folder(files::parent(&to))?;
        copy(&data_dir.join(name), &to)?;
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
    // It is not there any more under that name.
    let _moved = whole.keep();
    Ok(Made { backup: made, left_out })
}

/// Files that the settings name: those of the data folder, by their paths in it, and others.
fn named_files(data_dir: &Path, settings: &Settings) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let named = settings.webhook.iter().map(|webhook| &webhook.key_file).chain([&settings.ek_roots]);
    let receivers = settings.alerts.receivers.iter().flat_map(|one| one.key_file.iter().chain(&one.token_file));
    let tickets = settings.tickets.iter().flat_map(|one| one.key_file.iter().chain(&one.token_file));
    let named = named.chain(receivers).chain(tickets).chain(&settings.exports.keys_file);
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for path in named {
        match path.strip_prefix(data_dir) {
            Ok(name) if name.components().all(|part| matches!(part, Component::Normal(_))) => {
                inside.push(name.to_owned());
            }
            _ => outside.push(path.clone()),
        }
    }
    (inside, outside)
}

/// Checks that every file is there and what it was, and that its log holds up to its signed head.
pub async fn verify(folder: &Path) -> Result<Backup, BackupError> {
    let folder = &fs::canonicalize(folder).map_err(failed("opening", folder))?;
    let manifest = read(folder)?;
    let found = listed(folder)?;
    for (name, entry) in &manifest.files {
        // Opening the database writes beside it; what it holds is checked by its digest.
        if found.get(name) != Some(entry) {
            return Err(BackupError::Changed(name.clone()));
        }
    }
    let signed = signed(&manifest.checkpoint)?;
    let copy = folder_beside(folder)?;
    let entries = check_log(&folder.join(DATABASE), copy.path(), &signed).await?;
    let bytes = manifest.files.values().map(|entry| entry.size_bytes).sum();
    Ok(Backup { made_at: manifest.made_at, entries, files: manifest.files.len(), bytes })
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

/// What the controller itself did.
fn entry(clock: &dyn Clock, action: &str, details: &serde_json::Value) -> AuditEntry {
    AuditEntry {
        at: clock.now(),
        actor: "controller".into(),
        action: action.into(),
        object: "controller".into(),
        outcome: "ok".into(),
        details_json: details.to_string(),
    }
}
