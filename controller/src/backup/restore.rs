//! A controller returns from a backup.

use std::fs;
use std::path::Path;

use flota_model::audit::AuditEntry;
use flota_model::evidence::{Checkpoint, SealedCheckpoint};
use flota_model::recovery::{Recovery, RecoveryEnd};
use flota_model::rollout::IntentVerb;
use flota_model::{Clock, RolloutId};
use flota_store::{AuditStore as _, RecoveryRecord, RecoveryStore as _, RolloutStore as _};
use flota_store_sqlite::SqliteStore;
use serde_json::json;

use super::tree::{copy, private};
use super::{Backup, BackupError, Manifest, entry, failed, read, signed, verify};
use crate::files;
use crate::init::DATABASE;
use crate::settings;

/// Numbers of rollouts that are left out after a return: more than are begun between two backups.
const ROLLOUTS_LEFT_OUT: u32 = 1000;

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

/// A controller in `data_dir`, which must be empty, as it was when the backup was made. `checkpoints`: a newer copy of
/// `audit-checkpoints.jsonl`, to tell how much is lost. The settings come last: without them no controller runs, so one whose
/// return was cut off cannot go on as if nothing had happened.
pub async fn restore(
    folder: &Path,
    data_dir: &Path,
    checkpoints: Option<&Path>,
    clock: &dyn Clock,
) -> Result<Returned, BackupError> {
    let backup = verify(folder).await?;
    files::private_folder(data_dir)?;
    if fs::read_dir(data_dir).map_err(failed("listing", data_dir))?.next().is_some() {
        return Err(BackupError::NotEmpty(data_dir.to_owned()));
    }
    let manifest = read(folder)?;
    for name in manifest.files.keys().filter(|name| *name != settings::FILE_NAME) {
        let to = data_dir.join(name);
        if let Some(parent) = to.parent() {
            files::private_folder(parent)?;
        }
        copy(&folder.join(name), &to)?;
    }
    private(&data_dir.join(DATABASE))?;
    let store = SqliteStore::open(&data_dir.join(DATABASE)).await?;
    let paused = stand_still(&store, &manifest, clock).await?;
    end_recoveries(&store, clock).await?;
    let next_rollout = store.leave_rollouts_out(ROLLOUTS_LEFT_OUT).await?;
    let key = &manifest.checkpoint.public_key;
    let newest = checkpoints.map(|path| newest_checkpoint(path, key)).transpose()?.flatten();
    let lost = newest.map(|newest| newest.sequence.saturating_sub(backup.entries));
    let details = json!({
        "made_at": manifest.made_at, "entries": backup.entries, "paused": paused, "next_rollout": next_rollout,
        "lost": lost,
    });
    store.append_audit(&[entry(clock, "controller.restore", &details)]).await?;
    store.close().await;
    copy(&folder.join(settings::FILE_NAME), &data_dir.join(settings::FILE_NAME))?;
    files::sync_parent(&data_dir.join(settings::FILE_NAME))?;
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
        let audit = AuditEntry { object: format!("rollout/{id}"), ..entry(clock, "rollout.pause", &details) };
        if store.set_intent(id, &record.intent, &record.intent.with(IntentVerb::Pause), &audit).await? {
            paused.push(id);
        }
    }
    Ok(paused)
}

/// Recoveries make rollouts by themselves; a person begins them anew where they are wanted still.
async fn end_recoveries(store: &SqliteStore, clock: &dyn Clock) -> Result<(), BackupError> {
    for record in store.open_recoveries().await? {
        let why = "the controller returned from a backup: begin it anew if it is wanted still";
        let audit = AuditEntry {
            object: format!("recovery/{}", record.id),
            ..entry(clock, "recovery.abort", &json!({ "reason": why }))
        };
        let ended = Some((RecoveryEnd::Aborted(why.to_owned()), clock.now()));
        let recovery = Recovery { ended, ..record.recovery.clone() };
        // Nobody else has this database.
        let _ended = store.save_recovery(&RecoveryRecord { recovery, ..record }, Some(&audit)).await?;
    }
    Ok(())
}

/// The newest that this controller's key has signed; a torn line is none.
fn newest_checkpoint(path: &Path, key: &str) -> Result<Option<Checkpoint>, BackupError> {
    let text = files::read_text(path)?;
    let mut sealed = text.lines().filter_map(|line| serde_json::from_str::<SealedCheckpoint>(line).ok());
    let last = sealed.rfind(|sealed| sealed.public_key == key);
    last.map(|sealed| signed(&sealed)).transpose()
}
