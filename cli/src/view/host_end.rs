//! What follows when a host is taken out, shut out or let in again, counted before the question (screen 6).

use flota_model::Timestamp;
use flota_proto::v1::{Host, Rollout};

use super::host_facts::lease_left;
use super::rollout_words::is_over;
use crate::output::text::{clean, count, sentence, words};
use crate::output::{Style, time};

/// A host as it stands before the decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    /// The host.
    pub(crate) host: &'a Host,
    /// The rollout that it is part of, if that goes on.
    pub(crate) rollout: Option<&'a Rollout>,
    /// ` in context prod`, or nothing.
    pub(crate) place: &'a str,
    /// The present.
    pub(crate) now: Timestamp,
}

impl Ending<'_> {
    /// Before it is taken out for ever.
    pub(crate) fn decommission(&self, style: Style) -> String {
        let name = clean(&self.host.name);
        let mut lines = self.signs_of_life(style);
        lines.push(style.point("its certificate ends at once; the bot goes on trading, unmanaged"));
        lines.extend(self.rollout(style));
        lines.push(style.point("kept: its audit records and exports"));
        lines.push(style.point("undo: none; its TPM can be enrolled again with a new token"));
        format!("This removes {name} from the fleet{} for ever.\n\n{}\n", self.place, lines.join("\n"))
    }

    /// Before it is shut out.
    pub(crate) fn quarantine(&self, style: Style) -> String {
        let name = clean(&self.host.name);
        let mut lines = self.signs_of_life(style);
        lines.push(
            style.point("its lease, its sessions and its certificate end at once; the bot goes on trading, unmanaged"),
        );
        lines.extend(self.rollout(style));
        lines.push(style.point(&format!("undo: flota attest clear {name} --reason TEXT, and a fresh quote")));
        format!("This shuts {name} out of the fleet{}.\n\n{}\n", self.place, lines.join("\n"))
    }

    /// Before it is let in again.
    pub(crate) fn clearance(&self, style: Style) -> String {
        let name = clean(&self.host.name);
        let was = words(&self.host.trust);
        let why = if self.host.trust_reason.is_empty() {
            format!("it is {was}")
        } else {
            format!("it is {was}: {}", sentence(&self.host.trust_reason))
        };
        let lines = [
            style.alarm(&why),
            style.point("it may connect again; it gets no new work before a fresh quote has passed"),
        ];
        format!("This lets {name} into the fleet again{}.\n\n{}\n", self.place, lines.join("\n"))
    }

    fn signs_of_life(&self, style: Style) -> Vec<String> {
        let Host { liveness, last_seen, phase, wanted_version, .. } = self.host;
        let mut lines = Vec::new();
        if liveness == "connected" {
            let lease = lease_left(self.host, self.now).map(|left| format!(", lease {left} left")).unwrap_or_default();
            let seen = time::ago(last_seen, self.now);
            lines.push(style.alarm(&format!("it is live: seen {seen} ago, {}{lease}", words(&self.host.trust))));
        }
        if !matches!(phase.as_str(), "" | "committed" | "rolled_back" | "refused") {
            let to = if wanted_version.is_empty() { String::new() } else { format!(" to {}", clean(wanted_version)) };
            lines.push(style.alarm(&format!("it is in the middle of an update{to}: {}", words(phase))));
        }
        lines
    }

    fn rollout(&self, style: Style) -> Option<String> {
        let rollout = self.rollout.filter(|rollout| !is_over(&rollout.state))?;
        let targets = count(rollout.targets.len(), "target");
        Some(style.point(&format!("{} loses 1 of {targets}", clean(&rollout.id))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, fleet_host, golden, halted, now, rollout};

    #[test]
    fn the_consequences_come_before_the_question() {
        let live = fleet_host("fra-bot-03");
        let (going, over) = (halted(), rollout("succeeded"));
        let ending = |rollout| Ending { host: &live, rollout, place: " in context prod", now: now() };
        golden("host-decommission.txt", &ending(Some(&going)).decommission(PLAIN));
        golden("attest-quarantine.txt", &ending(Some(&over)).quarantine(PLAIN));
        let shut_out = Host {
            trust: "untrusted".into(),
            trust_reason: "signature: the quote is not signed by its key".into(),
            ..fleet_host("waw-bot-02")
        };
        let silent = Ending { host: &shut_out, rollout: None, place: "", now: now() };
        golden("attest-clear.txt", &silent.clearance(PLAIN));
        assert!(!silent.decommission(PLAIN).contains("live"));
    }
}
