//! One session, from hello to its end.

mod attest;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flota_model::host::KeyStorage;
use flota_model::update::{Generation, Goal, UpdatePhase, UpdateReport};
use flota_model::{HostId, TaskId};
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::controller_message::Body as Down;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

use super::outcome;
use crate::attestation::Outcome;
use crate::attestation::subject::Subject;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::peer::Peer;
use crate::sessions::{Command, Registration};

/// A challenge must be answered in this time; a hardware TPM quotes in about a second.
const CHALLENGE_TTL: Duration = Duration::from_secs(30);
/// Heartbeats that may be missed before the session is given up.
const MISSED_HEARTBEATS: u32 = 3;
/// Pings of operators that a session has open at once.
const MAX_PINGS: usize = 256;

/// A session.
pub(super) struct Session {
    core: Arc<Core>,
    host: HostId,
    peer: Arc<Peer>,
    down: mpsc::Sender<Result<v1::ControllerMessage, Status>>,
    registration: Registration,
    sent_generation: Option<Generation>,
    pings: HashMap<String, oneshot::Sender<()>>,
    /// None: the host has no TPM, or a person has not let it in yet. Then it is not challenged.
    subject: Option<Subject>,
    challenge: Option<Challenge>,
    /// The host committed a release while a challenge was open: one more is due, over the new state.
    challenge_again: bool,
    verdict_waiters: Vec<oneshot::Sender<Outcome>>,
    next_attestation: Instant,
}

struct Challenge {
    id: String,
    nonce: [u8; 32],
    expires: Instant,
}

/// However it ended: a host whose session panicked must not look connected for ever.
impl Drop for Session {
    fn drop(&mut self) {
        self.core.sessions.leave(&self.registration);
        self.core.sessions.note_seen(&self.host, self.core.now());
        self.core.fleet_changed.notify_one();
    }
}

