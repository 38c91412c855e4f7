//! The other end of the socket: an agent, or a command of a person on the host.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_daemon::error_chain::chain;
use flota_engine::Cause;
use flota_model::update::UpdateReport;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::frame;
use super::message::{Ask, Call, FromClient, FromServer, Given, PROTOCOL, Returned, Trouble};
use crate::outside::{Origin, Outside, OutsideError};
use crate::settings::Component;

/// Calls that may wait to be sent.
const WAITING_CALLS: usize = 8;
/// Messages that may wait for the network of one machine.
const OUTGOING: usize = 64;

/// What a client does for the updater.
#[derive(Clone)]
pub struct Service {
    /// For whose goals.
    pub origin: Origin,
    /// How.
    pub outside: Arc<dyn Outside>,
}

/// A connection to an updater. It ends when this is dropped.
#[derive(Debug)]
pub struct Client {
    calls: mpsc::Sender<(Call, Returns)>,
    reports: watch::Receiver<Option<UpdateReport>>,
    goodbye: watch::Receiver<Option<String>>,
    work: JoinHandle<()>,
}

/// Where what came of a call goes.
type Returns = oneshot::Sender<Result<Returned, String>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no updater.
    #[error("no updater runs here ({} is not served): systemctl start flota-supervisor, or flota-agent where there is none", .0.display())]
    Absent(PathBuf),
    /// It cannot be reached.
    #[error("connecting to the updater at {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The updater said no, and why.
    #[error("{0}")]
    Refused(String),
    /// The connection is gone.
    #[error("the updater has stopped; it goes on where it was when it starts again")]
    Gone,
}

impl Client {
    /// Connects to the updater that is served at `path`, to speak of one thing that is updated, and does this for it.
    pub async fn connect(path: &Path, of: Component, service: Option<Service>) -> Result<Self, ConnectError> {
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => ConnectError::Absent(path.to_owned()),
            _ => ConnectError::Io { path: path.to_owned(), source },
        };
        let (from, mut to) = UnixStream::connect(path).await.map_err(failed)?.into_split();
        let hello = FromClient::Hello {
            protocol: PROTOCOL,
            serves: service.as_ref().map(|service| service.origin),
            host_id: service.as_ref().and_then(|service| service.outside.host_id()),
            program: std::env::current_exe().ok(),
        };
        frame::write(&mut to, &hello).await.map_err(failed)?;
        let (calls, waiting) = mpsc::channel(WAITING_CALLS);
        let (reports_in, reports) = watch::channel(None);
        let (goodbye_in, goodbye) = watch::channel(None);
        let conversation = Conversation {
            of,
            outside: service.map(|service| service.outside),
            reports: reports_in,
            goodbye: goodbye_in,
            called: HashMap::new(),
            asked: HashMap::new(),
            next: 1,
        };
        let work = tokio::spawn(conversation.hold(from, to, waiting));
        Ok(Self { calls, reports, goodbye, work })
    }

    /// Asks, and waits for what comes of it.
    pub async fn call(&self, call: Call) -> Result<Returned, CallError> {
        let (returns, returned) = oneshot::channel();
        let gone = || self.goodbye.borrow().clone().map_or(CallError::Gone, CallError::Refused);
        self.calls.send((call, returns)).await.map_err(|_| gone())?;
        returned.await.map_err(|_| gone())?.map_err(CallError::Refused)
    }

    /// Where the host stands; none until the updater has said so for the first time. Closed with the connection.
    pub fn reports(&self) -> watch::Receiver<Option<UpdateReport>> {
        self.reports.clone()
    }

    /// Why the updater ended the connection, if it said so.
    pub fn goodbye(&self) -> Option<String> {
        self.goodbye.borrow().clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.work.abort();
    }
}

struct Conversation {
    of: Component,
    outside: Option<Arc<dyn Outside>>,
    reports: watch::Sender<Option<UpdateReport>>,
    goodbye: watch::Sender<Option<String>>,
    called: HashMap<u64, Returns>,
    asked: HashMap<u64, Work>,
    next: u64,
}

