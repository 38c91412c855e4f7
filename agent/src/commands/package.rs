//! The check of an update package (manual §2).

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::Args;
use flota_procedures::checklist::{Procedure, Proof};
use flota_procedures::key;
use flota_procedures::licence::LicenceKeys;
use flota_procedures::package::{
    self, CheckReport, CheckRequest, DEFAULT_MANIFEST, EXIT_CANNOT_CHECK, LicenceProof, Progress, Strictness,
};
use flota_seal::json::Json;

use super::Installation;
use super::evidence::{RevocationFlags, licence_keys};
use super::output::{Answer, outcome_of, remember};
use crate::procedures::present;

/// A check that ends sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Redrawing more often shows nothing more.
const REDRAW: Duration = Duration::from_millis(200);

/// Width of the bar: the whole line fits a terminal of 80 columns.
const BAR_COLUMNS: usize = 40;

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    installation: Installation,
    /// An unpacked folder, or an archive
    package: PathBuf,
    /// The manifest's name in the package
    #[arg(long, value_name = "NAME", default_value = DEFAULT_MANIFEST)]
    manifest: String,
    /// A file with the signature, in place of the package's own
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The key: hex:…, base64:…, text, or the path of a file with one
    #[arg(long, value_name = "KEY")]
    hmac_key: Option<String>,
    /// The licence that must allow the package
    #[arg(long, value_name = "FILE")]
    license_path: Option<PathBuf>,
    /// The keys that prove the licence
    #[arg(long, value_name = "FILE", requires = "license_path")]
    license_keys: Option<PathBuf>,
    #[command(flatten)]
    revocations: RevocationFlags,
    /// Files that the manifest does not list are errors
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(self) -> Answer {
        let now = present();
        match self.check(now) {
            Ok(report) => {
                let code = report.exit_code();
                let path = self.package.display().to_string();
                let proof = Proof::File { path, sha256: report.manifest_sha256() };
                remember(&self.installation.root, Procedure::PackageCheck, now, outcome_of(code), Some(proof));
                Answer::json(&report.to_json(), code)
            }
            Err(error) => {
                remember(&self.installation.root, Procedure::PackageCheck, now, outcome_of(EXIT_CANNOT_CHECK), None);
                let message = flota_daemon::error_chain::chain(error.as_ref());
                let document = Json::object([("status", "error".into()), ("message", message.into())]);
                Answer::json(&document, EXIT_CANNOT_CHECK)
            }
        }
    }

    fn check(&self, now: jiff::Timestamp) -> Result<CheckReport, Box<dyn Error>> {
        let key = self.hmac_key.as_deref().map(|value| key::load(value, "--hmac-key")).transpose()?;
        let keys = match &self.license_path {
            Some(_) => licence_keys(self.license_keys.as_deref())?.unwrap_or_default(),
            None => LicenceKeys::default(),
        };
        let revocation_keys = self.revocations.keys()?;
        let revocations = self.revocations.check(revocation_keys.as_ref());
        let progress = Progress::default();
        let request = CheckRequest {
            manifest_name: &self.manifest,
            signature: self.signature.as_deref(),
            key: key.as_ref(),
            licence: self.license_path.as_deref().map(|path| LicenceProof { path, keys: &keys, revocations }),
            strictness: if self.strict { Strictness::Strict } else { Strictness::Lenient },
            progress: Some(&progress),
            ..CheckRequest::new(&self.package, now)
        };
        Ok(watched(&progress, || package::check(&request))?)
    }
}

/// Works while a terminal on stderr shows how far it is; elsewhere nothing is shown.
fn watched<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return work();
    }
    thread::scope(|scope| {
        let (working, ended) = mpsc::channel();
        scope.spawn(move || draw(progress, &ended));
        let result = work();
        drop(working);
        result
    })
}

/// Redraws one line until the work ends, and then takes it away.
fn draw(progress: &Progress, ended: &Receiver<()>) {
    let show = |line: &str| {
        let mut stderr = io::stderr().lock();
        let _nobody_reads = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
    };
    let mut wait = PATIENCE;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        wait = REDRAW;
        show(&bar(progress.percent().unwrap_or(0)));
    }
    if wait == REDRAW {
        show("");
    }
}

fn bar(percent: u64) -> String {
    let filled = usize::try_from(percent.min(100)).unwrap_or(100) * BAR_COLUMNS / 100;
    format!("checking [{:-<BAR_COLUMNS$}] {percent:>3} %", "#".repeat(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_from_left_to_right() {
        assert_eq!(bar(0), format!("checking [{}]   0 %", "-".repeat(40)));
        assert_eq!(bar(50), format!("checking [{}{}]  50 %", "#".repeat(20), "-".repeat(20)));
        assert_eq!(bar(100), format!("checking [{}] 100 %", "#".repeat(40)));
    }
}
