//! The steps, one by one. Each may be interrupted anywhere and taken again.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use flota_daemon::error_chain::chain;
use flota_model::release::ReleaseRef;
use flota_procedures::checklist::{Procedure, Proof};
use flota_procedures::durable;
use flota_procedures::evidence::{EvidenceRequest, Memory, check_tpm_status};
use flota_procedures::health::Status;
use flota_procedures::recover::{FileProof, FoundRelease, Progress, Restored, Step, StepRecord, StepStatus};
use flota_updater::Offline;

use super::survey::{Survey, proof, release_proof};
use super::{RECORDS, Recover, now};
use crate::commands::environment;
use crate::commands::evidence::licence_keys;
use crate::commands::output::outcome_of;
use crate::procedures::{self, Environment, digest_of, present};
use crate::settings::Settings;

/// Where the manual keeps the active licence.
const LICENCE: &str = "var/licenses/active/license.json";
/// Permissions of what proves a step: it names evidence.
const MODE: u32 = 0o600;

/// What the steps work with.
pub(super) struct Act<'a> {
    pub(super) asked: &'a Recover,
    pub(super) settings: &'a Settings,
    pub(super) environment: &'a Environment,
    pub(super) host: &'a Offline,
    pub(super) survey: &'a Survey,
}

/// How a step went: a sentence, and the files that prove it.
type Ended = Result<(StepStatus, String, Vec<FileProof>), String>;

