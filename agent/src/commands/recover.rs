//! Disaster recovery (manual §6): one command, six steps, resumable.
//!
//! What to do is decided in [`flota_procedures::recover`]; here the host is looked at ([`survey`]) and changed ([`act`]).

mod act;
mod report;
mod survey;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use flota_procedures::recover::{Progress, Request, Step, StepRecord, StepStatus};
use flota_procedures::{durable, iso_time};
use tokio::runtime::Runtime;

use super::Config;
use super::environment;
use super::lang::Lang;
use super::output::{Answer, Failure, or_exit};
use crate::procedures::{Environment, present};
use crate::settings::{EXIT_BAD_SETTINGS, Settings};
use act::Act;
use flota_updater::{Journal, Offline, under_way};
use report::Report;
use survey::Survey;

/// A step is open.
const EXIT_OPEN: u8 = 1;
/// The recovery could not begin or go on.
const EXIT_CANNOT: u8 = 2;
/// Where a recovery keeps what proves its steps, relative to the root of the installation.
const RECORDS: &str = "var/flota/recover";

#[derive(Args)]
pub(super) struct Recover {
    #[command(flatten)]
    config: Config,
    /// A copy of the installation's folder to restore from
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    /// The package of the last approved update [default: the release that ran last, from the host or the backup]
    #[arg(long, value_name = "FILE")]
    package: Option<PathBuf>,
    /// The TPM evidence
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// The licence [default: var/licenses/active/license.json, if it is there]
    #[arg(long, value_name = "FILE")]
    license_path: Option<PathBuf>,
    /// The keys that prove the licence
    #[arg(long, value_name = "FILE")]
    license_keys: Option<PathBuf>,
    /// The public keys of TPMs: a file or JSON; by default the variable BOT_CORE_TPM_PUBLIC_KEYS
    #[arg(long, value_name = "FILE")]
    keyring: Option<String>,
    /// Say what would be done, from which files, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Begin anew although an earlier recovery has not ended
    #[arg(long)]
    restart: bool,
    /// Where the report goes [default: var/flota/recover/report.json]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Json)]
    output: Format,
}

/// How the report is printed.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A line a step, for people.
    Text,
    /// The document that is also in the report's file.
    Json,
}

impl Recover {
    pub(super) fn run(mut self, lang: Lang) -> Result<Answer, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let settings = Arc::new(settings);
        for path in [&mut self.backup, &mut self.package, &mut self.evidence].into_iter().flatten() {
            // The journal compares them, and the next run may begin in another folder.
            *path = std::path::absolute(&*path).map_err(or_exit(EXIT_CANNOT))?;
        }
        if Journal::is_open(&settings.updater.state_dir).map_err(or_exit(EXIT_CANNOT))? {
            return Err(Failure::because("the agent is running here: stop its service, then recover", EXIT_CANNOT));
        }
        let found = if self.restart { None } else { Progress::load(&settings.root).map_err(or_exit(EXIT_CANNOT))? };
        let progress = Progress::take_up(found, self.request(), now()).map_err(or_exit(EXIT_CANNOT))?;
        let survey = Survey::take(&settings, self.backup.as_deref(), self.package.as_deref());
        let survey = survey.map_err(|why| Failure::because(why, EXIT_CANNOT))?;
        if let Some(why) = survey.state.as_ref().and_then(under_way) {
            return Err(Failure::because(why, EXIT_CANNOT));
        }
        if self.dry_run {
            let report = Report::planned(&settings.root, &progress, &survey, &self).map_err(or_exit(EXIT_CANNOT))?;
            return Ok(self.answer(&report, lang));
        }
        let runtime = Runtime::new().map_err(or_exit(EXIT_CANNOT))?;
        let report = runtime.block_on(self.carry_out(settings, progress, survey))?;
        Ok(self.answer(&report, lang))
    }

    async fn carry_out(
        &self,
        settings: Arc<Settings>,
        mut progress: Progress,
        survey: Survey,
    ) -> Result<Report, Failure> {
        let environment = Environment::new(environment::variable);
        let host = Offline::open(Arc::clone(&settings.updater), self.package.clone());
        let host = host.map_err(or_exit(EXIT_CANNOT))?;
        self.tidy(&settings.root)?;
        progress.store(&settings.root).map_err(or_exit(EXIT_CANNOT))?;
        let act = Act { asked: self, settings: &settings, environment: &environment, host: &host, survey: &survey };
        for step in Step::ALL.into_iter().filter(|step| *step != Step::Report) {
            if progress.is_done(step) {
                continue;
            }
            let record = act.step(step, &mut progress).await;
            let in_vain = record.status == StepStatus::Failed && step.is_foundation();
            progress.note(record);
            progress.store(&settings.root).map_err(or_exit(EXIT_CANNOT))?;
            if in_vain {
                break;
            }
        }
        let path = self.report_path(&settings.root);
        progress.note(report_record(&progress, &path));
        let report = Report::of(&settings.root, &progress, &survey);
        report.write(&path).map_err(or_exit(EXIT_CANNOT))?;
        // Last: a report that was not written is written by the next run.
        progress.store(&settings.root).map_err(or_exit(EXIT_CANNOT))?;
        Ok(report)
    }

    /// Removes what a run that was killed left half-written among its records. In the folders that are restored,
    /// [`flota_procedures::recover::Restoration::carry_out`] does.
    fn tidy(&self, root: &Path) -> Result<(), Failure> {
        let report = std::path::absolute(self.report_path(root)).map_err(or_exit(EXIT_CANNOT))?;
        let records = [root.join("var/flota"), root.join(RECORDS)];
        for folder in records.iter().map(PathBuf::as_path).chain(report.parent()) {
            let failed = |error| format!("removing what a killed run left in {}: {error}", folder.display());
            durable::remove_leftovers(folder).map_err(|error| Failure::because(failed(error), EXIT_CANNOT))?;
        }
        Ok(())
    }

    fn answer(&self, report: &Report, lang: Lang) -> Answer {
        let code = report.exit_code();
        match self.output {
            Format::Text => Answer::text(report.to_text(lang), code),
            Format::Json => Answer::text(report.to_json(), code),
        }
    }

    fn request(&self) -> Request {
        Request { backup: self.backup.clone(), package: self.package.clone(), evidence: self.evidence.clone() }
    }

    fn report_path(&self, root: &Path) -> PathBuf {
        self.report.clone().unwrap_or_else(|| root.join(RECORDS).join("report.json"))
    }
}

fn report_record(progress: &Progress, path: &Path) -> StepRecord {
    let open: Vec<_> = Step::ALL.into_iter().filter(|step| *step != Step::Report && !progress.is_done(*step)).collect();
    let names: Vec<_> = open.iter().map(|step| step.name()).collect();
    let (status, detail) = if open.is_empty() {
        (StepStatus::Done, format!("written to {}", path.display()))
    } else {
        (StepStatus::Failed, format!("written to {}; open: {}", path.display(), names.join(", ")))
    };
    StepRecord { step: Step::Report, status, at: now(), detail, evidence: Vec::new() }
}

fn now() -> String {
    iso_time::format(present())
}
