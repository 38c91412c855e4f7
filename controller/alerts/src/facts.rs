//! What is known of the fleet at one moment.

use std::time::Duration;

use flota_model::alert::Silence;
use flota_model::health::Check;
use flota_model::host::Trust;
use flota_model::rollout::RolloutState;
use flota_model::{HostName, Labels, RolloutId, Timestamp};

/// The fleet.
#[derive(Debug, Clone, Default)]
pub struct FleetFacts {
    /// Hosts that belong to it, those included that failed their quote and are shut out for it.
    pub hosts: Vec<HostFact>,
    /// Rollouts that have not ended.
    pub rollouts: Vec<RolloutFact>,
    /// Silences that hold now or later.
    pub silences: Vec<Silence>,
    /// Rules that are switched off: what they would say, others do.
    pub off: std::collections::BTreeSet<String>,
    /// How often hosts check their exchanges without being asked; none: when somebody asks.
    pub health_every: Option<Duration>,
    /// When exports are late; none: there is no schedule.
    pub exports: Option<ExportPace>,
    /// How long this controller has listened: silence from before that says nothing.
    pub listening_for: Duration,
    /// What is to be said of the signed release metadata; none: there are none.
    pub metadata: Option<Metadata>,
}

/// When exports are late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportPace {
    /// A host without an export for that long is.
    pub late_after: Duration,
    /// Unless this controller has not listened for that long: then nobody asked it in time.
    pub grace: Duration,
}

/// Signed release metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// They are believed until then; this role's are the first to expire.
    Until(Timestamp, String),
    /// They are not believed: a sentence.
    NotBelieved(String),
}

/// A host.
#[derive(Debug, Clone)]
pub struct HostFact {
    /// Its name.
    pub name: HostName,
    /// Its labels.
    pub labels: Labels,
    /// How far it is trusted, and why.
    pub trust: (Trust, String),
    /// It is shut out: nothing is heard of it because it may not speak.
    pub shut_out: bool,
    /// How long nothing was heard of it; none: it is connected, or was never.
    pub silent_for: Option<Duration>,
    /// Why it is in safe hold, if it is.
    pub safe_hold: Option<String>,
    /// Its newest health report.
    pub health: Option<HealthFact>,
    /// Why the newest check that it was asked for has no result, if it has none.
    pub check_failed: Option<String>,
    /// How long ago it made an export, or came into the fleet.
    pub export_age: Duration,
}

/// A health report.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthFact {
    /// When it arrived.
    pub at: Timestamp,
    /// `healthy`, `degraded` or `unavailable`.
    pub overall: String,
    /// Its results.
    pub checks: Vec<Check>,
}

/// A rollout.
#[derive(Debug, Clone)]
pub struct RolloutFact {
    /// Its number.
    pub id: RolloutId,
    /// Where it stands.
    pub state: RolloutState,
    /// Why.
    pub cause: String,
}

/// A report counts until this much more than the schedule's interval has passed; without a schedule until that much has.
const REPORT_SLACK: Duration = Duration::from_hours(1);

impl FleetFacts {
    /// The host's newest report, unless it is so old that it says nothing about the present.
    pub fn fresh<'a>(&self, host: &'a HostFact, now: Timestamp) -> Option<&'a HealthFact> {
        let within = self.health_every.unwrap_or_default().saturating_mul(2).saturating_add(REPORT_SLACK);
        host.health.as_ref().filter(|health| now.since(health.at) <= within)
    }

    /// Whether a silence keeps `rule` from speaking of this host.
    pub(crate) fn is_silenced(&self, rule: &str, host: &HostFact, now: Timestamp) -> bool {
        self.silences.iter().any(|silence| silence.holds(rule, &host.name, &host.labels, now))
    }
}
