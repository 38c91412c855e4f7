//! One session: hello, then whatever either side has to say, until the connection ends.

use std::sync::Arc;
use std::time::Duration;

use flota_model::Digest;
use flota_model::update::DesiredState;
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::agent_session_client::AgentSessionClient;
use flota_proto::v1::controller_message::Body as Down;
use flota_tpm::Tpm;
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{ConnectError, connect};
use super::evidence::{self, Bound};
use super::refusal::{Refusal, refusal};
use super::tasks::{self, Offer, Tasks, Workshop};
use super::transfer::ControllerTransfer;
use crate::enrol::certificate_request;
use crate::identity::Identity;
use crate::procedures::Environment;
use crate::settings::Settings;
use crate::update::UpdaterHandle;

/// Messages that may wait for the network. A controller that takes none is gone.
const OUTGOING: usize = 64;
/// Pace of heartbeats until the controller says another.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// What this agent can do. The controller asks for nothing else.
const CAPABILITIES: [&str; 5] = ["ping", "export", "health", "update", "attest"];

/// Why a session ended. Every session does.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionEnd {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the controller refused or ended the session")]
    Refused(#[source] Refusal),
    #[error("the controller ended the session")]
    Closed,
    #[error("the controller does not take what is sent to it")]
    Stuck,
}

/// The agent's side of all its sessions.
pub(super) struct Agent {
    identity: Identity,
    tpm: Tpm,
    updater: UpdaterHandle,
    workshop: Workshop,
    results: mpsc::Receiver<v1::TaskResult>,
    tasks: Tasks,
}

/// What lasts as long as one connection.
struct Open {
    up: mpsc::Sender<v1::AgentMessage>,
    bound: Bound,
}

impl Agent {
    pub(super) fn new(
        settings: Arc<Settings>,
        environment: Environment,
        identity: Identity,
        tpm: Tpm,
        updater: UpdaterHandle,
        transfer: Arc<ControllerTransfer>,
    ) -> Self {
        let (sender, results) = mpsc::channel(tasks::WAITING);
        let workshop = Workshop { settings, environment, transfer, results: sender };
        Self { identity, tpm, updater, workshop, results, tasks: Tasks::default() }
    }

    /// Connects and serves; says why it ended.
    pub(super) async fn session(&mut self) -> SessionEnd {
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        self.workshop.transfer.set(None);
        end
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        let connection = connect(&self.workshop.settings, &self.identity, &self.tpm).await?;
        let (up, outgoing) = mpsc::channel(OUTGOING);
        let certificate_sha256 = *Digest::of(&self.identity.certificate).as_bytes();
        let host_id = self.identity.host_id.to_string();
        let open = Open { up, bound: Bound { host_id, certificate_sha256, exporter: connection.exporter } };
        let mut reports = self.updater.reports();
        send(&open, Up::Hello(hello(&reports.borrow_and_update())))?;
        let mut client = AgentSessionClient::new(connection.channel.clone());
        let answer = client.connect(ReceiverStream::new(outgoing)).await;
        let mut down = answer.map_err(|status| SessionEnd::Refused(refusal(&status)))?.into_inner();
        self.workshop.transfer.set(Some(connection.channel));
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let renewal = self.renewal_due();
        tokio::pin!(renewal);
        loop {
            tokio::select! {
                message = down.message() => {
                    let message = message.map_err(|status| SessionEnd::Refused(refusal(&status)))?;
                    let body = message.ok_or(SessionEnd::Closed)?.body;
                    if let Some(Down::Welcome(welcome)) = &body {
                        tracing::info!(host.name = %welcome.host_name, "session with the controller");
                        heartbeat = interval(Duration::from_secs(u64::from(welcome.heartbeat_seconds.max(1))));
                        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    } else if let Some(body) = body {
                        let renewed = matches!(body, Down::Renewed(_));
                        self.obey(&open, body)?;
                        if renewed {
                            renewal.set(self.renewal_due());
                        }
                    }
                }
                changed = reports.changed() => {
                    changed.map_err(|_| SessionEnd::Closed)?;
                    let report = v1::UpdateReport::from(&*reports.borrow_and_update());
                    send(&open, Up::Update(report))?;
                }
                Some(result) = self.results.recv() => {
                    self.tasks.finish(&result);
                    send(&open, Up::TaskResult(result))?;
                }
                _ = heartbeat.tick() => send(&open, Up::Heartbeat(v1::Heartbeat {}))?,
                () = &mut renewal => {
                    send(&open, Up::Renew(self.renew_request()))?;
                    renewal.set(self.renewal_due());
                }
            }
        }
    }

