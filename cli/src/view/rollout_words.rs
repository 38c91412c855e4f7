//! The states of rollouts and targets in signs, sentences and exit codes. The verdict is computed here and nowhere else.

use std::time::Duration;

use flota_model::Timestamp;
use flota_proto::v1::{Rollout, Target};

use crate::exit::Exit;
use crate::output::signs::{Sign, Tone};
use crate::output::text::{clean, words};
use crate::output::{Style, time};

/// Where a target stands, as far as a person cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Counts towards a halt.
    Failed,
    /// Not started.
    Waiting,
    /// Updated, and nobody knows whether it is well.
    Unknown,
    /// Started, not ended.
    InMotion,
    /// Runs the release, confirmed.
    Done,
    /// Left out.
    Skipped,
}

/// What a rollout came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// For the process.
    pub(crate) exit: Exit,
    /// For the line.
    pub(crate) sign: Sign,
    /// For people, without the sign.
    pub(crate) sentence: String,
}

/// How many targets stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All of them.
    pub(crate) selected: usize,
    /// Those that were started.
    pub(crate) attempted: usize,
    /// By [`Standing`].
    pub(crate) failed: usize,
    /// Not started.
    pub(crate) waiting: usize,
    /// Confirmed.
    pub(crate) done: usize,
}

/// Where a target of this state stands. A word that is not known yet is something that happens.
pub(crate) fn standing(state: &str) -> Standing {
    match state {
        "refused" | "rolled_back" | "safe_hold" | "lost" | "unconfirmed" | "unhealthy" | "overtaken" => {
            Standing::Failed
        }
        "pending" | "deferred" => Standing::Waiting,
        "unknown" => Standing::Unknown,
        "committed" => Standing::Done,
        "skipped" => Standing::Skipped,
        _ => Standing::InMotion,
    }
}

/// The sign of a target's state.
pub(crate) fn target_sign(state: &str) -> Sign {
    match (standing(state), state) {
        (Standing::Unknown, _) | (_, "lost") => Sign::Silent,
        (Standing::Failed, _) => Sign::Failed,
        (Standing::Waiting, _) => Sign::Waiting,
        (Standing::InMotion, _) => Sign::Working,
        (Standing::Done, _) => Sign::Ok,
        (Standing::Skipped, _) => Sign::Skipped,
    }
}

/// The sign of a rollout's state.
pub(crate) fn rollout_sign(state: &str) -> Sign {
    match state {
        "draft" | "awaiting_approval" => Sign::Waiting,
        "paused" | "halted" | "inconclusive" => Sign::Paused,
        "succeeded" => Sign::Ok,
        "succeeded_with_exceptions" => Sign::Warning,
        "superseded" => Sign::Skipped,
        "aborted" | "expired" | "failed" => Sign::Failed,
        _ => Sign::Working,
    }
}

/// Nothing more happens in this state.
pub(crate) fn is_over(state: &str) -> bool {
    matches!(state, "succeeded" | "succeeded_with_exceptions" | "aborted" | "superseded" | "expired" | "failed")
}

/// It waits for a person in this state.
pub(crate) fn needs_decision(state: &str) -> bool {
    matches!(state, "draft" | "awaiting_approval" | "paused" | "halted" | "inconclusive")
}

/// What the rollout comes to as it stands.
pub(crate) fn verdict(rollout: &Rollout, now: Timestamp) -> Verdict {
    let Counts { selected, attempted, failed, waiting, done } = counts(rollout);
    let id = clean(&rollout.id);
    let time = elapsed(rollout, now).map(time::span);
    let after = time.as_ref().map(|time| format!(" after {time}")).unwrap_or_default();
    let tally = format!("{failed} failed of {attempted} attempted, {waiting} not started");
    let (exit, sentence) = match rollout.state.as_str() {
        "succeeded" => {
            (Exit::Good, format!("{id} succeeded{after}: {done} of {selected} hosts run their release, proved"))
        }
        "succeeded_with_exceptions" => (
            Exit::Partial,
            format!("{id} ended{after} with exceptions: {done} of {selected} hosts done, {failed} failed"),
        ),
        "aborted" => (Exit::Bad, format!("{id} was aborted{after}: {done} of {selected} hosts done, {failed} failed")),
        "superseded" => {
            let by = clean(&rollout.superseded_by);
            (Exit::Bad, format!("{id} was superseded by {by}{after}: {done} of {selected} hosts done"))
        }
        "expired" => (Exit::Bad, format!("{id} expired{after}: its deadline passed, {done} of {selected} hosts done")),
        "failed" => (Exit::Bad, format!("{id} failed{after}: {tally}")),
        "halted" => (Exit::Decision, format!("{id} halted{after}: {tally}; a decision is needed")),
        "inconclusive" => (
            Exit::Decision,
            format!(
                "{id} is inconclusive{after}: nobody knows whether {} updated hosts are well; a decision is needed",
                rollout.unknown
            ),
        ),
        "awaiting_approval" => {
            let (given, needed) = (rollout.approvals.len(), rollout.approvals_needed);
            (Exit::Decision, format!("{id} waits for approval: {given} of {needed} given; nothing new starts"))
        }
        "paused" => (Exit::Decision, format!("{id} is paused{after}: {tally}; it waits for a person to resume it")),
        "draft" => (Exit::Decision, format!("{id} is a draft for {selected} hosts; it waits for a person to start it")),
        state => {
            let since = time.map(|time| format!(" for {time}")).unwrap_or_default();
            (
                Exit::Running,
                format!("{id} is {}{since}: {done} of {selected} hosts done, {failed} failed", words(state)),
            )
        }
    };
    Verdict { exit, sign: rollout_sign(&rollout.state), sentence }
}

