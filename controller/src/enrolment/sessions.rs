//! Enrolments between their two calls, in memory: a restart loses them, and the host begins again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flota_model::{Digest, Timestamp, TokenId};
use zeroize::Zeroizing;

use flota_store::Approval;

use super::{CheckedKeys, Member};
use crate::fault::{Code, Fault};
use crate::peer::network;

/// Enrolments in progress at once: each holds a few kilobytes and lasts a minute at most.
const MAX_PENDING: usize = 1024;
/// Enrolments one address may begin in [`WINDOW`]: a rack behind one NAT, not a flood.
const MAX_BEGINS: u32 = 120;
/// Enrolments of one endorsement key that one address may begin in [`WINDOW`]: an agent that tries again and again, not
/// one that keeps the controller making credentials. Nothing is proven at that point, and certificates are no secret: for
/// the key alone, who knows a host's certificate could keep the host away.
const MAX_BEGINS_OF_KEY: u32 = 20;
/// The window of those limits.
const WINDOW: Duration = Duration::from_mins(1);
/// Sources remembered for those limits; when there are more at once, all are forgotten.
const MAX_SOURCES: usize = 4096;
/// Enrolments that may be begun with one token. Who holds a token and has not come in after so many does not have the
/// TPM that goes with it; a restart of the controller, as after a repair of its settings, begins to count anew.
const MAX_ATTEMPTS: u32 = 5;
/// Tokens whose attempts are remembered; only who holds a token gets one into the map.
const MAX_TOKENS: usize = 4096;

/// Who begins enrolments, for the limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// An IPv4 address, or the network of an IPv6 address.
    Address(IpAddr),
    /// SHA-256 of an endorsement key whose certificate was verified, from such an address.
    EndorsementKey(Digest, IpAddr),
}

impl Source {
    /// The source that an address counts for.
    pub(crate) fn address(from: IpAddr) -> Self {
        Self::Address(network(from))
    }

    /// A TPM's enrolments from that address.
    pub(crate) fn endorsement_key(key: Digest, from: IpAddr) -> Self {
        Self::EndorsementKey(key, network(from))
    }

    const fn limit(&self) -> (u32, &'static str) {
        match self {
            Self::Address(_) => (MAX_BEGINS, "too many enrolments from this address"),
            Self::EndorsementKey(..) => (MAX_BEGINS_OF_KEY, "too many enrolments of this TPM"),
        }
    }
}

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
    begins: Mutex<HashMap<Source, (Timestamp, u32)>>,
    attempts: Mutex<HashMap<TokenId, u32>>,
}

impl EnrolmentSessions {
    /// Lets a source begin, or tells it that it began too often.
    pub(crate) fn admit(&self, source: Source, now: Timestamp) -> Result<(), Fault> {
        let mut begins = lock(&self.begins);
        if begins.len() >= MAX_SOURCES {
            begins.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        if begins.len() >= MAX_SOURCES {
            // A flood from so many sources is none that a limit for each of them stops; the map must stay small.
            begins.clear();
        }
        let (limit, sentence) = source.limit();
        let (since, count) = begins.entry(source).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count > limit {
            return Err(Fault::new(Code::TooMuch, sentence).fix("wait a minute"));
        }
        Ok(())
    }

    /// Counts an enrolment that is begun by the holder of a token, or refuses the token because there were too many.
    pub(crate) fn attempt(&self, token: &TokenId) -> Result<(), Fault> {
        let mut attempts = lock(&self.attempts);
        if attempts.len() >= MAX_TOKENS {
            attempts.clear();
        }
        let count = attempts.entry(token.clone()).or_insert(0);
        *count = count.saturating_add(1);
        if *count > MAX_ATTEMPTS {
            let sentence = format!("{MAX_ATTEMPTS} enrolments were begun with this token and none succeeded");
            return Err(Fault::new(Code::TokenRefused, sentence).fix("look into why, then: flota token create NAME"));
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
        let now = Timestamp::from_micros(0);
        let admit = |from: &str, now| sessions.admit(Source::address(from.parse().unwrap()), now);
        for _ in 0..MAX_BEGINS {
            admit("127.0.0.1", now).unwrap();
            admit("2001:db8::1", now).unwrap();
        }
        assert_eq!(admit("127.0.0.1", now).unwrap_err().code, Code::TooMuch);
        assert_eq!(admit("::ffff:127.0.0.1", now).unwrap_err().code, Code::TooMuch, "the same address");
        assert_eq!(admit("2001:db8::2", now).unwrap_err().code, Code::TooMuch, "the same network");
        assert!(admit("127.0.0.2", now).is_ok());
        assert!(admit("2001:db8:0:1::1", now).is_ok());
        assert!(admit("127.0.0.1", now.plus(WINDOW)).is_ok());
    }

    #[test]
    fn a_tpm_that_begins_too_often_waits() {
        let sessions = EnrolmentSessions::default();
        let now = Timestamp::from_micros(0);
        let from = |address: &str| Source::endorsement_key(Digest::of(b"ek"), address.parse().unwrap());
        let begun = (0..100).filter(|_| sessions.admit(from("192.0.2.1"), now).is_ok());
        assert_eq!(begun.count(), usize::try_from(MAX_BEGINS_OF_KEY).unwrap());
        assert!(sessions.admit(from("192.0.2.2"), now).is_ok(), "nobody keeps a host away from elsewhere");
    }

    #[test]
    fn a_token_is_tried_five_times() {
        let sessions = EnrolmentSessions::default();
        let token = |text: &str| text.parse::<TokenId>().unwrap();
        for _ in 0..MAX_ATTEMPTS {
            sessions.attempt(&token("aaaaaaaaaaaa")).unwrap();
        }
        assert_eq!(sessions.attempt(&token("aaaaaaaaaaaa")).unwrap_err().code, Code::TokenRefused);
        assert!(sessions.attempt(&token("aaaaaaaaaaab")).is_ok());
    }
}