/// Work for the updater; it ends when this is dropped.
struct Work(JoinHandle<()>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Conversation {
    async fn hold(mut self, from: OwnedReadHalf, to: OwnedWriteHalf, mut calls: mpsc::Receiver<(Call, Returns)>) {
        let (out, outgoing) = mpsc::channel(OUTGOING);
        let (heard_in, mut heard) = mpsc::channel(1);
        // Ended with this conversation. A message is read on its own task, since half of one must not be dropped.
        let _reading = Work(tokio::spawn(read_in(from, heard_in)));
        let _writing = Work(tokio::spawn(write_out(to, outgoing)));
        loop {
            tokio::select! {
                message = heard.recv() => match message {
                    Some(message) => self.hear(message, &out),
                    None => return,
                },
                call = calls.recv() => match call {
                    Some((call, returns)) => {
                        let number = self.next;
                        self.next += 1;
                        self.called.insert(number, returns);
                        if out.send(FromClient::Call { number, of: self.of, call }).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                },
            }
        }
    }

    fn hear(&mut self, message: FromServer, out: &mpsc::Sender<FromClient>) {
        match message {
            FromServer::Goodbye { why } => {
                self.goodbye.send_replace(Some(why));
            }
            FromServer::Report { of, report } => {
                if of == self.of {
                    self.reports.send_replace(Some(report));
                }
            }
            FromServer::Returned { number, outcome } => {
                if let Some(returns) = self.called.remove(&number) {
                    // Whoever asked may be gone.
                    let _ = returns.send(outcome);
                }
            }
            FromServer::Forget { number } => drop(self.asked.remove(&number)),
            FromServer::Ask { number, ask } => {
                let Some(outside) = self.outside.clone() else { return };
                let out = out.clone();
                let work = async move {
                    let answer = answer(outside.as_ref(), ask).await;
                    // Without the connection the answer is worth nothing.
                    let _ = out.send(FromClient::Answer { number, answer }).await;
                };
                self.asked.retain(|_, work| !work.0.is_finished());
                self.asked.insert(number, Work(tokio::spawn(work)));
            }
        }
    }
}

/// Does what the updater asks.
async fn answer(outside: &dyn Outside, ask: Ask) -> Result<Given, Trouble> {
    let trouble = |error: OutsideError| Trouble::new(chain(&error), error.cause());
    let sentence = |why| Trouble::new(why, Cause::Transient);
    match ask {
        Ask::Metadata { name } => match outside.metadata().metadata(&name).await {
            Ok(contents) => Ok(Given::File { contents: contents.map(|bytes| STANDARD.encode(bytes)) }),
            Err(error) => Err(Trouble::new(chain(&error), Cause::Transient)),
        },
        Ask::Fetch { release, into, seeds } => {
            outside.fetch(&release, &into, &seeds).await.map(|()| Given::Done).map_err(trouble)
        }
        Ask::Export { release, rollout } => {
            outside.export(&release, rollout).await.map(|()| Given::Done).map_err(trouble)
        }
        Ask::Certificate { seconds } => outside.certificate(seconds).await.map(|()| Given::Done).map_err(sentence),
        Ask::Exchange => outside.exchange().await.map(|()| Given::Done).map_err(sentence),
        Ask::Ended { entry } => {
            outside.ended(&entry).await;
            Ok(Given::Done)
        }
        Ask::Tidy => {
            outside.tidy().await;
            Ok(Given::Done)
        }
    }
}

async fn read_in(mut from: OwnedReadHalf, heard: mpsc::Sender<FromServer>) {
    loop {
        match frame::read(&mut from).await {
            Ok(Some(message)) => {
                if heard.send(message).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "the connection to the updater broke"),
        }
    }
}

async fn write_out(mut to: OwnedWriteHalf, mut outgoing: mpsc::Receiver<FromClient>) {
    while let Some(message) = outgoing.recv().await {
        if frame::write(&mut to, &message).await.is_err() {
            return;
        }
    }
}
