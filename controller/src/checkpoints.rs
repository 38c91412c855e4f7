//! Signed heads of the audit log. Whoever keeps one elsewhere sees when what was before it is changed later.
//!
//! The key is in the data folder and signs checklists and reports on recoveries beside them, and nothing else; its public half is
//! beside it, to be handed to auditors. Once an hour, and at an orderly end, where there is something new, a checkpoint is put at the
//! end of a file: copy that file off this machine.

use std::path::Path;

use flota_model::evidence::{Checkpoint, DocumentKind, SealedCheckpoint, SealedDocument};
use flota_release::{KeyError, SigningKey};

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::files::{self, FileError};

/// The key, in the data folder.
const KEY_FILE: &str = "audit-key.pem";
/// Its public half: 64 hex digits.
const PUBLIC_FILE: &str = "audit-key.pub";
/// The checkpoints, one a line.
const LOG_FILE: &str = "audit-checkpoints.jsonl";

/// The key that signs the heads of the audit log.
#[derive(Debug)]
pub struct AuditKey {
    key: SigningKey,
    public: String,
}

/// The key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyError {
    /// It cannot be made or read.
    #[error("the key of the audit log")]
    Key(#[from] KeyError),
    /// Its public half cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AuditKey {
    /// The key of this data folder; the first time it is made.
    pub fn open(data_dir: &Path) -> Result<Self, AuditKeyError> {
        let path = data_dir.join(KEY_FILE);
        let key = if path.exists() { SigningKey::read(&path)? } else { SigningKey::create(&path)? };
        let public = hex::encode(key.public_bytes());
        files::replace(&data_dir.join(PUBLIC_FILE), 0o644, format!("{public}\n").as_bytes())?;
        Ok(Self { key, public })
    }

    /// Signs a document of this kind.
    pub fn seal_document(&self, kind: DocumentKind, document: String) -> SealedDocument {
        let signature = hex::encode(self.key.sign(&SealedDocument::message(kind, &document)));
        SealedDocument { document, public_key: self.public.clone(), signature }
    }

    /// Signs a checkpoint.
    pub fn seal(&self, checkpoint: &Checkpoint) -> Result<SealedCheckpoint, Fault> {
        let checkpoint = serde_json::to_string(checkpoint)
            .map_err(|error| Fault::new(Code::Bug, "a checkpoint could not be written").because(error))?;
        let signature = hex::encode(self.key.sign(&SealedCheckpoint::message(&checkpoint)));
        Ok(SealedCheckpoint { checkpoint, public_key: self.public.clone(), signature })
    }
}

/// Signs the log as it was at this entry; 0: as it is. Gives the entry's place too.
pub async fn sign(core: &Core, sequence: u64) -> Result<(SealedCheckpoint, u64), Fault> {
    let row = match sequence {
        0 => core.store.audit(None, None, 1).await?.into_iter().next(),
        sequence => core.store.audit_from(sequence, 1).await?.into_iter().find(|row| row.sequence == sequence),
    };
    let row = row.ok_or_else(|| Fault::not_found("entry of the audit log", &sequence.to_string()))?;
    let checkpoint = Checkpoint { sequence: row.sequence, head: row.hash, signed_at: core.now() };
    Ok((core.audit_key.seal(&checkpoint)?, row.sequence))
}

/// Puts a checkpoint at the end of the file, if the log has grown since the last one.
pub async fn note(core: &Core, last: &mut u64) -> Result<(), Fault> {
    if core.store.audit(None, None, 1).await?.first().is_none_or(|row| row.sequence == *last) {
        return Ok(());
    }
    let (sealed, sequence) = sign(core, 0).await?;
    let line = serde_json::to_string(&sealed)
        .map_err(|error| Fault::new(Code::Bug, "a checkpoint could not be written").because(error))?;
    files::append_line(&core.settings.data_dir.join(LOG_FILE), &line)
        .map_err(|error| Fault::new(Code::Unavailable, "a checkpoint could not be kept").because(error))?;
    *last = sequence;
    Ok(())
}
