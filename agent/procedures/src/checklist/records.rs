//! `var/flota/procedures.json`: the last result of each procedure on this host.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use crate::durable::{self, WriteError};
use crate::iso_time;

/// Where the records are, relative to the root of the installation.
const RECORDS_PATH: &str = "var/flota/procedures.json";

/// Held while the records are replaced: the agent and a command may finish at the same time.
const LOCK_PATH: &str = "var/flota/procedures.lock";

/// Largest records file, in bytes; six records have about two kilobytes.
const MAX_RECORDS_BYTES: u64 = 1 << 20;

/// The format of the file. A file of another one is refused, not guessed at.
const FORMAT_VERSION: u64 = 1;

/// Permissions of the file: it names evidence, which is for the operators of the installation only.
const RECORDS_MODE: u32 = 0o600;

/// A procedure of the manual whose last result is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Procedure {
    /// Manual §1.
    SecurityExport,
    /// Manual §2.
    PackageCheck,
    /// Manual §3.
    TpmEvidence,
    /// Manual §4.
    ExchangeHealth,
    /// Manual §5: an update was committed or rolled back.
    Update,
    /// Manual §7: the update was recorded in the ticket system.
    Ticket,
}

/// How a procedure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Otherwise.
    Failed,
}

/// What proves a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A file, and its digest when it was the proof.
    File {
        /// The file, as the procedure was given it or reported it.
        path: String,
        /// SHA-256 of its contents.
        sha256: [u8; 32],
    },
    /// The name of a record elsewhere: an operation, a ticket.
    Record {
        /// That name.
        id: String,
    },
}

/// The result of one run of a procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which one.
    pub procedure: Procedure,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// What proves it.
    pub proof: Option<Proof>,
}

/// The last result of each procedure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<Procedure, Record>);

/// Why the records cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file cannot be read.
    #[error("reading the procedure records {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not JSON. Move it away: the procedures will fill a new one.
    #[error("the procedure records {} are not JSON: move the file away", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParseJsonError,
    },
    /// The file is JSON of another shape, or of a later version of Flota. Move it away, or run that version.
    #[error("the procedure records {} have no known format: move the file away", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The lock beside the file cannot be taken.
    #[error("locking {} failed", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The new file cannot be written.
    #[error("keeping the procedure record failed")]
    Write(#[from] WriteError),
}

/// Reads the records of the installation at `root`; there are none before the first procedure.
///
/// # Errors
/// [`RecordsError`], of reading.
pub fn load(root: &Path) -> Result<Records, RecordsError> {
    let path = root.join(RECORDS_PATH);
    let failed = |source| RecordsError::Read { path: path.clone(), source };
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(MAX_RECORDS_BYTES + 1).read_to_end(&mut text).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Records::default()),
        Err(error) => return Err(failed(error)),
    };
    if text.len() as u64 > MAX_RECORDS_BYTES {
        return Err(failed(io::Error::other(format!("it has more than {MAX_RECORDS_BYTES} bytes"))));
    }
    let document = Json::parse(&text).map_err(|source| RecordsError::NotJson { path: path.clone(), source })?;
    Records::from_json(&document).ok_or(RecordsError::UnknownFormat { path })
}

/// Keeps the result of a procedure, unless a later one of that procedure is there already. Safe against other processes.
///
/// # Errors
/// [`RecordsError`]. The result of the procedure itself stands all the same.
pub fn record(root: &Path, record: Record) -> Result<(), RecordsError> {
    let lock_path = root.join(LOCK_PATH);
    let failed = |source| RecordsError::Lock { path: lock_path.clone(), source };
    if let Some(folder) = lock_path.parent() {
        durable::make_folder(folder).map_err(failed)?;
    }
    let lock = durable::lock_file(&lock_path).map_err(failed)?;
    // Released when `lock` is closed, also by a crash.
    rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive)).map_err(|errno| failed(errno.into()))?;
    let mut records = load(root)?;
    if records.last(record.procedure).is_some_and(|last| last.at > record.at) {
        return Ok(());
    }
    records.insert(record);
    let text = records.to_json().pretty() + "\n";
    Ok(durable::write_file(&root.join(RECORDS_PATH), RECORDS_MODE, text.as_bytes())?)
}

impl Procedure {
    const ALL: [Self; 6] =
        [Self::SecurityExport, Self::PackageCheck, Self::TpmEvidence, Self::ExchangeHealth, Self::Update, Self::Ticket];

    /// The spelling in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecurityExport => "security_export",
            Self::PackageCheck => "package_check",
            Self::TpmEvidence => "tpm_evidence",
            Self::ExchangeHealth => "exchange_health",
            Self::Update => "update",
            Self::Ticket => "ticket",
        }
    }
}

impl Records {
    /// The last result of a procedure.
    pub fn last(&self, procedure: Procedure) -> Option<&Record> {
        self.0.get(&procedure)
    }

    /// Replaces the result of the record's procedure.
    pub fn insert(&mut self, record: Record) {
        self.0.insert(record.procedure, record);
    }

    fn to_json(&self) -> Json {
        let records = self.0.values().map(|record| (record.procedure.as_str(), record.to_json()));
        Json::object([("version", Json::from(FORMAT_VERSION)), ("records", Json::object(records))])
    }

    fn from_json(document: &Json) -> Option<Self> {
        if document.member("version")?.as_u64()? != FORMAT_VERSION {
            return None;
        }
        let mut records = Self::default();
        for (name, value) in document.member("records")?.as_object()? {
            let procedure = Procedure::ALL.into_iter().find(|procedure| procedure.as_str() == name)?;
            records.insert(Record::from_json(procedure, value)?);
        }
        Some(records)
    }
}

impl Record {
    fn to_json(&self) -> Json {
        let outcome = match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
        };
        Json::object([
            ("at", Json::from(self.at.to_string().as_str())),
            ("outcome", Json::from(outcome)),
            ("evidence", self.proof.as_ref().map_or(Json::Null, Proof::to_json)),
        ])
    }

    fn from_json(procedure: Procedure, value: &Json) -> Option<Self> {
        Some(Self {
            procedure,
            at: iso_time::parse(value.member("at")?.as_str()?).ok()?,
            outcome: match value.member("outcome")?.as_str()? {
                "passed" => Outcome::Passed,
                "failed" => Outcome::Failed,
                _ => return None,
            },
            proof: match value.member("evidence")? {
                Json::Null => None,
                proof => Some(Proof::from_json(proof)?),
            },
        })
    }
}

impl Proof {
    /// `{"file", "sha256"}` or `{"record"}`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::File { path, sha256 } => Json::object([
                ("file", Json::from(path.as_str())),
                ("sha256", Json::from(hex::encode(sha256).as_str())),
            ]),
            Self::Record { id } => Json::object([("record", Json::from(id.as_str()))]),
        }
    }

    fn from_json(value: &Json) -> Option<Self> {
        let text = |field| value.member(field).and_then(Json::as_str);
        if let Some(id) = text("record") {
            return Some(Self::Record { id: id.to_owned() });
        }
        let mut sha256 = [0; 32];
        hex::decode_to_slice(text("sha256")?, &mut sha256).ok()?;
        Some(Self::File { path: text("file")?.to_owned(), sha256 })
    }
}