/// Why a session ends.
enum End {
    /// The stream was closed by the host or by the network.
    Closed,
    /// The host does not take what is sent to it, or says nothing.
    Behind,
    /// Told to the host.
    Refused(Fault),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl Session {
    pub(super) fn new(
        core: Arc<Core>,
        host: HostId,
        peer: Arc<Peer>,
        down: mpsc::Sender<Result<v1::ControllerMessage, Status>>,
    ) -> Self {
        let registration = core.sessions.enter(&host);
        Self {
            core,
            host,
            peer,
            down,
            registration,
            sent_generation: None,
            pings: HashMap::new(),
            subject: None,
            challenge: None,
            challenge_again: false,
            verdict_waiters: Vec::new(),
            next_attestation: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut up: Streaming<v1::AgentMessage>) {
        match self.serve(&mut up).await {
            End::Closed => tracing::info!(host.id = %self.host, "session ended"),
            End::Behind => tracing::warn!(host.id = %self.host, "session ended: the host does not keep up"),
            End::Refused(fault) => {
                // The host may be gone already; then nobody needs the reason.
                let _gone = self.down.try_send(Err(fault.into()));
            }
        }
    }

    async fn serve(&mut self, up: &mut Streaming<v1::AgentMessage>) -> End {
        match self.greet(up).await {
            Ok(()) => {}
            Err(end) => return end,
        }
        let patience = self.core.settings.heartbeat * MISSED_HEARTBEATS;
        let mut heard = Instant::now();
        let certificate = self.peer.certificate.as_ref();
        let lifetime = certificate.map_or(Duration::ZERO, |certificate| certificate.not_after.since(self.core.now()));
        let certificate_ends = sleep_until(Instant::now() + lifetime);
        tokio::pin!(certificate_ends);
        loop {
            let timer = self.next_timer().min(heard + patience);
            let step = tokio::select! {
                message = up.message() => match message {
                    Ok(Some(_)) if self.core.denied.contains(&self.host) => {
                        Err(Fault::new(Code::UnknownCertificate, "the host is shut out of the fleet").into())
                    }
                    Ok(Some(v1::AgentMessage { body: Some(body) })) => {
                        heard = Instant::now();
                        self.core.sessions.note_seen(&self.host, self.core.now());
                        self.receive(body).await
                    }
                    Ok(Some(_)) => Ok(()),
                    Ok(None) | Err(_) => Err(End::Closed),
                },
                command = self.registration.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => Err(End::Closed),
                },
                () = &mut certificate_ends => {
                    let sentence = "the client certificate has ended: connect again with the renewed one";
                    Err(Fault::new(Code::UnknownCertificate, sentence).into())
                }
                () = sleep_until(timer) => {
                    if heard.elapsed() >= patience { Err(End::Behind) } else { self.tick() }
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// The first message says who speaks and where its engine stands; the answer is everything the host has missed.
    async fn greet(&mut self, up: &mut Streaming<v1::AgentMessage>) -> Result<(), End> {
        let first = tokio::time::timeout(CHALLENGE_TTL, up.message()).await;
        let Ok(Ok(Some(v1::AgentMessage { body: Some(Up::Hello(hello)) }))) = first else {
            return Err(Fault::new(Code::BadRequest, "the first message of a session must be a hello").into());
        };
        self.core.quotas.entry(&self.host)?;
        let version: String = hello.agent_version.chars().take(60).collect();
        self.core.store.connected(&self.host, &version, self.core.now()).await.map_err(Fault::from)?;
        tracing::info!(host.id = %self.host, agent.version = %version, "session began");
        let unknown = || Fault::new(Code::UnknownCertificate, "the host is not in the fleet");
        let host = self.core.store.host(&self.host).await.map_err(Fault::from)?.ok_or_else(unknown)?;
        if self.registration.replaced_another {
            let details = serde_json::json!({ "address": self.peer.address });
            let audit = self.core.audit_host(&self.host, "host.session_replaced", "ok", &details);
            self.core.store.append_audit(&[audit]).await.map_err(Fault::from)?;
            tracing::warn!(host.id = %self.host, address = %self.peer.address, "a second session of one key: the newest wins");
        }
        self.subject = if host.awaits_approval { None } else { Subject::load(&self.core, &host).await? };
        self.send(Down::Welcome(v1::Welcome {
            heartbeat_seconds: u32::try_from(self.core.settings.heartbeat.as_secs()).unwrap_or(u32::MAX),
            host_name: host.name.to_string(),
        }))?;
        if let Some(observed) = hello.observed {
            self.report(observed).await?;
        }
        self.look().await?;
        self.core.fleet_changed.notify_one();
        self.challenge_if_free()
    }

    async fn receive(&mut self, body: Up) -> Result<(), End> {
        match body {
            Up::Hello(_) => Err(Fault::new(Code::BadRequest, "a session has one hello").into()),
            Up::Heartbeat(v1::Heartbeat {}) => Ok(()),
            Up::Update(report) => {
                self.core.quotas.entry(&self.host)?;
                self.report(report).await
            }
            Up::TaskResult(result) => {
                self.core.quotas.entry(&self.host)?;
                self.task_result(result).await
            }
            Up::Evidence(evidence) => self.judge(evidence).await,
            Up::Pong(v1::Pong { id }) => {
                if let Some(answered) = self.pings.remove(&id) {
                    // The operator may have stopped waiting.
                    let _gone = answered.send(());
                }
                Ok(())
            }
            Up::Renew(request) => {
                self.core.quotas.entry(&self.host)?;
                self.renew(&request.csr).await
            }
        }
    }

    /// A result that makes no sense is the host's mistake and ends no session; the task ends at its deadline.
    async fn task_result(&self, result: v1::TaskResult) -> Result<(), End> {
        match outcome::store(&self.core, &self.host, result).await {
            Err(fault) if fault.code == Code::BadRequest => {
                tracing::warn!(host.id = %self.host, error = %fault, "a task's result was ignored");
                Ok(())
            }
            stored => {
                stored?;
                // A rollout may wait for what a health check found.
                self.core.fleet_changed.notify_one();
                Ok(())
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Look => self.look().await,
            Command::Ping { answered } => {
                if self.pings.len() >= MAX_PINGS {
                    self.pings.retain(|_, answered| !answered.is_closed());
                }
                let id = uuid::Uuid::now_v7().simple().to_string();
                self.pings.insert(id.clone(), answered);
                self.send(Down::Ping(v1::Ping { id }))
            }
            Command::Attest { verdict } => {
                self.verdict_waiters.push(verdict);
                self.challenge_if_free()
            }
            Command::Close { reason } => Err(Fault::new(Code::WrongState, reason).into()),
        }
    }

    /// Sends the newest desired state, if the host has not been sent it, and all tasks that wait.
    async fn look(&mut self) -> Result<(), End> {
        let host = self.core.store.host(&self.host).await.map_err(Fault::from)?;
        let Some(host) = host.filter(|host| host.trust.admits_connection()) else {
            return Err(Fault::new(Code::UnknownCertificate, "the host was shut out of the fleet").into());
        };
        if host.awaits_approval {
            return Ok(());
        }
        if let Some(subject) = &mut self.subject {
            subject.refresh(&host);
        } else if host.key_storage == KeyStorage::Tpm {
            // A person has just let it in.
            self.subject = Subject::load(&self.core, &host).await?;
            self.challenge_if_free()?;
        }
        // To stay is no work: it may be said to any host. Anything else needs a lease.
        let leased = host.admits_work(self.core.now());
        let desired = host.desired.filter(|desired| leased || desired.goal == Goal::Stay);
        if let Some(desired) = desired.filter(|desired| Some(desired.generation) > self.sent_generation) {
            self.sent_generation = Some(desired.generation);
            self.send(Down::Desired(v1::DesiredState::from(&desired)))?;
        }
        for task in self.core.store.open_tasks(&self.host).await.map_err(Fault::from)? {
            self.offer(&task).await?;
        }
        Ok(())
    }

    async fn offer(&mut self, task: &flota_model::task::Task) -> Result<(), End> {
        let id: &TaskId = &task.id;
        let left = task.deadline.since(self.core.now()).as_secs();
        let offer = outcome::offer(task, u32::try_from(left).unwrap_or(u32::MAX));
        self.core.store.task_offered(id).await.map_err(Fault::from)?;
        self.send(Down::Task(offer))
    }

    async fn report(&mut self, message: v1::UpdateReport) -> Result<(), End> {
        let report = UpdateReport::try_from(message).map_err(Fault::bad)?;
        let details = serde_json::json!({
            "phase": report.phase, "generation": report.generation, "running": report.running,
            "version": report.version, "detail": report.detail,
        });
        let audit = self.core.audit_host(&self.host, "host.report", report.phase.as_str(), &details);
        self.core.store.report(&self.host, &report, &audit).await.map_err(Fault::from)?;
        self.send(Down::Ack(v1::Ack { sequence: report.sequence }))?;
        if report.phase == UpdatePhase::Committed {
            // What the host says becomes true when a quote confirms it: ask at once.
            match self.challenge {
                None => self.challenge_if_free()?,
                Some(_) => self.challenge_again = true,
            }
        }
        self.core.fleet_changed.notify_one();
        Ok(())
    }

    fn next_timer(&self) -> Instant {
        self.challenge.as_ref().map_or(self.next_attestation, |challenge| challenge.expires)
    }

    fn tick(&mut self) -> Result<(), End> {
        if Instant::now() < self.next_timer() {
            return Ok(());
        }
        if self.subject.is_some() {
            return self.send_challenge();
        }
        self.next_attestation = Instant::now() + self.core.settings.attest_interval;
        Ok(())
    }

    /// A new certificate for the same TLS key, to a host whose attestation is good.
    async fn renew(&mut self, csr: &[u8]) -> Result<(), End> {
        let (certificate, refusal) = match outcome::renew(&self.core, &self.host, &self.peer, csr).await {
            Ok(certificate) => (certificate, String::new()),
            Err(fault) => (Vec::new(), fault.sentence),
        };
        self.send(Down::Renewed(v1::RenewResponse { certificate, refusal }))
    }

    fn send(&self, body: Down) -> Result<(), End> {
        let message = v1::ControllerMessage { body: Some(body) };
        self.down.try_send(Ok(message)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => End::Behind,
            mpsc::error::TrySendError::Closed(_) => End::Closed,
        })
    }
}
