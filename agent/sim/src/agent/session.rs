//! One session: hello, heartbeats, quotes and pongs, until the connection ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flota_model::Digest;
use flota_model::host::VerdictKind;
use flota_model::update::{DesiredState, UpdateReport};
use flota_net::dial::Dialed;
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::agent_session_client::AgentSessionClient;
use flota_proto::v1::controller_message::Body as Down;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::evidence::{self, Bound};
use super::update::{Came, Updates};
use super::{Member, Refusal};
use crate::soft_tpm::SoftTpm;

/// Messages that may wait for the network. A controller that takes none is gone.
const OUTGOING: usize = 64;
/// Pace of heartbeats until the controller says another.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// What a simulated host can do. The controller asks for nothing else.
const CAPABILITIES: [&str; 3] = ["ping", "attest", "update"];

/// What is told whoever watches a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The controller took the session.
    Welcome,
    /// The host began with what the controller wants of it, or ended with it, or is in between.
    Update {
        /// Where it stands; the controller is told at the same moment.
        report: UpdateReport,
    },
    /// A quote was judged.
    Verdict {
        /// How.
        verdict: VerdictKind,
        /// Why; empty on a pass.
        reasons: Vec<String>,
        /// From when the evidence was handed to the network until the verdict was read.
        took: Duration,
    },
}

/// Called from the session's task for every event: it must not block.
pub type Observer = Arc<dyn Fn(&SessionEvent) + Send + Sync>;

