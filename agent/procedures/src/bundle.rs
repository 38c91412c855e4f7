//! The security export: the audit log, the alerts and the ends of other logs in one signed file.
//!
//! The logs may be many gigabytes long and are being written meanwhile. Each is read once, as far as it reached when it
//! was opened, in bounded memory: canonical JSON has sorted keys, so the file is written in that order and the HMAC
//! runs along. Of a log whose end alone is taken, the lines that an earlier export counted are not counted again.

mod count;
mod entries;
mod ledger;
mod lines;
mod report;
mod sealed;
mod source;
mod tail;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use flota_seal::secret::Secret;
use flota_seal::signature::{Algorithm, Signer};
use jiff::Timestamp;

pub use report::{ExportReport, FileReport, FileState, Role, Status};
pub use tail::MAX_TAIL_LINES;
pub use verdict::{InvalidBundle, MAX_BUNDLE_LEN, Verdict, verify};

use crate::durable::{self, AtomicFile, WriteError};
use crate::iso_time;
use entries::Entries;
use ledger::Ledger;
use sealed::SealedWriter;
use source::Source;

/// Lines of each log's end that an export holds by default, and in the manual's script always.
pub const DEFAULT_TAIL_LINES: usize = 50;

/// Only the owner reads an export: it holds what the audit log holds.
const MODE: u32 = 0o600;

/// Exports of one kind that one folder takes in one second. More than a few mean a loop, not an operator.
const MAX_SAME_SECOND: u32 = 1000;

/// What to export, and where to. [`ExportRequest::new`] gives the manual's defaults.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The folder of the bot's installation, which relative paths start from.
    pub root: PathBuf,
    /// The audit log, JSON Lines.
    pub audit: PathBuf,
    /// The alerts, JSON Lines.
    pub alerts: PathBuf,
    /// The logs whose ends are included.
    pub logs: Logs,
    /// The folder for the export, made if it is missing; or, if it has a file extension and no folder stands there, the
    /// file itself, which is replaced.
    pub output: PathBuf,
    /// Facts to sign along, such as the number of the incident.
    pub metadata: Metadata,
    /// Lines of each log's end, [`MAX_TAIL_LINES`] at most; a log's end is also bounded in bytes, see
    /// [`FileState::Partial`].
    pub tail_lines: usize,
}

/// The logs whose ends an export includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logs {
    /// `logs/trading_controller.log`, if it is there.
    Default,
    /// These; one that is missing appears as an empty one.
    These(Vec<PathBuf>),
}

/// What to export of the audit log alone, and where to. [`AuditExportRequest::new`] gives the manual's defaults.
#[derive(Debug, Clone)]
pub struct AuditExportRequest {
    /// The folder of the bot's installation, which relative paths start from.
    pub root: PathBuf,
    /// The audit log, JSON Lines.
    pub audit: PathBuf,
    /// The folder or the file, as in [`ExportRequest::output`].
    pub output: PathBuf,
    /// Facts to sign along.
    pub metadata: Metadata,
    /// How many of the last entries to take; `None` is all.
    pub limit: Option<NonZeroU64>,
}

/// A JSON object of the operator's own, signed along with an export.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(BTreeMap<String, Json>);

/// Why a text is not [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is not JSON.
    #[error("the metadata is not JSON: quote it for the shell as one argument")]
    NotJson(#[source] ParseJsonError),
    /// It is JSON, but an array, a text or a number.
    #[error("the metadata is not a JSON object: write it as {{\"name\": value}}")]
    NotAnObject,
}

/// Why there is no export. A log that cannot be read is no such reason: the report names it.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder for the export is missing and could not be made.
    #[error("cannot create the folder '{}' for the export: name one that this user may create", folder.display())]
    CreateFolder {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write the export")]
    Write(#[from] WriteError),
}

impl ExportRequest {
    /// The manual's defaults for the installation in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            audit: "logs/security_admin.log".into(),
            alerts: "logs/security_alerts.log".into(),
            logs: Logs::Default,
            output: "exports/security".into(),
            metadata: Metadata::default(),
            tail_lines: DEFAULT_TAIL_LINES,
        }
    }
}

impl AuditExportRequest {
    /// The manual's defaults for the installation in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let ExportRequest { root, audit, output, metadata, .. } = ExportRequest::new(root);
        Self { root, audit, output, metadata, limit: None }
    }
}

