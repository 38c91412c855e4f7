//! The verdict of a policy over a quote that passed, and the boot log that came with it.

use std::collections::BTreeSet;

use super::{Approved, BootLogRule, Miss, PcrRule, Policy, Presence, SecureBootRule};
use crate::event_log::{Event, EventLog, LAST_BOOT_PCR, SECURE_BOOT_PCR, describe};
use crate::quote::QuoteFacts;

/// Most unapproved events of one PCR that are listed; the rest is counted. People read them, and the audit log keeps
/// them.
const MAX_EVENTS_LISTED: usize = 16;

impl Policy {
    /// In what a host misses this policy; nothing means that it is accepted. PCRs ascending, then Secure Boot and
    /// firmware.
    ///
    /// The facts must be of a quote that passed, of this policy's bank. A log is checked here ([`EventLog::check`]), so
    /// that none with a finding can be accepted whatever the rules ask; a caller who distinguishes a forged log from a
    /// policy miss checks it first.
    ///
    /// An `events` rule says which events, not in which order or how often, and it speaks of digests: the words about an
    /// event in a miss may be the host's ([`describe`]).
    #[must_use = "a host is accepted only if there is no miss"]
    pub fn judge(&self, facts: &QuoteFacts, log: Option<&EventLog>) -> Vec<Miss> {
        let mut misses = Vec::new();
        match log {
            None if self.boot_log == BootLogRule::Required => misses.push(Miss::LogMissing),
            None => {}
            Some(log) => misses.extend(log.check(&facts.pcrs).into_iter().map(Miss::Log)),
        }
        let indices: BTreeSet<u8> = self.pcrs.keys().chain(facts.pcrs.keys()).copied().collect();
        for pcr in indices {
            match (self.pcrs.get(&pcr), facts.pcrs.get(&pcr)) {
                (None, Some(&value)) => misses.push(Miss::PcrNotNamed { pcr, value }),
                (Some(rule), Some(value)) => judge_pcr(pcr, rule, value, log, &mut misses),
                (_, None) => misses.push(Miss::PcrNotQuoted { pcr }),
            }
        }
        self.judge_secure_boot(facts, log, &mut misses);
        self.judge_firmware(facts.firmware, &mut misses);
        misses
    }

    /// A log that does not replay tells nothing of Secure Boot; that it does not replay is a miss of its own.
    fn judge_secure_boot(&self, facts: &QuoteFacts, log: Option<&EventLog>, misses: &mut Vec<Miss>) {
        let (SecureBootRule::Required, Some(log)) = (self.secure_boot, log) else { return };
        let quoted = facts.pcrs.get(&SECURE_BOOT_PCR);
        match log.secure_boot().filter(|_| quoted == Some(&log.replayed(SECURE_BOOT_PCR))) {
            Some(true) => {}
            Some(false) => misses.push(Miss::SecureBootOff),
            None => misses.push(Miss::SecureBootUnknown),
        }
    }

    fn judge_firmware(&self, found: u64, misses: &mut Vec<Miss>) {
        if let Some(minimum) = self.min_firmware.filter(|minimum| found < *minimum) {
            misses.push(Miss::FirmwareBelowMinimum { found, minimum });
        }
        if !self.firmware.is_empty() && !self.firmware.contains(&found) {
            misses.push(Miss::FirmwareNotApproved { found });
        }
    }
}

fn judge_pcr(pcr: u8, rule: &PcrRule, value: &[u8; 32], log: Option<&EventLog>, misses: &mut Vec<Miss>) {
    match (rule, log) {
        (PcrRule::Allow(values), _) if !approves(values, value) => {
            misses.push(Miss::PcrNotAllowed { pcr, value: *value });
        }
        (PcrRule::Events { events, presence }, Some(log)) => judge_events(pcr, events, *presence, value, log, misses),
        // That there is no log for an events rule is one miss for the whole policy.
        (PcrRule::Allow(_) | PcrRule::Events { .. } | PcrRule::Ignore(_), _) => {}
    }
}

fn judge_events(
    pcr: u8,
    approved: &[Approved],
    presence: Presence,
    value: &[u8; 32],
    log: &EventLog,
    misses: &mut Vec<Miss>,
) {
    if log.replayed(pcr) != *value {
        // Of a boot PCR, the check of the log has said so.
        if pcr > LAST_BOOT_PCR {
            misses.push(Miss::PcrBeyondLog { pcr });
        }
        return;
    }
    let measured: BTreeSet<&[u8; 32]> = log.measured(pcr).map(Event::sha256).collect();
    if measured.is_empty() {
        // No event is unapproved, and yet nobody knows what ran: a boot measures something.
        misses.push(Miss::PcrWithoutEvents { pcr });
    }
    let mut unapproved = log.measured(pcr).filter(|event| !approves(approved, event.sha256()));
    let listed = unapproved.by_ref().take(MAX_EVENTS_LISTED);
    misses.extend(listed.map(|event| Miss::EventNotApproved {
        pcr,
        number: event.number(),
        digest: *event.sha256(),
        event: describe(event),
    }));
    match unapproved.count() {
        0 => {}
        count => misses.push(Miss::MoreEventsNotApproved { pcr, count }),
    }
    if presence == Presence::RequireAll {
        let missing = approved.iter().filter(|one| !measured.contains(&one.digest));
        misses.extend(missing.map(|one| Miss::EventMissing { pcr, digest: one.digest, note: one.note.clone() }));
    }
}

fn approves(approved: &[Approved], digest: &[u8; 32]) -> bool {
    approved.iter().any(|one| one.digest == *digest)
}
