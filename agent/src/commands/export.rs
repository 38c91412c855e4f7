//! Security exports (manual §1).

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use flota_procedures::bundle::{self, AuditExportRequest, ExportReport, ExportRequest, Logs, Metadata, Status};
use flota_procedures::checklist::{Procedure, Proof};
use flota_procedures::key;
use flota_seal::secret::Secret;
use jiff::Timestamp;

use super::Installation;
use super::environment::{self, AUDIT_KEY};
use super::output::{Answer, Failure, or_exit, outcome_of, remember};
use crate::procedures::{digest_of, present};

/// No export was written.
const EXIT_FAILED: u8 = 1;
/// The export is not valid, or nobody can tell.
const EXIT_INVALID: u8 = 2;
/// The export was written, and a log is not in it whole.
const EXIT_PARTIAL: u8 = 3;

#[derive(Args)]
pub(super) struct SecurityBundle {
    #[command(flatten)]
    installation: Installation,
    /// The audit log
    #[arg(long, value_name = "FILE")]
    audit_path: Option<PathBuf>,
    /// The alerts
    #[arg(long, value_name = "FILE")]
    alerts_path: Option<PathBuf>,
    /// A log whose end goes along; may be given several times
    #[arg(long = "include-log", value_name = "FILE")]
    include_logs: Vec<PathBuf>,
    /// The folder for the export, or the file if the name has an extension
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// A JSON object to sign along
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Lines of each log's end
    #[arg(long, value_name = "LINES", default_value_t = bundle::DEFAULT_TAIL_LINES, value_parser = tail_lines())]
    log_tail: usize,
}

#[derive(Args)]
pub(super) struct Audit {
    #[command(flatten)]
    installation: Installation,
    /// The audit log
    #[arg(long = "audit-path", value_name = "FILE")]
    log: Option<PathBuf>,
    /// The folder for the export, or the file if the name has an extension
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// A JSON object to sign along
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// How many of the last entries to take; all by default
    #[arg(long, value_name = "ENTRIES")]
    limit: Option<NonZeroU64>,
}

#[derive(Args)]
pub(super) struct Verify {
    /// The export
    file: PathBuf,
    /// The key: hex:…, base64:…, text, or the path of a file with one
    #[arg(long, value_name = "KEY")]
    hmac_key: String,
}

impl SecurityBundle {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let now = present();
        let root = self.installation.root;
        let defaults = ExportRequest::new(&root);
        let request = ExportRequest {
            audit: self.audit_path.unwrap_or(defaults.audit),
            alerts: self.alerts_path.unwrap_or(defaults.alerts),
            logs: if self.include_logs.is_empty() { Logs::Default } else { Logs::These(self.include_logs) },
            output: self.output_dir.unwrap_or(defaults.output),
            metadata: metadata(self.metadata.as_deref())?,
            tail_lines: self.log_tail,
            root: defaults.root,
        };
        let key = signing_key()?;
        let written = bundle::export(&request, now, &key, environment::audit_key_id().as_deref());
        if written.is_err() {
            remember(&root, Procedure::SecurityExport, now, outcome_of(EXIT_FAILED), None);
        }
        let report = written.map_err(or_exit(EXIT_FAILED))?;
        remember(&root, Procedure::SecurityExport, now, outcome_of(0), proof(&root, &report));
        Ok(answer(&report))
    }
}

impl Audit {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let defaults = AuditExportRequest::new(self.installation.root);
        let request = AuditExportRequest {
            audit: self.log.unwrap_or(defaults.audit),
            output: self.output_dir.unwrap_or(defaults.output),
            metadata: metadata(self.metadata.as_deref())?,
            limit: self.limit,
            root: defaults.root,
        };
        let key = signing_key()?;
        let now: Timestamp = present();
        let report = bundle::export_audit(&request, now, &key, environment::audit_key_id().as_deref());
        Ok(answer(&report.map_err(or_exit(EXIT_FAILED))?))
    }
}

impl Verify {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let key = key::load(&self.hmac_key, "--hmac-key").map_err(or_exit(EXIT_INVALID))?;
        let verdict = bundle::verify(&self.file, &key);
        Ok(Answer::json(&verdict.to_json(), if verdict.is_valid() { 0 } else { EXIT_INVALID }))
    }
}

fn tail_lines() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(..=bundle::MAX_TAIL_LINES as u64)
}

fn answer(report: &ExportReport) -> Answer {
    let code = match report.status() {
        Status::Ok => 0,
        Status::Partial => EXIT_PARTIAL,
    };
    Answer::json(&report.to_json(), code)
}

fn metadata(text: Option<&str>) -> Result<Metadata, Failure> {
    text.map_or_else(|| Ok(Metadata::default()), |text| Metadata::parse(text).map_err(or_exit(EXIT_FAILED)))
}

fn signing_key() -> Result<Secret, Failure> {
    let missing = || Failure::because(format!("{AUDIT_KEY} is not set: an export must be signed"), EXIT_FAILED);
    environment::audit_key().ok_or_else(missing)?.map_err(or_exit(EXIT_FAILED))
}

fn proof(root: &std::path::Path, report: &ExportReport) -> Option<Proof> {
    let (digest, _) = digest_of(&root.join(report.bundle_path())).ok()?;
    Some(Proof::File { path: report.bundle_path().display().to_string(), sha256: *digest.as_bytes() })
}
