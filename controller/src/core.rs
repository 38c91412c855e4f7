//! What every part of a running controller shares.

use std::sync::Arc;

use flota_attest::ek_chain::TrustRoots;
use flota_attest::selection::Selection;
use flota_model::audit::AuditEntry;
use flota_model::{Clock, HostId, Timestamp};
use flota_store::Store;
use tokio::sync::{Notify, watch};

use crate::attestation::patience::Patience;
use crate::attestation::readings::Readings;
use crate::attestation::recorder::Recorder;
use crate::blobs::BlobFolder;
use crate::ca::FleetCa;
use crate::checkpoints::AuditKey;
use crate::denied::Denied;
use crate::enrolment::EnrolmentSessions;
use crate::outbound::Outbound;
use crate::policies::PolicyBook;
use crate::quotas::Quotas;
use crate::rollouts::checks::Checks;
use crate::rollouts::halted::NoWayBack;
use crate::rollouts::join::LeftOut;
use crate::sessions::{Command, Sessions};
use crate::settings::Settings;

/// State is in the store; this holds what a restart may lose.
pub struct Core {
    /// How to behave.
    pub settings: Settings,
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Packages and exports.
    pub blobs: BlobFolder,
    /// Signs certificates.
    pub ca: FleetCa,
    /// Signs the heads of the audit log.
    pub audit_key: AuditKey,
    /// TPM vendors that are trusted.
    pub ek_roots: TrustRoots,
    /// What quotes cover.
    pub selection: Selection,
    /// Asks services of other people.
    pub outbound: Outbound,
    /// Hosts that are connected.
    pub sessions: Sessions,
    /// Hosts that are refused.
    pub denied: Denied,
    /// Attestation policies in use.
    pub policies: PolicyBook,
    /// How long hosts have been saying that it is too early to tell.
    pub patience: Patience,
    /// When TPMs' clocks were read last.
    pub readings: Readings,
    /// Stores verdicts.
    pub recorder: Recorder,
    /// What hosts have used of what they may.
    pub quotas: Quotas,
    /// Enrolments between their two calls.
    pub enrolments: EnrolmentSessions,
    /// Whom rollouts asked for health checks.
    pub checks: Checks,
    /// Halted rollouts that have nobody to take back.
    pub no_way_back: NoWayBack,
    /// When hosts could last not be added to rollouts.
    pub left_out: LeftOut,
    /// Forecasts are played one after another: each is some seconds of a core.
    pub forecasts: Arc<tokio::sync::Semaphore>,
    /// Searches of the archive that go on at the same time.
    pub searches: Arc<tokio::sync::Semaphore>,
    /// Exports whose signatures are checked at the same time.
    pub checked_exports: tokio::sync::Semaphore,
    /// Wakes the planner.
    pub fleet_changed: Notify,
    /// Counts changes of rollouts, for those who watch them.
    pub rollouts_changed: watch::Sender<u64>,
    /// Held while a rollout is planned and carried out: one plan at a time sees the fleet and changes it.
    pub planning: tokio::sync::Mutex<()>,
    /// Held while a recovery is looked at: a step is taken once.
    pub recovering: tokio::sync::Mutex<()>,
    /// Held while the release metadata are read and what is believed of them is written.
    pub releases: tokio::sync::Mutex<()>,
    /// When this controller began to listen: silence before that says nothing about a host.
    pub listening_since: Timestamp,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Core {
    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Refuses a host from now on and ends its sessions. Its trust is in the store already.
    pub fn shut_out(&self, host: &HostId, why: &str) {
        self.denied.insert(host);
        // False: it has none, or it is so far behind that its next message meets the refusal.
        let _closed = self.sessions.ask(host, Command::Close { reason: format!("the host is shut out: {why}") });
    }

    /// Tells watchers that some rollout changed.
    pub fn note_rollout_change(&self) {
        self.rollouts_changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// An audit entry of the controller itself.
    pub fn audit(&self, action: &str, object: String, outcome: &str, details: &serde_json::Value) -> AuditEntry {
        self.audit_by("controller", action, object, outcome, details)
    }

    /// An audit entry of a host.
    pub fn audit_host(&self, host: &HostId, action: &str, outcome: &str, details: &serde_json::Value) -> AuditEntry {
        let name = format!("host/{host}");
        self.audit_by(&name, action, name.clone(), outcome, details)
    }

    /// An audit entry.
    pub fn audit_by(
        &self,
        actor: &str,
        action: &str,
        object: String,
        outcome: &str,
        details: &serde_json::Value,
    ) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            object,
            outcome: outcome.to_owned(),
            details_json: details.to_string(),
        }
    }
}

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(flota_daemon::present())
    }
}
