//! The updater's end of the socket.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_model::update::UpdateReport;
use flota_package::durable;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::frame;
use super::message::{Call, FromClient, FromServer, PROTOCOL, Returned};
use super::rights::{self, Rights, RightsError};
use super::side::{Side, Sides};
use crate::driver::UpdaterHandle;
use crate::outside::Origin;
use crate::settings::{Component, Home, UpdaterSettings};
use crate::wish;

/// Connections at a time of people. More are somebody's fault.
const MAX_CONNECTIONS: usize = 32;
/// The same of the agent's user, who must not keep people out: one that is up, and a few that are about to end.
const MAX_AGENT_CONNECTIONS: usize = 4;
/// Messages that may wait for a client. One that takes none is gone.
const OUTGOING: usize = 64;
/// Time for the first message.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be taken: too many open files do not go away in an instant.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Permissions of the socket. Who may connect is asked of the kernel, not of the file.
const SOCKET_MODE: u32 = 0o666;
/// Permissions of the agent's folder, which holds the host's keys.
const AGENT_DIR_MODE: u32 = 0o700;
/// The id of the host as the supervisor first heard it.
const HOST_ID: &str = "host-id";
/// Permissions of that: nothing in it is secret.
const HOST_ID_MODE: u32 = 0o644;

/// Listens for an agent and for people.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    context: Arc<Context>,
}

#[derive(Debug)]
struct Context {
    settings: Arc<UpdaterSettings>,
    updated: Updated,
    sides: Sides,
    agent_user: u32,
}

/// All that is updated here: its settings, and who updates it.
pub type Updated = BTreeMap<Component, (Arc<UpdaterSettings>, UpdaterHandle)>;

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Who may speak is unknown.
    #[error(transparent)]
    Rights(#[from] RightsError),
    /// The agent has no folder, and it cannot be made.
    #[error("making the agent's folder {}", path.display())]
    Room {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket cannot be made.
    #[error("making the socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why: a path of more than 107 bytes is too long for a socket.
        #[source]
        source: io::Error,
    },
}

impl Server {
    /// Makes the socket. Whoever holds the journal may: a socket that lies there is from an earlier life.
    pub fn bind(settings: Arc<UpdaterSettings>, updated: Updated, sides: Sides) -> Result<Self, BindError> {
        let agent_user = rights::agent_user(&settings.home)?;
        make_room(&settings, agent_user)
            .map_err(|source| BindError::Room { path: settings.agent_dir.clone(), source })?;
        let listener =
            bind(&settings.socket).map_err(|source| BindError::Socket { path: settings.socket.clone(), source })?;
        Ok(Self { listener, context: Arc::new(Context { settings, updated, sides, agent_user }) })
    }

    /// Serves until it is dropped.
    pub async fn serve(self) {
        let [people, agent] = [MAX_CONNECTIONS, MAX_AGENT_CONNECTIONS].map(|most| Arc::new(Semaphore::new(most)));
        for connection in 1.. {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the updater could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let user = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
            let rights = Rights::of(user, self.context.agent_user);
            let places = if rights.is_operator() { &people } else { &agent };
            let Ok(place) = Arc::clone(places).try_acquire_owned() else {
                tracing::warn!(user, "too many connections to the updater; one was closed");
                continue;
            };
            let context = Arc::clone(&self.context);
            drop(tokio::spawn(async move {
                if let Err(error) = context.attend(stream, connection, user, rights).await {
                    tracing::debug!(error = chain(&error), "a connection to the updater broke");
                }
                drop(place);
            }));
        }
    }
}