impl Metadata {
    /// Reads a JSON object.
    pub fn parse(text: &str) -> Result<Self, MetadataError> {
        match Json::parse(text.as_bytes()).map_err(MetadataError::NotJson)? {
            Json::Object(members) => Ok(Self(members)),
            _ => Err(MetadataError::NotAnObject),
        }
    }
}

impl From<BTreeMap<String, Json>> for Metadata {
    fn from(members: BTreeMap<String, Json>) -> Self {
        Self(members)
    }
}

/// Writes the security export of §1 of the manual: `{"bundle": …, "signature": …}` under HMAC-SHA256.
///
/// A log that cannot be read whole has an `error` beside what there is of it.
///
/// It appears whole or not at all, with mode 0600, and two exports into one folder never replace each other, not even
/// within a second. Logs that are missing are empty; logs that cannot be read make the report [`Status::Partial`].
///
/// How far large logs were counted is kept in `var/flota/` below the root, for the next export to go on from there.
pub fn export(
    request: &ExportRequest,
    now: Timestamp,
    key: &Secret,
    key_id: Option<&str>,
) -> Result<ExportReport, ExportError> {
    let output = Output::new(&request.root, &request.output, "security_bundle", now);
    let mut export = Export::begin(output, now, key)?;
    export.member_entries(Role::Alerts, &request.root, &request.alerts)?;
    export.member_entries(Role::Audit, &request.root, &request.audit)?;
    export.member_generated_at()?;
    export.member_logs(request)?;
    export.member_metadata(&request.metadata)?;
    export.finish(key_id)
}

/// Writes the audit log alone, signed: `{"bundle": {"entries", "generated_at", "metadata", "source"}, "signature": …}`.
///
/// The file comes to be as with [`export`].
pub fn export_audit(
    request: &AuditExportRequest,
    now: Timestamp,
    key: &Secret,
    key_id: Option<&str>,
) -> Result<ExportReport, ExportError> {
    let output = Output::new(&request.root, &request.output, "security_audit", now);
    let mut export = Export::begin(output, now, key)?;
    export.entries(Role::Audit, &request.root, &request.audit, request.limit)?;
    export.member_generated_at()?;
    export.member_metadata(&request.metadata)?;
    export.write(|out| out.member("source", &path_text(&request.audit)))?;
    export.finish(key_id)
}

/// An export being written, member by member in the order of their names.
struct Export {
    out: SealedWriter<AtomicFile>,
    output: Output,
    generated_at: String,
    files: Vec<FileReport>,
    notes: Vec<String>,
}

impl Export {
    fn begin(output: Output, now: Timestamp, key: &Secret) -> Result<Self, ExportError> {
        durable::make_folder(&output.folder)
            .map_err(|source| ExportError::CreateFolder { folder: output.folder.clone(), source })?;
        let file = AtomicFile::create(&output.candidate(1), MODE)?;
        let path = file.path().to_owned();
        let out = SealedWriter::begin(file, Signer::new(Algorithm::HmacSha256, key))
            .map_err(|source| WriteError::Write { path, source })?;
        Ok(Self { out, output, generated_at: iso_time::format(now), files: Vec::new(), notes: Vec::new() })
    }

    fn member_entries(&mut self, role: Role, root: &Path, path: &Path) -> Result<(), ExportError> {
        self.write(|out| out.begin_object(role.name()))?;
        self.entries(role, root, path, None)?;
        self.write(|out| {
            out.member("source", &path_text(path))?;
            out.end()
        })
    }

    fn entries(&mut self, role: Role, root: &Path, path: &Path, limit: Option<NonZeroU64>) -> Result<(), ExportError> {
        self.write(|out| out.begin_array("entries"))?;
        let state = match Source::open(&root.join(path)) {
            Source::Missing => FileState::Missing,
            Source::Unreadable(problem) => FileState::Unreadable { problem },
            Source::Open(source) => {
                let mut entries = Entries::new(source, limit);
                for entry in &mut entries {
                    self.write(|out| out.item(&entry))?;
                }
                entries.into_state()
            }
        };
        self.write(SealedWriter::end)?;
        if let Some(problem) = state.problem() {
            self.write(|out| out.member("error", &problem.into()))?;
        }
        self.files.push(FileReport { role, path: path.to_owned(), state });
        Ok(())
    }

