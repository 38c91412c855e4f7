//! One session: hello, then whatever either side has to say, until the connection ends.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_model::Digest;
use flota_model::update::DesiredState;
use flota_net::dial::Farewell;
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::agent_session_client::AgentSessionClient;
use flota_proto::v1::controller_message::Body as Down;
use flota_updater::UpdaterHandle;
use rustls::AlertDescription;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::connection::{ConnectError, connect};
use super::evidence::{Bound, Witness};
use super::refusal::{Refusal, is_of_controller, refusal};
use super::renewal;
use super::tasks::{self, Offer, Tasks, Workshop};
use super::transfer::ControllerTransfer;
use super::verdicts::VerdictLog;
use crate::host_key::HostKey;
use crate::identity::{Approval, Identity};
use crate::procedures::Environment;
use crate::settings::Settings;

/// Messages that may wait for the network. A controller that takes none is gone.
const OUTGOING: usize = 64;
/// Pace of heartbeats until the controller says another.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Pace of the reminder that a person must let this host in.
const APPROVAL_REMINDER: Duration = Duration::from_hours(1);
/// What this agent can do. The controller asks for nothing else.
const CAPABILITIES: [&str; 5] = ["ping", "export", "health", "update", "attest"];

/// Why a session ended. Every session does.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionEnd {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the controller refused or ended the session")]
    Refused(#[source] Refusal),
    #[error("the controller ended the connection with the TLS alert {0:?}")]
    Alert(AlertDescription),
    #[error("the connection to the controller broke: {0}")]
    Broken(String),
    #[error("the controller ended the session")]
    Closed,
    #[error("the controller does not take what is sent to it")]
    Stuck,
}

impl SessionEnd {
    fn of(status: &Status, farewell: &Farewell) -> Self {
        match farewell.alert() {
            _ if is_of_controller(status) => Self::Refused(refusal(status)),
            Some(alert) => Self::Alert(alert),
            // The status repeats its causes.
            None => Self::Broken(status.source().map_or_else(|| status.message().to_owned(), chain)),
        }
    }
}

/// Whether the controller took the session before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reception {
    /// It did not.
    Rejected,
    /// It said welcome.
    Welcomed,
}

/// The agent's side of all its sessions.
pub(super) struct Agent {
    pub(super) identity: Identity,
    witness: Witness,
    updater: UpdaterHandle,
    pub(super) workshop: Workshop,
    results: mpsc::Receiver<v1::TaskResult>,
    tasks: Tasks,
    verdicts: VerdictLog,
    reception: Reception,
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
        witness: Witness,
        updater: UpdaterHandle,
        transfer: Arc<ControllerTransfer>,
    ) -> Self {
        let (sender, results) = mpsc::channel(tasks::WAITING);
        let workshop = Workshop { settings, environment, transfer, results: sender };
        let (tasks, verdicts) = (Tasks::default(), VerdictLog::default());
        Self { identity, witness, updater, workshop, results, tasks, verdicts, reception: Reception::Rejected }
    }

    /// The host's key.
    pub(super) fn key(&self) -> &HostKey {
        &self.witness.key
    }

    /// Connects and serves; says why it ended.
    pub(super) async fn session(&mut self) -> (SessionEnd, Reception) {
        self.reception = Reception::Rejected;
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        self.workshop.transfer.set(None);
        (end, self.reception)
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        let (connection, farewell) = connect(&self.workshop.settings, &self.identity, self.key()).await?;
        let ended = |status| SessionEnd::of(&status, &farewell);
        let (up, outgoing) = mpsc::channel(OUTGOING);
        let certificate_sha256 = *Digest::of(&self.identity.certificate).as_bytes();
        let host_id = self.identity.host_id.to_string();
        let open = Open { up, bound: Bound { host_id, certificate_sha256, exporter: connection.exporter } };
        let mut reports = self.updater.reports();
        send(&open, Up::Hello(hello(&reports.borrow_and_update())))?;
        let mut client = AgentSessionClient::new(connection.channel.clone());
        let mut down = client.connect(ReceiverStream::new(outgoing)).await.map_err(ended)?.into_inner();
        self.workshop.transfer.set(Some(connection.channel));
        let mut heartbeat = beat(HEARTBEAT);
        let mut reminder = interval_at(Instant::now() + APPROVAL_REMINDER, APPROVAL_REMINDER);
        let renewal = renewal::due(&self.identity);
        tokio::pin!(renewal);
        loop {
            tokio::select! {
                message = down.message() => {
                    let body = message.map_err(ended)?.ok_or(SessionEnd::Closed)?.body;
                    if let Some(Down::Welcome(welcome)) = &body {
                        self.reception = Reception::Welcomed;
                        tracing::info!(host.name = %welcome.host_name, "session with the controller");
                        self.remind_of_approval();
                        heartbeat = beat(Duration::from_secs(u64::from(welcome.heartbeat_seconds.max(1))));
                    } else if let Some(body) = body {
                        let renewed = matches!(body, Down::Renewed(_));
                        self.obey(&open, body)?;
                        if renewed {
                            renewal.set(renewal::due(&self.identity));
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
                _ = reminder.tick() => self.remind_of_approval(),
                () = &mut renewal => {
                    send(&open, Up::Renew(renewal::request(self.key())))?;
                    renewal.set(renewal::due(&self.identity));
                }
            }
        }
    }

    fn obey(&mut self, open: &Open, body: Down) -> Result<(), SessionEnd> {
        if matches!(body, Down::Desired(_) | Down::Task(_) | Down::Challenge(_) | Down::Verdict(_)) {
            self.note_approval();
        }
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
            Down::Verdict(verdict) => self.verdicts.note(&verdict),
            Down::Renewed(renewed) => renewal::take(&mut self.identity, &self.workshop.settings, renewed),
        }
        Ok(())
    }

    /// On its own: a TPM takes its time.
    fn answer(&self, open: &Open, challenge: v1::Challenge) {
        let (witness, bound, up) = (self.witness.clone(), open.bound.clone(), open.up.clone());
        drop(tokio::spawn(async move {
            let evidence = witness.answer(bound, challenge).await;
            // Without the session the evidence is worth nothing.
            let _ended = up.send(v1::AgentMessage { body: Some(Up::Evidence(evidence)) }).await;
        }));
    }

    fn remind_of_approval(&self) {
        if self.identity.approval == Approval::Awaited {
            let Identity { host_name, .. } = &self.identity;
            tracing::warn!(
                "this host waits until a person lets it in: flota enrolment approve {host_name}; nothing is asked of it \
                 until then"
            );
        }
    }

    /// Only members are asked anything.
    fn note_approval(&mut self) {
        if self.identity.approval == Approval::Given {
            return;
        }
        tracing::info!("a person has let this host in");
        self.identity.approval = Approval::Given;
        if let Err(error) = self.identity.save(&self.workshop.settings.state_dir) {
            tracing::warn!(
                error = chain(&error),
                "the approval was not kept; the log will say again that it is awaited"
            );
        }
    }
}

fn beat(pace: Duration) -> Interval {
    let mut heartbeat = interval(pace);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
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
            tracing::warn!(%generation, error = chain(&error), "desired state refused");
        }
    }
}

fn send(open: &Open, body: Up) -> Result<(), SessionEnd> {
    open.up.try_send(v1::AgentMessage { body: Some(body) }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => SessionEnd::Stuck,
        mpsc::error::TrySendError::Closed(_) => SessionEnd::Closed,
    })
}