impl Verdict {
    /// One line with sign and number.
    pub(crate) fn line(&self, style: Style) -> String {
        style.say(self.sign, &format!("{} (exit {})", self.sentence, self.exit.code()))
    }
}

/// How many targets stand where.
pub(crate) fn counts(rollout: &Rollout) -> Counts {
    let mut counts = Counts { selected: rollout.targets.len(), ..Counts::default() };
    for target in &rollout.targets {
        match standing(&target.state) {
            Standing::Failed => counts.failed += 1,
            Standing::Waiting => counts.waiting += 1,
            Standing::Done => counts.done += 1,
            Standing::InMotion | Standing::Unknown | Standing::Skipped => {}
        }
        if !matches!(standing(&target.state), Standing::Waiting | Standing::Skipped) {
            counts.attempted += 1;
        }
    }
    counts
}

/// Since it was started, until it ended.
pub(crate) fn elapsed(rollout: &Rollout, now: Timestamp) -> Option<Duration> {
    let end = time::parse(&rollout.finished_at).unwrap_or(now);
    time::parse(&rollout.started_at).map(|start| end.since(start))
}

/// Whose move it is, for people.
pub(crate) fn owner(owner: &str) -> &'static str {
    match owner {
        "host" => "the host itself",
        "controller" => "the controller, by itself",
        "operator" => "a person",
        "nobody" => "nobody: it is over",
        _ => "not known",
    }
}

/// What a person can do with a rollout in this state: a word and the command line.
pub(crate) fn next_commands(rollout: &Rollout) -> Vec<(&'static str, String)> {
    let mut commands = commands(rollout);
    if !rollout.rollback_of.is_empty() {
        // A way back has none of its own.
        commands.retain(|(word, _)| *word != "undo");
    }
    commands
}

fn commands(rollout: &Rollout) -> Vec<(&'static str, String)> {
    let id = clean(&rollout.id);
    let verb = |verb: &str| format!("flota rollout {verb} {id}");
    let (undo, why) = (("undo", verb("rollback")), ("why", verb("explain")));
    match rollout.state.as_str() {
        "draft" | "awaiting_approval" => {
            let start = (rollout.state == "draft").then(|| ("start", verb("start")));
            let given = u32::try_from(rollout.approvals.len()).unwrap_or(u32::MAX);
            let approve = (given < rollout.approvals_needed).then(|| ("approve", verb("approve")));
            let ends = [("look", verb("plan")), ("drop", verb("abort"))];
            start.into_iter().chain(approve).chain(ends).collect()
        }
        "inconclusive" => {
            let resume = format!("{} --accept-unknown {}", verb("resume"), rollout.unknown.max(1));
            vec![why, ("continue", resume), undo]
        }
        "paused" => vec![("continue", verb("resume")), ("stop", verb("abort")), undo],
        "halted" => {
            let accept =
                if rollout.failed == 0 { String::new() } else { format!(" --accept-failures {}", rollout.failed) };
            let resume = format!("{}{accept}", verb("resume"));
            vec![("continue", resume), undo, why]
        }
        "succeeded" | "succeeded_with_exceptions" | "aborted" | "superseded" | "expired" | "failed" => vec![undo],
        "aborting" => vec![why],
        _ => vec![("pause", verb("pause")), ("stop", verb("abort")), why],
    }
}

/// The same as lines.
pub(crate) fn next_lines(rollout: &Rollout, style: Style) -> Vec<String> {
    let commands = next_commands(rollout).into_iter();
    commands
        .map(|(word, command)| format!("{} {command}", style.paint(Tone::Dim, &format!("{:<9}", format!("{word}:")))))
        .collect()
}

/// Hosts that a rollback of this rollout would change: those that were given its release and did not go back.
pub(crate) fn changed_hosts(rollout: &Rollout) -> usize {
    let changed = |target: &&Target| {
        matches!(standing(&target.state), Standing::Done | Standing::InMotion | Standing::Unknown)
            || matches!(target.state.as_str(), "lost" | "unconfirmed" | "unhealthy" | "safe_hold")
    };
    rollout.targets.iter().filter(changed).count()
}

/// Targets that are alike: same state, same reason, same owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    /// Any of them; what they share is read from it.
    pub(crate) sample: &'a Target,
    /// Their names, sorted.
    pub(crate) names: Vec<&'a str>,
    /// When the first of them came to it.
    pub(crate) since: &'a str,
}

/// Like targets together, the largest group first.
pub(crate) fn groups<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for target in targets {
        let alike = |group: &&mut Group<'_>| {
            let sample = group.sample;
            sample.state == target.state && sample.reason == target.reason && sample.owner == target.owner
        };
        match groups.iter_mut().find(alike) {
            Some(group) => {
                group.names.push(&target.host_name);
                group.since = group.since.min(&target.since);
            }
            None => groups.push(Group { sample: target, names: vec![&target.host_name], since: &target.since }),
        }
    }
    for group in &mut groups {
        group.names.sort_unstable();
    }
    groups.sort_by(|a, b| b.names.len().cmp(&a.names.len()).then_with(|| a.names.cmp(&b.names)));
    groups
}