    fn member_generated_at(&mut self) -> Result<(), ExportError> {
        let generated_at = Json::from(self.generated_at.as_str());
        self.write(|out| out.member("generated_at", &generated_at))
    }

    fn member_logs(&mut self, request: &ExportRequest) -> Result<(), ExportError> {
        let default = PathBuf::from("logs/trading_controller.log");
        let paths = match &request.logs {
            Logs::These(paths) => paths.clone(),
            // If nobody can tell whether it is there, reading it will say why.
            Logs::Default if request.root.join(&default).try_exists().unwrap_or(true) => vec![default],
            Logs::Default => Vec::new(),
        };
        // A log that is named twice is one member, as in the bot's dictionary.
        let named: BTreeMap<String, PathBuf> =
            paths.into_iter().map(|path| (source::name(&request.root, &path), path)).collect();
        let mut ledger = Ledger::open(&request.root);
        self.write(|out| out.begin_object("logs"))?;
        for (name, path) in named {
            let (end, state) = tail::read(&request.root.join(&path), request.tail_lines, &mut ledger);
            self.write(|out| out.member(&name, &end))?;
            self.files.push(FileReport { role: Role::Log, path, state });
        }
        self.notes = ledger.close();
        self.write(SealedWriter::end)
    }

    fn member_metadata(&mut self, metadata: &Metadata) -> Result<(), ExportError> {
        let metadata = Json::Object(metadata.0.clone());
        self.write(|out| out.member("metadata", &metadata))
    }

    fn finish(self, key_id: Option<&str>) -> Result<ExportReport, ExportError> {
        let failed = |source| WriteError::Write { path: self.output.candidate(1), source };
        let (file, signature) = self.out.finish(key_id).map_err(failed)?;
        let bundle_path = self.output.commit(file)?;
        let Self { generated_at, files, notes, .. } = self;
        Ok(ExportReport { bundle_path, generated_at, signature, files, notes })
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut SealedWriter<AtomicFile>) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        write(&mut self.out).map_err(|source| WriteError::Write { path: self.output.candidate(1), source }.into())
    }
}

/// Where an export goes.
struct Output {
    /// The folder, from the root of the file system or of the process.
    folder: PathBuf,
    /// The folder as the request gives it, for the report.
    given: PathBuf,
    naming: Naming,
}

enum Naming {
    /// This name, replacing what has it.
    Fixed(PathBuf),
    /// This stem and `.json`, or with a number between them if that is taken.
    Free(String),
}

impl Output {
    fn new(root: &Path, given: &Path, prefix: &str, now: Timestamp) -> Self {
        let path = root.join(given);
        let has_extension = path.extension().is_some_and(|extension| !extension.is_empty());
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if has_extension && !path.is_dir() => Self {
                folder: folder.to_owned(),
                given: given.parent().unwrap_or(Path::new("")).to_owned(),
                naming: Naming::Fixed(name.into()),
            },
            _ => Self {
                folder: path,
                given: given.to_owned(),
                naming: Naming::Free(format!("{prefix}_{}", now.strftime("%Y%m%dT%H%M%SZ"))),
            },
        }
    }

    fn name(&self, number: u32) -> PathBuf {
        match &self.naming {
            Naming::Fixed(name) => name.clone(),
            Naming::Free(stem) if number == 1 => format!("{stem}.json").into(),
            Naming::Free(stem) => format!("{stem}-{number}.json").into(),
        }
    }

    fn candidate(&self, number: u32) -> PathBuf {
        self.folder.join(self.name(number))
    }

    /// Gives the finished file its name and returns its path as the request would spell it.
    fn commit(&self, file: AtomicFile) -> Result<PathBuf, WriteError> {
        let path = match &self.naming {
            Naming::Fixed(name) => {
                file.commit()?;
                return Ok(self.given.join(name));
            }
            Naming::Free(_) => file.commit_first_free((1..=MAX_SAME_SECOND).map(|number| self.candidate(number)))?,
        };
        Ok(path.file_name().map_or(path.clone(), |name| self.given.join(name)))
    }
}

fn path_text(path: &Path) -> Json {
    path.to_string_lossy().into_owned().into()
}