/// The agent's folder lies among folders that are not its user's to make.
fn make_room(settings: &UpdaterSettings, agent_user: u32) -> io::Result<()> {
    let folder = &settings.agent_dir;
    if settings.home == Home::Agent || folder.is_dir() {
        return Ok(());
    }
    durable::make_folder(folder.parent().unwrap_or(folder))?;
    fs::DirBuilder::new().mode(AGENT_DIR_MODE).create(folder)?;
    chown(folder, Some(agent_user), None)
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

impl Context {
    async fn attend(&self, stream: UnixStream, connection: u64, user: u32, rights: Rights) -> io::Result<()> {
        let (mut from, mut to) = stream.into_split();
        let hello = tokio::time::timeout(HELLO_TIMEOUT, frame::read(&mut from)).await??;
        let Some(FromClient::Hello { protocol, serves, host_id, program }) = hello else { return Ok(()) };
        if let Some(why) = refusal(rights, user, protocol, serves) {
            tracing::warn!(user, why, "a connection to the updater was refused");
            return frame::write(&mut to, &FromServer::Goodbye { why }).await;
        }
        let (out, outgoing) = mpsc::channel(OUTGOING);
        let telling = self.updated.iter().map(|(of, (_, updater))| tell(*of, updater.reports(), out.clone()));
        let telling: Vec<_> = telling.map(tokio::spawn).collect();
        let writing = tokio::spawn(write_out(to, outgoing));
        let side = serves.map(|origin| match origin {
            Origin::Controller => &self.sides.controller,
            Origin::Host => &self.sides.host,
        });
        if let Some(side) = side {
            side.enter(connection, out.clone(), self.believed(host_id).await, program);
        }
        let listened = self.listen(&mut from, &out, rights, connection, side).await;
        if let Some(side) = side {
            side.leave(connection);
        }
        telling.iter().for_each(JoinHandle::abort);
        writing.abort();
        listened
    }

    async fn listen(
        &self,
        from: &mut OwnedReadHalf,
        out: &mpsc::Sender<FromServer>,
        rights: Rights,
        connection: u64,
        side: Option<&Arc<Side>>,
    ) -> io::Result<()> {
        while let Some(message) = frame::read(from).await? {
            match message {
                FromClient::Hello { .. } => return Err(io::Error::other("hello a second time")),
                FromClient::Answer { number, answer } => {
                    if let Some(side) = side {
                        side.answer(connection, number, answer);
                    }
                }
                FromClient::Call { number, of, call } => {
                    let outcome = if rights.call(of, &call) {
                        self.carry_out(of, call).await
                    } else {
                        Err("this user may not ask for that: ask as root, or as the updater's own user".to_owned())
                    };
                    if out.send(FromServer::Returned { number, outcome }).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn carry_out(&self, of: Component, call: Call) -> Result<Returned, String> {
        let Some((settings, updater)) = self.updated.get(&of) else {
            return Err(format!(
                "the {} of this host is not updated by Flota: see [programs] in the settings",
                of.name()
            ));
        };
        match call {
            Call::Want { desired } => {
                let generation = desired.generation;
                updater.want(desired).await.map_err(|error| chain(&error))?;
                Ok(Returned::Accepted { generation })
            }
            Call::State | Call::History => {
                let state_dir = settings.state_dir.clone();
                let looked = tokio::task::spawn_blocking(move || look(&call, &state_dir)).await;
                looked.map_err(|error| chain(&error))?
            }
            Call::Apply { .. } | Call::Cancel | Call::RollBack { .. } => {
                if !matches!(call, Call::Cancel) {
                    self.one_at_a_time(of)?;
                }
                wish::grant(settings, updater, call).await
            }
        }
    }

    /// An update of one program is no time to begin one of another, which it may interrupt.
    fn one_at_a_time(&self, of: Component) -> Result<(), String> {
        for (other, (_, updater)) in &self.updated {
            let phase = updater.reports().borrow().phase;
            if *other != of && !phase.is_terminal() {
                let (other, phase) = (other.name(), phase.as_str());
                return Err(format!("an update of the {other} is on its way ({phase}): let it end first"));
            }
        }
        Ok(())
    }

    /// Who the host is. A supervisor believes what it heard first: the waves of a release come to a host by its id, and an
    /// agent that could choose one could choose an earlier wave.
    async fn believed(&self, said: Option<String>) -> Option<String> {
        if self.settings.home == Home::Agent {
            return said;
        }
        let file = self.settings.state_dir.join(HOST_ID);
        let pinned = tokio::task::spawn_blocking(move || pin(&file, said)).await;
        pinned.unwrap_or(None)
    }
}

fn refusal(rights: Rights, user: u32, protocol: u32, serves: Option<Origin>) -> Option<String> {
    if !rights.any() {
        return Some(format!("user {user} has no business with the updater: ask as root"));
    }
    if protocol != PROTOCOL {
        return Some(format!(
            "the updater speaks version {PROTOCOL} of its protocol, and the other end version {protocol}: restart both, \
             they come from one package"
        ));
    }
    let forbidden = serves.is_some_and(|origin| !rights.serve(origin));
    forbidden.then(|| format!("user {user} may not start an update on this host: ask as root"))
}

fn look(call: &Call, state_dir: &Path) -> Result<Returned, String> {
    if *call == Call::History {
        let entries = crate::history::read(state_dir).map_err(|error| format!("reading the history: {error}"))?;
        return Ok(Returned::History { entries });
    }
    let state = crate::Journal::peek(state_dir).map_err(|error| chain(&error))?;
    Ok(Returned::State { state: state.map(Box::new) })
}

fn pin(file: &Path, said: Option<String>) -> Option<String> {
    match fs::read_to_string(file) {
        Ok(pinned) => {
            if said.as_ref().is_some_and(|said| *said != pinned) {
                let file = file.display();
                tracing::error!(%file, said, pinned, "the agent says that this is another host; going by the file");
            }
            Some(pinned)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(said) = &said
                && let Err(error) = durable::write_file(file, HOST_ID_MODE, said.as_bytes())
            {
                tracing::error!(error = chain(&error), "the host's id could not be kept; asked again next time");
            }
            said
        }
        Err(error) => {
            tracing::error!(%error, file = %file.display(), "the host's id cannot be read: its waves are unknown");
            None
        }
    }
}

/// Says where something that is updated stands, at once and whenever that changes.
async fn tell(of: Component, mut reports: watch::Receiver<UpdateReport>, out: mpsc::Sender<FromServer>) {
    reports.mark_changed();
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        if out.send(FromServer::Report { of, report }).await.is_err() {
            return;
        }
    }
}

async fn write_out(mut to: OwnedWriteHalf, mut outgoing: mpsc::Receiver<FromServer>) {
    while let Some(message) = outgoing.recv().await {
        if frame::write(&mut to, &message).await.is_err() {
            return;
        }
    }
}