/// Why a session ended. Every session does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// By the controller, with a reason.
    #[error("the controller refused or ended the session")]
    Refused(#[from] Refusal),
    /// By the controller or the network.
    #[error("the controller ended the session")]
    Closed,
    /// The controller does not read.
    #[error("the controller does not take what is sent to it")]
    Stuck,
    /// The controller breaks the protocol.
    #[error("the controller's message makes no sense: {0}")]
    Message(&'static str),
}

/// A session that is open.
pub struct Session {
    tpm: Arc<SoftTpm>,
    bound: Bound,
    updates: Updates,
    /// When the bot will say how it is, if it was asked.
    answer: Option<Pin<Box<Sleep>>>,
    observer: Observer,
    up: mpsc::Sender<v1::AgentMessage>,
    down: Streaming<v1::ControllerMessage>,
    heartbeat: Interval,
    /// Challenge whose evidence was sent, and when.
    judged_next: Option<(String, Instant)>,
}

/// Opens a session over a connection that is up.
pub(super) async fn open(
    tpm: Arc<SoftTpm>,
    updates: Updates,
    connection: Dialed,
    member: &Member,
    observer: Observer,
) -> Result<Session, Refusal> {
    let (up, outgoing) = mpsc::channel(OUTGOING);
    // The queue is new and holds more than one.
    let _sent = up.try_send(message(Up::Hello(hello(&updates.report()))));
    let down = AgentSessionClient::new(connection.channel).connect(ReceiverStream::new(outgoing)).await?.into_inner();
    let bound = Bound {
        host_id: member.host_id.to_string(),
        certificate_sha256: *Digest::of(&member.certificate).as_bytes(),
        exporter: connection.exporter,
    };
    // Asked in an earlier session, and cut off.
    let answer = updates.is_asked().then(|| Box::pin(sleep(updates.probation())));
    let heartbeat = beat(HEARTBEAT);
    Ok(Session { tpm, bound, updates, answer, observer, up, down, heartbeat, judged_next: None })
}

impl Session {
    /// Serves until the session ends; dropping the future ends it as well.
    pub async fn run(mut self) -> SessionEnd {
        loop {
            let step = tokio::select! {
                message = self.down.message() => match message {
                    Ok(Some(message)) => message.body.map_or(Ok(()), |body| self.obey(body)),
                    Ok(None) => Err(SessionEnd::Closed),
                    Err(status) => Err(SessionEnd::Refused(status.into())),
                },
                () = answered(&mut self.answer) => {
                    self.answer = None;
                    let came = self.updates.bot_answers();
                    self.tell(came)
                }
                _ = self.heartbeat.tick() => self.send(Up::Heartbeat(v1::Heartbeat::default())),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn obey(&mut self, body: Down) -> Result<(), SessionEnd> {
        match body {
            Down::Welcome(welcome) => {
                self.heartbeat = beat(Duration::from_secs(u64::from(welcome.heartbeat_seconds.max(1))));
                (self.observer)(&SessionEvent::Welcome);
                Ok(())
            }
            Down::Ping(ping) => self.send(Up::Pong(pong(ping))),
            Down::Challenge(challenge) => {
                // Some fifty microseconds for P-256 and a millisecond for RSA: not worth another thread.
                let evidence = evidence::answer(&self.tpm, &self.bound, &challenge, &self.updates.report());
                self.judged_next = Some((challenge.id, Instant::now()));
                self.send(Up::Evidence(evidence))
            }
            Down::Verdict(verdict) => self.judged(verdict),
            Down::Task(task) => self.send(Up::TaskResult(self.carried_out(task))),
            Down::Desired(desired) => {
                let desired = DesiredState::try_from(desired);
                let desired = desired.map_err(|_| SessionEnd::Message("a goal that makes no sense"))?;
                match self.updates.want(desired) {
                    Ok(came) => self.tell(came),
                    // Said again, or overtaken: a host leaves it at that.
                    Err(_) => Ok(()),
                }
            }
            // Acknowledgements, a renewed certificate, and what later controllers say.
            _ => Ok(()),
        }
    }

    /// A health check finds what the script says of the release that runs; exports are not made.
    fn carried_out(&self, task: v1::TaskOffer) -> v1::TaskResult {
        if !matches!(task.kind, Some(v1::task_offer::Kind::Health(_))) {
            let detail = "a simulated host makes no exports".to_owned();
            return v1::TaskResult { id: task.id, detail, ..v1::TaskResult::default() };
        }
        let (overall, report_json) = self.updates.health();
        let found = v1::HealthResult { overall: overall.to_owned(), report_json };
        let result = Some(v1::task_result::Result::Health(found));
        v1::TaskResult { id: task.id, ok: true, detail: String::new(), result }
    }

    fn tell(&mut self, Came { reports, asks_bot }: Came) -> Result<(), SessionEnd> {
        for report in reports {
            self.send(Up::Update(v1::UpdateReport::from(&report)))?;
            (self.observer)(&SessionEvent::Update { report });
        }
        if asks_bot {
            self.answer = Some(Box::pin(sleep(self.updates.probation())));
        }
        Ok(())
    }

    fn judged(&mut self, message: v1::Verdict) -> Result<(), SessionEnd> {
        // A verdict on evidence that a newer challenge has overtaken has no time to be told.
        let Some((_, sent)) = self.judged_next.take_if(|(id, _)| *id == message.challenge_id) else { return Ok(()) };
        let took = sent.elapsed();
        let verdict = [VerdictKind::Pass, VerdictKind::Fail, VerdictKind::Retry]
            .into_iter()
            .find(|kind| kind.as_str() == message.verdict)
            .ok_or(SessionEnd::Message("a verdict of no known kind"))?;
        (self.observer)(&SessionEvent::Verdict { verdict, reasons: message.reasons, took });
        Ok(())
    }

    fn send(&self, body: Up) -> Result<(), SessionEnd> {
        self.up.try_send(message(body)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SessionEnd::Stuck,
            mpsc::error::TrySendError::Closed(_) => SessionEnd::Closed,
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("host_id", &self.bound.host_id).finish_non_exhaustive()
    }
}

#[expect(clippy::needless_update, reason = "the message may gain fields that a simulated host leaves empty")]
fn hello(report: &UpdateReport) -> v1::Hello {
    v1::Hello {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
        observed: Some(v1::UpdateReport::from(report)),
        ..v1::Hello::default()
    }
}

#[expect(clippy::needless_update, reason = "the message may gain fields that a simulated host leaves empty")]
fn pong(ping: v1::Ping) -> v1::Pong {
    v1::Pong { id: ping.id, ..v1::Pong::default() }
}

fn message(body: Up) -> v1::AgentMessage {
    v1::AgentMessage { body: Some(body) }
}

/// When the bot answers; never if it was not asked.
async fn answered(answer: &mut Option<Pin<Box<Sleep>>>) {
    match answer {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

fn beat(pace: Duration) -> Interval {
    let mut heartbeat = interval(pace);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}
