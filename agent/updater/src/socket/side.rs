//! An outside that is at the other end of the socket, while somebody is there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_engine::Cause;
use flota_model::RolloutId;
use flota_model::release::ReleaseRef;
use flota_release::{MetadataSource, SourceError};
use tokio::sync::{Notify, mpsc, oneshot};

use super::message::{Ask, FromServer, Given, Trouble};
use crate::history::Entry;
use crate::outside::{BoxFuture, Outside, OutsideError, Outsides};

/// How long a question waits for somebody to be there: longer than it takes to start an agent again.
const ABSENCE: Duration = Duration::from_secs(30);

/// Longest that a package may take to come, or an export to be safe elsewhere, in one attempt.
const LONG_WORK: Duration = Duration::from_hours(6);
/// Longest that anything else may take: an exchange is asked several things, each with a limit of its own.
const SHORT_WORK: Duration = Duration::from_mins(2);

/// Both outsides of an updater that has no network at all.
#[derive(Debug, Clone)]
pub struct Sides {
    pub(super) controller: Arc<Side>,
    pub(super) host: Arc<Side>,
}

impl Sides {
    /// Nobody is there yet.
    pub fn new() -> Self {
        let absent = "no agent is connected to the supervisor: systemctl status flota-agent";
        let controller = Arc::new(Side::new(absent, None));
        let started = "the command that asked for it has ended: run `flota-agent update apply` again";
        Self { host: Arc::new(Side::new(started, Some(Arc::clone(&controller)))), controller }
    }

    /// Both at the other end of the socket: the outsides of a supervisor.
    pub fn outsides(&self) -> Outsides {
        Outsides { controller: Arc::new(Arc::clone(&self.controller)), host: self.host() }
    }

    /// Only the commands of people at the other end of the socket: for an updater within the agent.
    pub fn host(&self) -> Arc<dyn Outside> {
        Arc::new(Arc::clone(&self.host))
    }
}

impl Default for Sides {
    fn default() -> Self {
        Self::new()
    }
}

/// One of them.
#[derive(Debug)]
pub(super) struct Side {
    peer: Mutex<Option<Peer>>,
    came: Notify,
    /// Who the host is, as the updater believes.
    host_id: Mutex<Option<String>>,
    /// A sentence for people when nobody is there.
    absent: &'static str,
    /// Who else may be asked about the exchange.
    instead: Option<Arc<Side>>,
}

/// Whoever is there.
#[derive(Debug)]
struct Peer {
    /// Which connection it is.
    connection: u64,
    program: Option<PathBuf>,
    out: mpsc::Sender<FromServer>,
    waiting: HashMap<u64, oneshot::Sender<Result<Given, Trouble>>>,
    next: u64,
}

/// Calls a question off when nobody waits for its answer any more.
struct Asked<'a> {
    side: &'a Side,
    connection: u64,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.side.peer().as_mut().filter(|peer| peer.connection == self.connection)
            && peer.waiting.remove(&self.number).is_some()
        {
            // A peer that takes nothing is about to be gone.
            let _full = peer.out.try_send(FromServer::Forget { number: self.number });
        }
    }
}

impl Side {
    fn new(absent: &'static str, instead: Option<Arc<Side>>) -> Self {
        Self { peer: Mutex::new(None), came: Notify::new(), host_id: Mutex::new(None), absent, instead }
    }

    /// Somebody is there; whoever was there before is not asked any more.
    pub(super) fn enter(
        &self,
        connection: u64,
        out: mpsc::Sender<FromServer>,
        host_id: Option<String>,
        program: Option<PathBuf>,
    ) {
        // Assigning an option cannot leave it half-done.
        *self.host_id.lock().unwrap_or_else(PoisonError::into_inner) = host_id;
        *self.peer() = Some(Peer { connection, program, out, waiting: HashMap::new(), next: 1 });
        self.came.notify_waiters();
    }

    /// They are gone.
    pub(super) fn leave(&self, connection: u64) {
        let mut peer = self.peer();
        if peer.as_ref().is_some_and(|peer| peer.connection == connection) {
            *peer = None;
        }
    }

    pub(super) fn answer(&self, connection: u64, number: u64, answer: Result<Given, Trouble>) {
        let mut peer = self.peer();
        let waiting = peer.as_mut().filter(|peer| peer.connection == connection);
        if let Some(asker) = waiting.and_then(|peer| peer.waiting.remove(&number)) {
            // Whoever asked may be gone.
            let _ = asker.send(answer);
        }
    }