impl Act<'_> {
    pub(super) async fn step(&self, step: Step, progress: &mut Progress) -> StepRecord {
        let ended = match step {
            Step::Find => self.find(progress),
            Step::Restore => self.restore().await,
            Step::Apply => self.apply(progress).await,
            Step::Prove => self.prove(),
            Step::Health => self.health(progress).await,
            Step::Report => Ok((StepStatus::Done, String::new(), Vec::new())),
        };
        let (status, detail, evidence) = ended.unwrap_or_else(|why| (StepStatus::Failed, why, Vec::new()));
        StepRecord { step, status, at: now(), detail, evidence }
    }

    fn find(&self, progress: &mut Progress) -> Ended {
        let release = self.survey.update().map_err(|error| error.to_string())?;
        progress.release = Some(release.digest);
        let evidence = self.survey.export.iter().cloned().chain(release_proof(release)).collect();
        Ok((StepStatus::Done, found(self.survey, release), evidence))
    }

    async fn restore(&self) -> Ended {
        let Some((restoration, backup)) = self.survey.restoration.as_ref().zip(self.asked.backup.as_ref()) else {
            return match (self.survey.is_installed, &self.asked.package) {
                (true, _) => Ok((StepStatus::Skipped, "the installation is in place".to_owned(), Vec::new())),
                (false, Some(_)) => Ok((StepStatus::Skipped, "the package is the installation".to_owned(), Vec::new())),
                (false, None) => Err("nothing is installed here: name a backup or a package".to_owned()),
            };
        };
        self.host.stop_bot().await?;
        let restored = restoration.carry_out(backup, &self.settings.root).map_err(|error| chain(&error))?;
        let list = self.keep("restored.sha256", checksums(&restored).as_bytes())?;
        let Restored { files, written, bytes, foreign } = &restored;
        let mut detail = format!(
            "{} files of {} are as in the backup, {written} of them ({bytes} bytes) were written; {} stay as they were",
            files.len(),
            backup.display(),
            restoration.kept().len(),
        );
        if *foreign > 0 {
            // Writing to a String cannot fail.
            let _ = write!(detail, "; {foreign} could not be given to their owner: run as root, or chown them");
        }
        Ok((StepStatus::Done, detail, vec![list]))
    }

    async fn apply(&self, progress: &Progress) -> Ended {
        let release = self.release(progress)?;
        let size = fs::metadata(&release.path).map_or(0, |metadata| metadata.len());
        let target = ReleaseRef { digest: release.digest, version: release.version.clone(), size };
        self.host.install(&target).await?;
        let manifest = self.settings.root.join("current").join(flota_procedures::package::DEFAULT_MANIFEST);
        let detail = format!("{} ({}) was checked and runs", release.version, release.digest.short());
        Ok((StepStatus::Done, detail, proof(&manifest).into_iter().collect()))
    }

    fn prove(&self) -> Ended {
        let evidence = self.asked.evidence.as_deref().ok_or("no evidence was named: give --evidence FILE")?;
        let keys = licence_keys(self.asked.license_keys.as_deref()).map_err(|error| chain(&error))?;
        let keyring = self.asked.keyring.clone().or_else(environment::tpm_keyring);
        let licence = self.licence();
        let report = check_tpm_status(&EvidenceRequest {
            keyring: keyring.as_deref(),
            licence: licence.as_deref(),
            licence_keys: keys.as_ref(),
            memory: Memory::Installation(&self.settings.root),
            ..EvidenceRequest::new(evidence, present())
        });
        let code = report.exit_code();
        let file = proof(evidence);
        let kept = file.as_ref().map(|file| Proof::File { path: file.file.clone(), sha256: *file.sha256.as_bytes() });
        procedures::keep(&self.settings.root, Procedure::TpmEvidence, present(), outcome_of(code), kept);
        let said: Vec<_> = report.findings().iter().map(|finding| finding.message.as_str()).collect();
        let mut detail = format!("evidence: {}", report.status().as_str());
        if licence.is_none() {
            detail += "; no licence was found";
        }
        if !said.is_empty() {
            detail.push_str(": ");
            detail.push_str(&said.join("; "));
        }
        let evidence = file.into_iter().chain(licence.as_deref().and_then(proof)).collect();
        let is_proved = code == 0 && licence.is_some();
        Ok((if is_proved { StepStatus::Done } else { StepStatus::Failed }, detail, evidence))
    }

    async fn health(&self, progress: &Progress) -> Ended {
        self.host.prove_healthy(self.release(progress)?.digest).await?;
        if self.settings.health.is_none() {
            return Ok((StepStatus::Done, "the bot is healthy; no exchange is set up".to_owned(), Vec::new()));
        }
        let report = procedures::check_exchange(self.settings, &[], self.environment, &present).await;
        let report = report.map_err(|error| chain(&error))?;
        let file = self.keep("health.json", report.to_json().pretty().as_bytes())?;
        let overall = report.overall();
        let status = if overall < Status::Unavailable { StepStatus::Done } else { StepStatus::Failed };
        Ok((status, format!("the bot is healthy; the exchange is {}", overall.name()), vec![file]))
    }

    fn release(&self, progress: &Progress) -> Result<&FoundRelease, String> {
        let digest = progress.release.ok_or("no release was chosen")?;
        self.survey.release(digest).ok_or_else(|| format!("release {} is not here any more", digest.short()))
    }

    fn licence(&self) -> Option<PathBuf> {
        let usual = self.settings.root.join(LICENCE);
        self.asked.license_path.clone().or_else(|| usual.is_file().then_some(usual))
    }

    /// Writes a file that proves a step.
    fn keep(&self, name: &str, contents: &[u8]) -> Result<FileProof, String> {
        let folder = self.settings.root.join(RECORDS);
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        let path = folder.join(name);
        durable::write_file(&path, MODE, contents).map_err(|error| chain(&error))?;
        let (sha256, size) = digest_of(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        Ok(FileProof { file: path.display().to_string(), sha256, size })
    }
}

/// What was found, in a sentence.
pub(super) fn found(survey: &Survey, release: &FoundRelease) -> String {
    let export = match &survey.export {
        Some(export) => format!("the last good export is {}", export.file),
        None => "there is no good export".to_owned(),
    };
    let bad = match survey.bad_exports.len() {
        0 => String::new(),
        bad => format!(" ({bad} newer ones are not as they were signed)"),
    };
    let FoundRelease { version, digest, path, .. } = release;
    format!("{export}{bad}; the last approved update is {version} ({}) at {}", digest.short(), path.display())
}

/// The list that `sha256sum -c` reads, run in the root of the installation.
fn checksums(restored: &Restored) -> String {
    restored.files.iter().fold(String::new(), |mut list, (path, digest)| {
        // Writing to a String cannot fail.
        let _ = writeln!(list, "{digest}  {}", path.display());
        list
    })
}
