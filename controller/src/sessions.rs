//! Hosts that are connected to this controller, and how to reach them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flota_model::{HostId, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::attestation::Outcome;

/// What other parts of the controller ask of a session.
#[derive(Debug)]
pub enum Command {
    /// Desired state or tasks changed: look.
    Look,
    /// Ask the host to answer at once.
    Ping {
        /// Told when it did.
        answered: oneshot::Sender<()>,
    },
    /// Ask for a quote now.
    Attest {
        /// Told the verdict.
        verdict: oneshot::Sender<Outcome>,
    },
    /// End the session: another one of the same host began, or the host was shut out.
    Close {
        /// A sentence for the host.
        reason: String,
    },
}

/// Commands a session may have waiting. A session that falls behind is closed, not buffered.
const COMMANDS: usize = 64;

/// The registry.
#[derive(Debug, Default)]
pub struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    open: HashMap<HostId, Open>,
    seen: HashMap<HostId, Timestamp>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    commands: mpsc::Sender<Command>,
}

/// A session's own entry; leaving it removes the entry unless a newer session took its place.
#[derive(Debug)]
pub struct Registration {
    /// Which host.
    pub host: HostId,
    /// What is asked of the session.
    pub commands: mpsc::Receiver<Command>,
    /// Whether another session of the host was open: a connection that broke and was not noticed yet, or a second
    /// machine with the same key.
    pub replaced_another: bool,
    number: u64,
}

impl Sessions {
    /// Enters a session. An older one of the same host is closed: the newest is the one the host believes in.
    pub fn enter(&self, host: &HostId) -> Registration {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let mut inner = self.lock();
        inner.next = inner.next.saturating_add(1);
        let number = inner.next;
        let older = inner.open.insert(host.clone(), Open { number, commands: sender });
        if let Some(older) = &older {
            // A full queue belongs to a session that is stuck; it ends when its own stream does.
            let _stuck = older.commands.try_send(Command::Close { reason: "a newer session began".into() });
        }
        Registration { host: host.clone(), commands, replaced_another: older.is_some(), number }
    }

    /// Removes a session that ended.
    pub fn leave(&self, registration: &Registration) {
        let mut inner = self.lock();
        if inner.open.get(&registration.host).is_some_and(|open| open.number == registration.number) {
            inner.open.remove(&registration.host);
        }
    }

    /// Whether the host has a session here.
    pub fn is_connected(&self, host: &HostId) -> bool {
        self.lock().open.contains_key(host)
    }

    /// Asks something of a host's session. False: it has none, or it does not keep up.
    pub fn ask(&self, host: &HostId, command: Command) -> bool {
        self.lock().open.get(host).is_some_and(|open| open.commands.try_send(command).is_ok())
    }

    /// Notes that a host was heard of.
    pub fn note_seen(&self, host: &HostId, at: Timestamp) {
        self.lock().seen.insert(host.clone(), at);
    }

    /// All that were heard of since the last call, to be stored in one transaction.
    pub fn take_seen(&self) -> Vec<(HostId, Timestamp)> {
        self.lock().seen.drain().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change above is a single insertion or removal, so a panic elsewhere leaves the maps whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostId {
        HostId::of_endorsement_key(&flota_model::Digest::of(b"ek"))
    }

    #[test]
    fn case_56_the_newest_of_two_sessions_of_one_key_wins_and_knows_that_it_is_not_the_only_one() {
        let sessions = Sessions::default();
        let mut older = sessions.enter(&host());
        let newer = sessions.enter(&host());
        assert!(!older.replaced_another && newer.replaced_another);
        assert!(matches!(older.commands.try_recv(), Ok(Command::Close { .. })));
        sessions.leave(&older);
        assert!(sessions.is_connected(&host()));
        sessions.leave(&newer);
        assert!(!sessions.is_connected(&host()));
    }
}