    fn peer(&self) -> MutexGuard<'_, Option<Peer>> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whoever is there, or comes soon.
    async fn ask(&self, ask: Ask) -> Result<Given, Trouble> {
        let absent = || Trouble::new(self.absent.to_owned(), Cause::Transient);
        let asked = tokio::time::timeout(ABSENCE, async {
            loop {
                let came = self.came.notified();
                match self.send(&ask) {
                    Some(sent) => return sent,
                    None => came.await,
                }
            }
        });
        let (asked, answer) = asked.await.map_err(|_| absent())?;
        let in_time = tokio::time::timeout(patience(&ask), answer).await;
        let too_long = |_| Trouble::new("the other end of the socket does not answer".to_owned(), Cause::Transient);
        let answer = in_time.map_err(too_long)?.map_err(|_| absent())?;
        drop(asked);
        answer
    }

    fn send(&self, ask: &Ask) -> Option<(Asked<'_>, oneshot::Receiver<Result<Given, Trouble>>)> {
        let mut there = self.peer();
        let peer = there.as_mut()?;
        let number = peer.post(ask.clone())?;
        let (answer, answered) = oneshot::channel();
        peer.waiting.insert(number, answer);
        Some((Asked { side: self, connection: peer.connection, number }, answered))
    }

    /// Says something that needs no answer, if somebody is there.
    fn tell(&self, ask: Ask) {
        if let Some(peer) = self.peer().as_mut() {
            peer.post(ask);
        }
    }
}

impl Peer {
    /// A peer that takes nothing is as good as none.
    fn post(&mut self, ask: Ask) -> Option<u64> {
        let number = self.next;
        self.next += 1;
        self.out.try_send(FromServer::Ask { number, ask }).ok().map(|()| number)
    }
}

impl Outside for Arc<Side> {
    fn program(&self) -> Option<PathBuf> {
        self.peer().as_ref().and_then(|peer| peer.program.clone())
    }

    fn host_id(&self) -> Option<String> {
        self.host_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        Arc::new(Metadata(Arc::clone(self)))
    }

    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        seeds: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        let ask = Ask::Fetch { release: release.clone(), into: into.to_owned(), seeds: seeds.to_vec() };
        Box::pin(async move { done(self.ask(ask).await) })
    }

    fn export<'a>(
        &'a self,
        release: &'a ReleaseRef,
        rollout: Option<RolloutId>,
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        let ask = Ask::Export { release: release.clone(), rollout };
        Box::pin(async move { done(self.ask(ask).await) })
    }

    fn certificate(&self, seconds: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.ask(Ask::Certificate { seconds }).await.map(drop).map_err(|trouble| trouble.why) })
    }

    fn exchange(&self) -> BoxFuture<'_, Result<(), String>> {
        let asked = match &self.instead {
            Some(instead) if self.peer().is_none() => instead,
            _ => self,
        };
        Box::pin(async { asked.ask(Ask::Exchange).await.map(drop).map_err(|trouble| trouble.why) })
    }

    fn ended<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, ()> {
        Box::pin(async { self.tell(Ask::Ended { entry: entry.clone() }) })
    }

    fn tidy(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.tell(Ask::Tidy) })
    }
}

/// How long an answer is waited for.
fn patience(ask: &Ask) -> Duration {
    match ask {
        Ask::Fetch { .. } | Ask::Export { .. } => LONG_WORK,
        _ => SHORT_WORK,
    }
}

fn done(answer: Result<Given, Trouble>) -> Result<(), OutsideError> {
    match answer {
        Ok(_) => Ok(()),
        Err(Trouble { why: what, may_pass: true }) => Err(OutsideError::Transient { what, source: None }),
        Err(Trouble { why: what, may_pass: false }) => Err(OutsideError::Permanent { what, source: None }),
    }
}

/// Metadata from whoever is there.
#[derive(Debug)]
struct Metadata(Arc<Side>);

#[async_trait]
impl MetadataSource for Metadata {
    async fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let failed = |why: String| SourceError { name: name.to_owned(), source: why.into() };
        match self.0.ask(Ask::Metadata { name: name.to_owned() }).await {
            Ok(Given::File { contents: None }) => Ok(None),
            Ok(Given::File { contents: Some(text) }) => {
                STANDARD.decode(text).map(Some).map_err(|error| failed(error.to_string()))
            }
            Ok(Given::Done) => Err(failed("no file was given".to_owned())),
            Err(trouble) => Err(failed(trouble.why)),
        }
    }
}
