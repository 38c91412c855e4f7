//! The manual's procedures as the daemon carries them out: with the host's settings instead of flags.

mod oem;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_model::Digest;
use flota_procedures::bundle::{self, ExportError, ExportReport, ExportRequest, Logs};
use flota_procedures::checklist::{self, Outcome, Procedure, Proof, Record};
use flota_procedures::health::{
    self, CheckName, CredentialsError, ExchangeEntry, HealthError, HealthReport, HealthRequest, RequestError, Status,
    WantedCheck,
};
use jiff::Timestamp;

pub use flota_updater::{KeyFileError, digest_of, present, read_key};
pub use oem::{LICENCE_KEY, OemFindings, REVOCATION_KEY, ReadKeysError, TPM_KEYRING, check_oem, licence_keys};

use crate::settings::{ExportSettings, HealthSettings, Settings};

/// Where placeholders of the credentials file get their values: the process's environment, read where the program
/// begins and nowhere else.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A security export on disk, with what the controller's archive wants to know of it.
#[derive(Debug, Clone)]
pub struct ExportFile {
    /// The bundle.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
    /// What it holds.
    pub report: ExportReport,
}

/// Why there is no security export.
#[derive(Debug, thiserror::Error)]
pub enum TakeExportError {
    /// The key cannot be had.
    #[error("reading the export key")]
    Key(#[from] KeyFileError),
    /// It could not be written.
    #[error("making the security export")]
    Export(#[from] ExportError),
    /// It was written and cannot be read again.
    #[error("reading the security export {}", path.display())]
    Read {
        /// The bundle.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Why there is no health report. A bad exchange is a report, not an error.
#[derive(Debug, thiserror::Error)]
pub enum CheckExchangeError {
    /// `[health]` is absent.
    #[error("no exchange is set up: add [health] to the settings")]
    NotSetUp,
    /// The credentials cannot be had.
    #[error("reading the exchange credentials")]
    Credentials(#[from] CredentialsError),
    /// The settings ask for something impossible.
    #[error("the health check cannot begin")]
    Request(#[from] RequestError),
    /// The check-up could not begin.
    #[error("checking the exchange")]
    Check(#[from] HealthError),
}

impl Environment {
    /// Values from this function.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// No variable is set.
    pub fn empty() -> Self {
        Self::new(|_| None)
    }

    /// The value of a variable, if it is set.
    fn value(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

/// Makes a security export (manual §1) and keeps its outcome for the checklist. Blocks: it reads whole logs.
pub fn take_export(settings: &Settings, now: Timestamp) -> Result<ExportFile, TakeExportError> {
    let taken = write_export(&settings.root, &settings.export, now);
    let proof = taken
        .as_ref()
        .ok()
        .map(|taken| Proof::File { path: taken.path.display().to_string(), sha256: *taken.digest.as_bytes() });
    let outcome = if taken.is_ok() { Outcome::Passed } else { Outcome::Failed };
    keep(&settings.root, Procedure::SecurityExport, now, outcome, proof);
    taken
}

/// Checks the exchange (manual §4) and keeps the outcome for the checklist. No `checks` means all, and then the operator's
/// own too.
pub async fn check_exchange(
    settings: &Settings,
    checks: &[CheckName],
    environment: &Environment,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Result<HealthReport, CheckExchangeError> {
    let health = settings.health.as_ref().ok_or(CheckExchangeError::NotSetUp)?;
    let checked = ask_exchange(health, checks, environment, clock).await;
    let passed = checked.as_ref().is_ok_and(|report| report.overall() == Status::Healthy);
    let outcome = if passed { Outcome::Passed } else { Outcome::Failed };
    let (root, at) = (settings.root.clone(), clock());
    let kept = tokio::task::spawn_blocking(move || keep(&root, Procedure::ExchangeHealth, at, outcome, None));
    // A panic in there was reported by the runtime, and the check stands.
    let _ = kept.await;
    checked
}

/// Keeps the outcome of a procedure for the checklist. The procedure itself stands even if that fails. Blocks.
pub fn keep(root: &Path, procedure: Procedure, at: Timestamp, outcome: Outcome, proof: Option<Proof>) {
    if let Err(error) = checklist::record(root, Record { procedure, at, outcome, proof }) {
        let error = flota_daemon::error_chain::chain(&error);
        tracing::warn!(procedure = procedure.as_str(), error, "the outcome is not in the checklist");
    }
}

fn write_export(root: &Path, settings: &ExportSettings, now: Timestamp) -> Result<ExportFile, TakeExportError> {
    let ExportSettings { audit_path, alerts_path, include_logs, output_dir, key_file, key_id } = settings;
    let key = read_key(key_file, "export.key_file")?;
    let request = ExportRequest {
        audit: audit_path.clone(),
        alerts: alerts_path.clone(),
        logs: Logs::These(include_logs.clone()),
        output: output_dir.clone(),
        ..ExportRequest::new(root)
    };
    let report = bundle::export(&request, now, &key, key_id.as_deref())?;
    let path = root.join(report.bundle_path());
    let (digest, size) = digest_of(&path).map_err(|source| TakeExportError::Read { path: path.clone(), source })?;
    Ok(ExportFile { path, digest, size, report })
}

async fn ask_exchange(
    settings: &HealthSettings,
    checks: &[CheckName],
    environment: &Environment,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Result<HealthReport, CheckExchangeError> {
    let HealthSettings { exchange, credentials_file, base_url, ca_file, mode } = settings;
    let entry = ExchangeEntry::read(credentials_file, *exchange, &|name| environment.value(name))?;
    let overrides = health::HealthSettings {
        mode: *mode,
        base_url: base_url.clone(),
        ca_file: ca_file.clone(),
        ..health::HealthSettings::default()
    };
    let checks: Vec<_> = checks.iter().copied().map(WantedCheck::from).collect();
    let request = HealthRequest::new(*exchange, &checks, overrides.or(entry.settings))?.with_notes(entry.notes);
    Ok(health::check(&request, entry.credentials.as_ref(), clock).await?)
}
