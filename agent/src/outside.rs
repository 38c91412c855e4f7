//! What this side does for the updater: all that takes a network, or a file that a supervisor has no business with.
//!
//! Who asks, and what the answer is worth, is in [`flota_updater::Outside`].

mod bundle;
mod controller;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use flota_daemon::error_chain::chain;
use flota_model::release::ReleaseRef;
use flota_model::update::UpdatePhase;
use flota_model::{Digest, Timestamp};
use flota_procedures::checklist::{Outcome, Procedure, Proof};
use flota_procedures::health::{CheckResult, Status};
use flota_updater::OutsideError;
use flota_updater::history::Entry;
use tokio::sync::Mutex;

pub use bundle::BundleSide;
pub(crate) use controller::ControllerSide;

use crate::identity::{Identity, IdentityError, Validity};
use crate::procedures::{self, Environment, ExportFile, present};
use crate::settings::Settings;

/// Seconds by which a certificate must outlive the update: the controller asks for a quote at its end, and the host must be
/// able to answer.
const CERTIFICATE_MARGIN: u64 = 10 * 60;

/// What every outside does in the same way.
struct Common {
    settings: Arc<Settings>,
    environment: Environment,
    /// The export of this update, so that trying its upload again does not write another.
    taken: Mutex<Option<(Digest, ExportFile)>>,
}

impl Common {
    fn new(settings: Arc<Settings>, environment: Environment) -> Self {
        Self { settings, environment, taken: Mutex::new(None) }
    }

    fn host_id(&self) -> Option<String> {
        // A host that is not in a fleet has no id; its waves are those of every such host.
        Identity::load(&self.settings.state_dir).ok().map(|identity| identity.host_id.to_string())
    }

    /// The security export before the update to this release.
    async fn take_export(&self, before: &ReleaseRef) -> Result<ExportFile, OutsideError> {
        let mut taken = self.taken.lock().await;
        if let Some((_, file)) = taken.as_ref().filter(|(digest, _)| *digest == before.digest) {
            return Ok(file.clone());
        }
        let settings = Arc::clone(&self.settings);
        let what = "making the security export";
        let file = tokio::task::spawn_blocking(move || procedures::take_export(&settings, present())).await;
        let file = file.map_err(|error| OutsideError::transient(what, error))?;
        let file = file.map_err(|error| OutsideError::Permanent { what: chain(&error), source: None })?;
        *taken = Some((before.digest, file.clone()));
        Ok(file)
    }

    async fn exchange(&self) -> Result<(), String> {
        if self.settings.health.is_none() {
            return Ok(());
        }
        match procedures::check_exchange(&self.settings, &[], &self.environment, &present).await {
            // Degraded is slow or near a limit: it trades, and no release is to blame.
            Ok(report) if report.overall() < Status::Unavailable => Ok(()),
            Ok(report) => {
                let failed = report.results().iter().filter(|result| result.status() == Status::Unavailable);
                let failed: Vec<_> = failed.map(CheckResult::name).collect();
                Err(format!("the exchange check failed: {}", failed.join(", ")))
            }
            Err(error) => Err(format!("the exchange could not be checked: {}", chain(&error))),
        }
    }

    fn certificate(&self, seconds: u64) -> Result<(), String> {
        let now = Timestamp::from_micros(flota_daemon::present());
        match Identity::load(&self.settings.state_dir) {
            Ok(identity) => certificate_for(identity.validity(), now, seconds),
            // A host of no fleet has no certificate to lose.
            Err(IdentityError::NotEnrolled) => Ok(()),
            Err(error) => Err(chain(&error)),
        }
    }

    /// Keeps the end of an update that tried something for the checklist.
    async fn ended(&self, entry: &Entry) {
        let outcome = match entry.outcome {
            UpdatePhase::Committed => Outcome::Passed,
            UpdatePhase::RolledBack | UpdatePhase::SafeHold => Outcome::Failed,
            _ => return,
        };
        let (root, proof) = (self.settings.root.clone(), Proof::Record { id: entry.rollout.to_string() });
        let kept = tokio::task::spawn_blocking(move || {
            procedures::keep(&root, Procedure::Update, present(), outcome, Some(proof));
        });
        // A panic in there was reported by the runtime, and the update stands.
        let _ = kept.await;
    }

    /// The next update gets an export of its own.
    async fn forget(&self) {
        *self.taken.lock().await = None;
    }

    async fn tidy(&self) {
        self.forget().await;
        let downloads: PathBuf = self.settings.updater.downloads();
        match fs::remove_dir_all(&downloads) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %downloads.display(), "what was downloaded could not be removed");
            }
            _ => {}
        }
    }
}

/// A certificate that is valid now, and when the update is to be confirmed.
fn certificate_for(validity: Option<Validity>, now: Timestamp, probation: u64) -> Result<(), String> {
    let Some(Validity { from, until }) = validity else {
        return Err("the host's certificate cannot be read: enrol it again".to_owned());
    };
    if now < from {
        return Err(format!(
            "the clock shows {now}, and the host's certificate holds from {from}: set the clock right"
        ));
    }
    let needed = now.plus(std::time::Duration::from_secs(probation.saturating_add(CERTIFICATE_MARGIN)));
    if until < needed {
        let renew = "it renews itself while the host is connected and trusted";
        return Err(format!("the host's certificate ends at {until}, before the update could be confirmed; {renew}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_must_outlive_the_update_and_have_begun() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let check = |from, until| certificate_for(Some(Validity { from: at(from), until: at(until) }), at(1000), 120);
        assert_eq!(check(0, 1000 + 120 + 600), Ok(()));
        assert!(check(0, 1000 + 120 + 599).unwrap_err().contains("before the update could be confirmed"));
        assert!(check(1001, 100_000).unwrap_err().contains("set the clock right"));
        assert!(certificate_for(None, at(1000), 120).is_err());
    }
}