    fn obey(&mut self, open: &Open, body: Down) -> Result<(), SessionEnd> {
        match body {
            Down::Welcome(_) => {}
            Down::Ack(v1::Ack { sequence }) => tracing::debug!(sequence, "report stored"),
            Down::Ping(v1::Ping { id }) => send(open, Up::Pong(v1::Pong { id }))?,
            // On its own: the updater answers only when it may, and the session must go on speaking meanwhile.
            Down::Desired(desired) => drop(tokio::spawn(want(self.updater.clone(), desired))),
            Down::Task(offer) => match self.tasks.take(&offer.id) {
                Offer::New => {
                    // Its result comes back through the workshop, in this session or in a later one.
                    drop(tokio::spawn(tasks::carry_out(self.workshop.clone(), offer)));
                }
                Offer::UnderWay => {}
                Offer::Done(result) => send(open, Up::TaskResult(*result))?,
            },
            Down::Challenge(challenge) => self.answer(open, challenge),
            Down::Verdict(v1::Verdict { verdict, reasons, .. }) => {
                if verdict == "fail" {
                    tracing::warn!(?reasons, "attestation failed");
                } else {
                    tracing::debug!(verdict, ?reasons, "attestation");
                }
            }
            Down::Renewed(renewed) => self.renewed(renewed),
        }
        Ok(())
    }

    /// On a thread of its own: a TPM takes its time.
    fn answer(&self, open: &Open, challenge: v1::Challenge) {
        let (tpm, bound, up) = (self.tpm.clone(), open.bound.clone(), open.up.clone());
        let report = self.updater.reports().borrow().clone();
        drop(tokio::task::spawn_blocking(move || {
            let evidence = evidence::answer(&tpm, &bound, &challenge, &report);
            // Without the session the evidence is worth nothing.
            let _ended = up.blocking_send(v1::AgentMessage { body: Some(Up::Evidence(evidence)) });
        }));
    }

    /// Half of the certificate's life after its begin, or never if it cannot be read.
    fn renewal_due(&self) -> impl Future<Output = ()> + use<> {
        let validity = self.identity.validity();
        async move {
            let Some(validity) = validity else { return std::future::pending().await };
            let half = validity.until.since(validity.from) / 2;
            let now = flota_model::Timestamp::from_micros(flota_daemon::present());
            // Never at once again: a refused renewal is tried a minute later.
            let wait = validity.from.plus(half).since(now).max(Duration::from_mins(1));
            tokio::time::sleep(wait).await;
        }
    }

    fn renew_request(&self) -> v1::RenewRequest {
        let csr = certificate_request(&self.tpm).unwrap_or_else(|error| {
            tracing::warn!(error = flota_daemon::error_chain::chain(&error), "no certificate request");
            Vec::new()
        });
        v1::RenewRequest { csr }
    }

    fn renewed(&mut self, renewed: v1::RenewResponse) {
        if renewed.certificate.is_empty() {
            return tracing::warn!(reason = renewed.refusal, "the certificate was not renewed");
        }
        // For the next connection; this one goes on with the certificate it began with.
        let identity = Identity { certificate: CertificateDer::from(renewed.certificate), ..self.identity.clone() };
        match identity.save(&self.workshop.settings.state_dir) {
            Ok(()) => self.identity = identity,
            Err(error) => {
                tracing::error!(error = flota_daemon::error_chain::chain(&error), "the new certificate was not kept");
            }
        }
    }
}

fn hello(report: &flota_model::update::UpdateReport) -> v1::Hello {
    v1::Hello {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
        observed: Some(v1::UpdateReport::from(report)),
    }
}

async fn want(updater: UpdaterHandle, desired: v1::DesiredState) {
    let desired = match DesiredState::try_from(desired) {
        Ok(desired) => desired,
        Err(error) => return tracing::error!(%error, "a desired state that makes no sense was ignored"),
    };
    let generation = desired.generation;
    match updater.want(desired).await {
        Ok(()) => tracing::info!(%generation, "desired state accepted"),
        Err(error) => {
            tracing::warn!(%generation, error = flota_daemon::error_chain::chain(&error), "desired state refused");
        }
    }
}

fn send(open: &Open, body: Up) -> Result<(), SessionEnd> {
    open.up.try_send(v1::AgentMessage { body: Some(body) }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => SessionEnd::Stuck,
        mpsc::error::TrySendError::Closed(_) => SessionEnd::Closed,
    })
}
