//! A rollout as a log: what changed from one revision to the next.

use std::collections::BTreeMap;

use flota_model::Timestamp;
use flota_proto::v1::{Rollout, Target};
use serde::Serialize;

use super::rollout_words::{Counts, Standing, counts, elapsed, groups, rollout_sign, standing, target_sign};
use crate::output::text::{clean, words};
use crate::output::{Style, time};

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    rollout: Option<(String, String)>,
    targets: BTreeMap<String, (String, String)>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Event {
    /// The rollout's state or its cause.
    Rollout {
        /// Which.
        rollout: String,
        /// Its state.
        state: String,
        /// Why.
        cause: String,
        /// The wave in progress.
        wave: u32,
    },
    /// A target's state or its reason.
    Target {
        /// Of which rollout.
        rollout: String,
        /// Whose.
        host_id: String,
        /// That host's name.
        host_name: String,
        /// The state before; empty for the first that is seen.
        from: String,
        /// Its state.
        state: String,
        /// Why.
        reason: String,
        /// Since when.
        since: String,
        /// Whose move it is.
        owner: String,
    },
}

impl Seen {
    /// What changed since the revision before. The first one tells the rollout and those targets that have started.
    pub(crate) fn changes(&mut self, rollout: &Rollout) -> Vec<Event> {
        let mut events = Vec::new();
        let is_first = self.rollout.is_none();
        let now = (rollout.state.clone(), rollout.cause.clone());
        if self.rollout.as_ref() != Some(&now) {
            self.rollout = Some(now);
            let Rollout { id, state, cause, wave, .. } = rollout.clone();
            events.push(Event::Rollout { rollout: id, state, cause, wave });
        }
        for target in &rollout.targets {
            let now = (target.state.clone(), target.reason.clone());
            let before = self.targets.insert(target.host_id.clone(), now.clone());
            let waits_still = before.as_ref().is_some_and(|before| standing(&before.0) == Standing::Waiting)
                && standing(&target.state) == Standing::Waiting;
            let is_news = if is_first { standing(&target.state) != Standing::Waiting } else { !waits_still };
            if is_news && before.as_ref() != Some(&now) {
                events.push(changed(rollout, target, before));
            }
        }
        events
    }
}

impl Event {
    /// The document's kind.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Rollout { .. } => "RolloutChanged",
            Self::Target { .. } => "TargetChanged",
        }
    }

    /// One line.
    pub(crate) fn line(&self, now: Timestamp, style: Style) -> String {
        match self {
            Self::Rollout { rollout, state, cause, .. } => {
                let said = style.say(rollout_sign(state), &format!("{} {}", clean(rollout), words(state)));
                format!("{}  {said}: {}", time::of_day(now), clean(cause))
            }
            Self::Target { host_name, from, state, reason, .. } => {
                let way = if from.is_empty() || from == state {
                    words(state)
                } else {
                    format!("{} {} {}", words(from), style.arrow(), words(state))
                };
                let said = style.say(target_sign(state), &format!("{} {way}", clean(host_name)));
                format!("{}  {said}: {}", time::of_day(now), clean(reason))
            }
        }
    }
}

/// The line that says that it is not hung: how long, how many, and what most of them wait for.
pub(crate) fn heartbeat(rollout: &Rollout, now: Timestamp, style: Style) -> String {
    let Counts { selected, failed, waiting, done, .. } = counts(rollout);
    let elapsed = elapsed(rollout, now).map_or_else(|| "not started".to_owned(), time::span);
    let waits = groups(rollout.targets.iter().filter(|target| standing(&target.state) == Standing::Waiting));
    let why =
        waits.first().map(|group| format!("; most wait for: {}", clean(&group.sample.reason))).unwrap_or_default();
    let words = format!(
        "{} {} {elapsed}: {done} of {selected} done, {failed} failed, {waiting} waiting{why}",
        clean(&rollout.id),
        words(&rollout.state)
    );
    format!("{}  {}", time::of_day(now), style.say(rollout_sign(&rollout.state), &words))
}

fn changed(rollout: &Rollout, target: &Target, before: Option<(String, String)>) -> Event {
    let Target { host_id, host_name, state, reason, since, owner, .. } = target.clone();
    let from = before.map(|(state, _)| state).unwrap_or_default();
    Event::Target { rollout: rollout.id.clone(), host_id, host_name, from, state, reason, since, owner }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, now, rollout, running};

    #[test]
    fn a_log_tells_each_change_once() {
        let mut seen = Seen::default();
        let mut lines = Vec::new();
        for rollout in [rollout("draft"), running(), running(), rollout("succeeded_with_exceptions")] {
            lines.extend(seen.changes(&rollout).iter().map(|event| event.line(now(), PLAIN)));
            lines.push(heartbeat(&rollout, now(), PLAIN));
        }
        golden("rollout-log.txt", &(lines.join("\n") + "\n"));
    }

    #[test]
    fn one_host_waiting_for_another_thing_is_no_news() {
        let mut seen = Seen::default();
        let mut rollout = rollout("draft");
        seen.changes(&rollout);
        for target in &mut rollout.targets {
            target.reason = "wave 1 has not passed".into();
        }
        assert_eq!(seen.changes(&rollout), []);
    }
}
