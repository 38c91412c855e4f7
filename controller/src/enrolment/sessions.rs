//! Enrolments between their two calls, in memory: a restart loses them, and the host begins again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flota_model::{Timestamp, TokenId};
use zeroize::Zeroizing;

use flota_store::Approval;

use super::{CheckedKeys, Member};
use crate::fault::{Code, Fault};

/// Enrolments in progress at once: each holds a few kilobytes and lasts a minute at most.
const MAX_PENDING: usize = 1024;
/// Enrolments one address may begin in [`WINDOW`]: a rack behind one NAT, not a flood.
const MAX_BEGINS: u32 = 120;
/// The window of that limit.
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses remembered for that limit; when there are more at once, all are forgotten.
const MAX_ADDRESSES: usize = 4096;

/// What the first call established and the second one needs.
pub(crate) struct Pending {
    /// None: a known host comes back.
    pub(crate) token: Option<TokenId>,
    pub(crate) approval: Approval,
    pub(crate) keys: CheckedKeys,
    pub(crate) csr: Vec<u8>,
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) transcript: [u8; 32],
    pub(crate) expires_at: Timestamp,
}

/// An enrolment that succeeded, kept for as long as it could have lasted: its answer may have been lost.
pub(crate) struct Answered {
    /// Digest of the request and its connection.
    pub(crate) request: [u8; 32],
    pub(crate) member: Member,
    pub(crate) expires_at: Timestamp,
}

/// All enrolments in progress.
#[derive(Default)]
pub struct EnrolmentSessions {
    pending: Mutex<HashMap<[u8; 16], Pending>>,
    answered: Mutex<HashMap<[u8; 16], Answered>>,
    begins: Mutex<HashMap<IpAddr, (Timestamp, u32)>>,
}

impl EnrolmentSessions {
    /// Lets an address begin, or tells it that it began too often.
    pub(crate) fn admit(&self, from: IpAddr, now: Timestamp) -> Result<(), Fault> {
        let mut begins = lock(&self.begins);
        if begins.len() >= MAX_ADDRESSES {
            begins.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        if begins.len() >= MAX_ADDRESSES {
            // A flood from so many addresses is none that a limit for each of them stops; the map must stay small.
            begins.clear();
        }
        let (since, count) = begins.entry(from).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count > MAX_BEGINS {
            return Err(Fault::new(Code::TooMuch, "too many enrolments from this address").fix("wait a minute"));
        }
        Ok(())
    }

    pub(crate) fn insert(&self, id: [u8; 16], session: Pending, now: Timestamp) -> Result<(), Fault> {
        let mut pending = lock(&self.pending);
        pending.retain(|_, session| session.expires_at > now);
        if pending.len() >= MAX_PENDING {
            return Err(Fault::new(Code::TooMuch, "too many enrolments at once").fix("try again in a minute"));
        }
        pending.insert(id, session);
        Ok(())
    }

    /// The answer that this very request was given already.
    pub(crate) fn answered(&self, id: &[u8], request: &[u8; 32], now: Timestamp) -> Option<Member> {
        let id: [u8; 16] = id.try_into().ok()?;
        let answered = lock(&self.answered);
        let known = answered.get(&id).filter(|known| known.expires_at > now && known.request == *request);
        known.map(|known| known.member.clone())
    }

    /// Keeps an answer.
    pub(crate) fn remember(&self, id: &[u8], answer: Answered) {
        let Ok(id) = id.try_into() else { return };
        let mut answered = lock(&self.answered);
        if answered.len() >= MAX_PENDING {
            answered.clear();
        }
        answered.insert(id, answer);
    }

    /// Takes a session out, so that it can be tried once.
    pub(crate) fn take(&self, id: &[u8], now: Timestamp) -> Option<Pending> {
        let id: [u8; 16] = id.try_into().ok()?;
        lock(&self.pending).remove(&id).filter(|session| session.expires_at > now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Single insertions and removals: a panic elsewhere leaves the maps whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_begins_too_often_waits() {
        let sessions = EnrolmentSessions::default();
        let (from, now) = (IpAddr::from([127, 0, 0, 1]), Timestamp::from_micros(0));
        for _ in 0..MAX_BEGINS {
            sessions.admit(from, now).unwrap();
        }
        assert_eq!(sessions.admit(from, now).unwrap_err().code, Code::TooMuch);
        assert!(sessions.admit(IpAddr::from([127, 0, 0, 2]), now).is_ok());
        assert!(sessions.admit(from, now.plus(WINDOW)).is_ok());
    }
}
