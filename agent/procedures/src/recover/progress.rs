//! `var/flota/recover.json`: how far a recovery is, written before and after each step.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_model::Digest;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::durable::{self, WriteError};

/// Where the journal is, relative to the root of the installation.
pub const PROGRESS_PATH: &str = "var/flota/recover.json";
/// Largest journal, in bytes; six steps with their files have a few kilobytes.
const MAX_PROGRESS_BYTES: u64 = 1 << 20;
/// The format of the file. Another one is refused, not guessed at.
const FORMAT: u32 = 1;
/// The journal names evidence, which is for the operators of the installation only.
const MODE: u32 = 0o600;

/// What was asked for. A recovery goes on only for the same request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The backup.
    pub backup: Option<PathBuf>,
    /// The package to apply.
    pub package: Option<PathBuf>,
    /// The evidence file.
    pub evidence: Option<PathBuf>,
}

/// A recovery under way, or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    format: u32,
    /// When it began, ISO 8601.
    pub began_at: String,
    /// What was asked for.
    pub request: Request,
    /// The release that was chosen in [`Step::Find`].
    pub release: Option<Digest>,
    /// The steps that were gone through, in order.
    pub steps: Vec<StepRecord>,
}

/// One step that was gone through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// Which.
    pub step: Step,
    /// How it ended.
    pub status: StepStatus,
    /// When, ISO 8601.
    pub at: String,
    /// What was done, or why not, in a sentence.
    pub detail: String,
    /// The files that prove it.
    pub evidence: Vec<FileProof>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// Tried, without success; tried again by the next run.
    Failed,
}

/// A file that proves something, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileProof {
    /// The file.
    pub file: String,
    /// SHA-256 of its contents.
    pub sha256: Digest,
    /// Its size, in bytes.
    pub size: u64,
}

/// Why the journal of a recovery cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// It cannot be read.
    #[error("reading the recovery journal {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not what this version writes. Start anew with `--restart`.
    #[error("the recovery journal {} cannot be understood: begin anew with --restart", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// Another recovery has not ended.
    #[error("the recovery that began at {0} has not ended: repeat its flags to go on, or begin anew with --restart")]
    OtherRequest(String),
    /// It cannot be put into words; a fault of the program.
    #[error("encoding the recovery journal")]
    Encode(#[source] serde_json::Error),
    /// It cannot be written, so nothing may be done.
    #[error("writing the recovery journal")]
    Write(#[from] WriteError),
}

impl Progress {
    /// A recovery that begins.
    pub fn begin(request: Request, began_at: String) -> Self {
        Self { format: FORMAT, began_at, request, release: None, steps: Vec::new() }
    }

    /// The recovery to go on with: the one on disk if it has not ended and is for this request, else a new one.
    pub fn take_up(found: Option<Self>, request: Request, now: String) -> Result<Self, ProgressError> {
        match found {
            Some(found) if found.has_ended() => Ok(Self::begin(request, now)),
            Some(found) if found.request == request => Ok(found),
            Some(found) => Err(ProgressError::OtherRequest(found.began_at)),
            None => Ok(Self::begin(request, now)),
        }
    }

    /// Reads the journal of the installation at `root`; none before the first recovery.
    pub fn load(root: &Path) -> Result<Option<Self>, ProgressError> {
        let path = root.join(PROGRESS_PATH);
        let failed = |source| ProgressError::Read { path: path.clone(), source };
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(MAX_PROGRESS_BYTES + 1).read_to_end(&mut text).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if text.len() as u64 > MAX_PROGRESS_BYTES {
            return Err(failed(io::Error::other(format!("it has more than {MAX_PROGRESS_BYTES} bytes"))));
        }
        let unknown = |source| ProgressError::Unknown { path: path.clone(), source };
        let progress: Self = serde_json::from_slice(&text).map_err(unknown)?;
        if progress.format != FORMAT {
            return Err(unknown(serde::de::Error::custom(format!("its format is {}", progress.format))));
        }
        Ok(Some(progress))
    }

    /// Writes the journal; when this returns, it survives a power cut.
    pub fn store(&self, root: &Path) -> Result<(), ProgressError> {
        let path = root.join(PROGRESS_PATH);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| ProgressError::Read { path: folder.to_owned(), source })?;
        }
        let text = serde_json::to_string_pretty(self).map_err(ProgressError::Encode)? + "\n";
        Ok(durable::write_file(&path, MODE, text.as_bytes())?)
    }

    /// The first step that is not done; none if all are.
    pub fn next(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| !self.is_done(*step))
    }

    /// Whether a step needs no other attempt.
    pub fn is_done(&self, step: Step) -> bool {
        self.record(step).is_some_and(|record| record.status != StepStatus::Failed)
    }

    /// What is known of a step.
    pub fn record(&self, step: Step) -> Option<&StepRecord> {
        self.steps.iter().find(|record| record.step == step)
    }

    /// Notes a step, in place of an earlier attempt at it.
    pub fn note(&mut self, record: StepRecord) {
        self.steps.retain(|old| old.step != record.step);
        self.steps.push(record);
        self.steps.sort_by_key(|record| record.step);
    }

    /// Whether every step is done.
    pub fn has_ended(&self) -> bool {
        self.next().is_none()
    }
}
