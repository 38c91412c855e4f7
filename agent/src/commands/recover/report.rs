//! What SRE is told: each step with its evidence, for people and for programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flota_procedures::durable::{self, WriteError};
use flota_procedures::recover::{FileProof, NoUpdate, Progress, Request, Restoration, Step, StepRecord, StepStatus};
use serde::Serialize;

use super::act::found;
use super::survey::{Survey, proof, release_proof};
use super::{EXIT_OPEN, Recover, now};
use crate::commands::lang::{Lang, Term};

/// Permissions of a report: it names evidence.
const MODE: u32 = 0o600;

/// A report on a recovery, done or planned.
#[derive(Serialize)]
pub(super) struct Report {
    status: &'static str,
    root: PathBuf,
    began_at: String,
    written_at: String,
    request: Request,
    release: Option<ReleaseShown>,
    steps: Vec<StepShown>,
}

#[derive(Serialize)]
struct ReleaseShown {
    version: String,
    digest: String,
}

#[derive(Serialize)]
struct StepShown {
    step: Step,
    status: &'static str,
    at: Option<String>,
    detail: String,
    evidence: Vec<FileProof>,
    /// In a dry run: what would be written, relative to the root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
}

/// Why there is no report file.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteReportError {
    #[error("creating the folder of the report {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("writing the report")]
    Write(#[from] WriteError),
}

const RECOVERED: &str = "recovered";
const OPEN: &str = "open";
const PLANNED: &str = "planned";

impl Report {
    /// On what was done.
    pub(super) fn of(root: &Path, progress: &Progress, survey: &Survey) -> Self {
        let steps = Step::ALL.map(|step| StepShown::of(step, progress.record(step)));
        let status = if progress.has_ended() { RECOVERED } else { OPEN };
        Self::new(status, root, progress, survey, steps.into())
    }

    /// On what would be done.
    pub(super) fn planned(
        root: &Path,
        progress: &Progress,
        survey: &Survey,
        asked: &Recover,
    ) -> Result<Self, NoUpdate> {
        let release = survey.update()?;
        let plan = |step: Step| {
            if progress.is_done(step) {
                return StepShown::of(step, progress.record(step));
            }
            let (detail, evidence) = match step {
                Step::Find => {
                    (found(survey, release), survey.export.iter().cloned().chain(release_proof(release)).collect())
                }
                Step::Restore => (restoration(survey, asked), Vec::new()),
                Step::Apply => {
                    let version = format!("{} ({})", release.version, release.digest.short());
                    let from = release.path.display();
                    (format!("stop the bot, apply {version} from {from}, start the bot"), Vec::new())
                }
                Step::Prove => match &asked.evidence {
                    Some(path) => (format!("check {}", path.display()), proof(path).into_iter().collect()),
                    None => ("it would fail: no evidence was named, give --evidence FILE".to_owned(), Vec::new()),
                },
                Step::Health => {
                    ("ask the bot's health command, and the exchange if one is set up".to_owned(), Vec::new())
                }
                Step::Report => (format!("write {}", asked.report_path(root).display()), Vec::new()),
            };
            let restored = survey.restoration.iter().filter(|_| step == Step::Restore);
            let files = restored.flat_map(Restoration::files).map(|(path, _)| path.to_owned()).collect();
            StepShown { step, status: PLANNED, at: None, detail, evidence, files }
        };
        Ok(Self::new(PLANNED, root, progress, survey, Step::ALL.map(plan).into()))
    }

    /// 0 unless a step is open.
    pub(super) fn exit_code(&self) -> u8 {
        if self.status == OPEN { EXIT_OPEN } else { 0 }
    }

    /// Writes the report where SRE will look for it.
    pub(super) fn write(&self, path: &Path) -> Result<(), WriteReportError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|source| WriteReportError::Folder { path: path.to_owned(), source })?;
        }
        Ok(durable::write_file(path, MODE, (self.to_json() + "\n").as_bytes())?)
    }

    /// The document.
    pub(super) fn to_json(&self) -> String {
        // Strings and numbers only: encoding them cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Two lines a step and a verdict.
    pub(super) fn to_text(&self, lang: Lang) -> String {
        let line = |shown: &StepShown| {
            let name = shown.step.name();
            format!(
                "{name}: {} - {}\n    {}\n",
                shown.status,
                lang.describe(name, description(shown.step)),
                shown.detail
            )
        };
        let verdict = match self.status {
            RECOVERED => Term::RecoveryDone,
            PLANNED => Term::RecoveryPlanned,
            _ => Term::RecoveryOpen,
        };
        self.steps.iter().map(line).collect::<String>() + lang.say(verdict) + "\n"
    }

    fn new(status: &'static str, root: &Path, progress: &Progress, survey: &Survey, steps: Vec<StepShown>) -> Self {
        let chosen = progress.release.and_then(|digest| survey.release(digest)).or_else(|| survey.update().ok());
        Self {
            status,
            root: root.to_owned(),
            began_at: progress.began_at.clone(),
            written_at: now(),
            request: progress.request.clone(),
            release: chosen
                .map(|release| ReleaseShown { version: release.version.clone(), digest: release.digest.to_string() }),
            steps,
        }
    }
}

impl StepShown {
    fn of(step: Step, record: Option<&StepRecord>) -> Self {
        let Some(StepRecord { step, status, at, detail, evidence }) = record.cloned() else {
            let detail = "not reached".to_owned();
            return Self { step, status: OPEN, at: None, detail, evidence: Vec::new(), files: Vec::new() };
        };
        let status = match status {
            StepStatus::Done => "done",
            StepStatus::Skipped => "skipped",
            StepStatus::Failed => "failed",
        };
        Self { step, status, at: Some(at), detail, evidence, files: Vec::new() }
    }
}

fn description(step: Step) -> &'static str {
    match step {
        Step::Find => "the last good exports and packages",
        Step::Restore => "the installation from a backup",
        Step::Apply => "the last approved update",
        Step::Prove => "TPM evidence and licence",
        Step::Health => "bot and exchange",
        Step::Report => "the report to SRE",
    }
}

fn restoration(survey: &Survey, asked: &Recover) -> String {
    match (&survey.restoration, &asked.backup) {
        (Some(plan), Some(backup)) => {
            let (files, bytes) =
                plan.files().fold((0_u64, 0_u64), |(files, bytes), (_, size)| (files + 1, bytes + size));
            let kept = plan.kept().len();
            let from = backup.display();
            format!(
                "stop the bot, bring {files} files ({bytes} bytes) to what they are in {from}; {kept} stay as they are"
            )
        }
        _ if survey.is_installed => "nothing: the installation is in place".to_owned(),
        _ => "nothing: the package is the installation".to_owned(),
    }
}
