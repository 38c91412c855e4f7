//! Recoveries: how far they are, what proves each step, and whose move it is.

use std::fmt::Write as _;
use std::time::Duration;

use flota_model::Timestamp;
use flota_proto::v1::{Recovery, RecoveryProof, RecoveryStep};
use serde_json::Value;

use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, short};
use crate::output::{Style, time};

/// The manual's words for the steps.
const TITLES: [(&str, &str); 6] = [
    ("find", "last usable export and release"),
    ("restore", "the machine is there"),
    ("apply", "the approved release runs"),
    ("prove", "TPM and licence"),
    ("health", "exchanges"),
    ("report", "report to SRE"),
];

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 8] = ["id", "host", "onto", "state", "version", "begun_at", "ended_at", "begun_by"];

/// One row of `-o tsv`.
pub(crate) fn row(recovery: &Recovery) -> Vec<String> {
    let Recovery { id, host, onto, state, version, begun_at, ended_at, begun_by, .. } = recovery.clone();
    vec![id.to_string(), host, onto, state, version, begun_at, ended_at, begun_by]
}

/// The table for people.
pub(crate) fn table(recoveries: &[Recovery], now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["RECOVERY", "HOST", "STATE", "STEP", "RELEASE", "AGE", "BY"]).right(5);
    for recovery in recoveries {
        let step = current(recovery).map(|step| title(&step.step)).unwrap_or_default();
        table.row([
            Cell::from(recovery.id.to_string()),
            Cell::from(machine(recovery)),
            Cell::signed(sign(&recovery.state), &recovery.state),
            Cell::from(step),
            Cell::from(&recovery.version),
            Cell::from(time::ago(&recovery.begun_at, now)),
            Cell::from(person(&recovery.begun_by)),
        ]);
    }
    table.render(style)
}

/// One of them: a verdict, then step by step, then what to do.
pub(crate) fn show(recovery: &Recovery, style: Style) -> String {
    let mut text = format!("{}\n", style.say(sign(&recovery.state), &verdict(recovery)));
    if !recovery.ended.is_empty() {
        let _ = writeln!(text, "\n  {}", clean(&recovery.ended));
    }
    let mut table = Table::new(["STEP", "STATE", "WHAT"]);
    for step in &recovery.steps {
        let state = Cell::signed(sign(&step.state), &step.state);
        table.row([Cell::from(title(&step.step)), state, Cell::from(&step.detail)]);
        for proof in &step.proofs {
            table.row([Cell::from(" "), Cell::from(" "), Cell::from(proved(proof))]);
        }
    }
    let _ = write!(text, "\n{}", table.render(style));
    if let Some(step) = current(recovery).filter(|step| !step.next.is_empty() && recovery.ended_at.is_empty()) {
        let _ = write!(text, "\n  next  {}", clean(&step.next));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Lines for the steps that moved since `said`, which is brought up to date.
pub(crate) fn moved(recovery: &Recovery, said: &mut Vec<(String, String)>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for step in recovery.steps.iter().filter(|step| step.state != "ahead") {
        let now = (step.step.clone(), step.state.clone());
        if said.contains(&now) {
            continue;
        }
        said.retain(|(name, _)| *name != step.step);
        said.push(now);
        lines.push(style.say(sign(&step.state), &format!("{}: {}", title(&step.step), clean(&step.detail))));
    }
    lines
}

/// What is said when nothing moved for a while.
pub(crate) fn heartbeat(recovery: &Recovery, elapsed: Duration) -> String {
    let doing = current(recovery).map(|step| format!("{}: {}", title(&step.step), clean(&step.detail)));
    format!("{} so far; {}", time::span(elapsed), doing.unwrap_or_default())
}

/// As the signed text has it.
pub(crate) fn of_document(document: &Value) -> Option<Recovery> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let proof = |value: &Value| RecoveryProof { kind: text(value, "kind"), name: text(value, "name") };
    let step = |value: &Value| {
        let proofs = value["proofs"].as_array()?.iter().map(proof).collect();
        let (name, state, detail) = (text(value, "step"), text(value, "state"), text(value, "detail"));
        Some(RecoveryStep { step: name, state, detail, next: text(value, "next"), since: text(value, "since"), proofs })
    };
    Some(Recovery {
        id: document["recovery"].as_u64().and_then(|id| u32::try_from(id).ok())?,
        host: text(document, "host"),
        onto: text(document, "onto"),
        state: text(document, "state"),
        release: text(&document["release"], "digest"),
        version: text(&document["release"], "version"),
        release_from: text(document, "release_from"),
        begun_by: text(document, "begun_by"),
        begun_at: text(document, "begun_at"),
        reason: text(document, "reason"),
        ticket: text(document, "ticket"),
        rollout: text(document, "rollout"),
        steps: document["steps"].as_array()?.iter().map(step).collect::<Option<_>>()?,
        ended_at: text(&document["ended"], "at"),
        ended: text(&document["ended"]["how"], "aborted"),
        ..Recovery::default()
    })
}

fn verdict(recovery: &Recovery) -> String {
    let Recovery { version, begun_at, ended_at, .. } = recovery;
    let (machine, version) = (machine(recovery), clean(version));
    if recovery.id == 0 {
        return format!("how {machine} would be brought back to {version}; nothing has begun");
    }
    match recovery.state.as_str() {
        "recovered" => format!(
            "{machine} is recovered and runs {version}: begun {}, done {}",
            time::stamp(begun_at),
            time::stamp(ended_at)
        ),
        "aborted" => format!("the recovery of {machine} was ended by a person, {}", time::stamp(ended_at)),
        state => format!("the recovery of {machine} to {version} is {state}"),
    }
}

fn machine(recovery: &Recovery) -> String {
    let Recovery { host, onto, .. } = recovery;
    if host == onto { clean(host) } else { format!("{} onto {}", clean(host), clean(onto)) }
}

fn current(recovery: &Recovery) -> Option<&RecoveryStep> {
    recovery.steps.iter().find(|step| !matches!(step.state.as_str(), "done" | "skipped"))
}

fn title(step: &str) -> String {
    TITLES.iter().find(|(word, _)| *word == step).map_or_else(|| clean(step), |(_, title)| (*title).to_owned())
}

fn proved(proof: &RecoveryProof) -> String {
    let name = if proof.kind.ends_with("sha256") { short(&proof.name) } else { clean(&proof.name) };
    format!("by {} {name}", clean(&proof.kind).replace('_', " "))
}

fn person(actor: &str) -> String {
    clean(actor.strip_prefix("operator/").unwrap_or(actor))
}

fn sign(state: &str) -> Sign {
    match state {
        "done" | "recovered" => Sign::Ok,
        "failed" => Sign::Failed,
        "waiting" => Sign::Paused,
        "working" => Sign::Working,
        "ahead" => Sign::Waiting,
        _ => Sign::Skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, now, recovery};

    #[test]
    fn each_step_says_what_proves_it_and_the_one_that_waits_what_to_do() {
        let waiting = recovery();
        let mut done = Recovery { state: "recovered".into(), ended_at: "2026-11-23T14:40:00Z".into(), ..recovery() };
        for step in &mut done.steps {
            step.state = "done".into();
        }
        let aborted = Recovery {
            state: "aborted".into(),
            onto: "fra-bot-21".into(),
            ended: "ola: it came back by itself".into(),
            ended_at: "2026-11-23T14:40:00Z".into(),
            ..recovery()
        };
        let planned = Recovery { id: 0, state: "working".into(), ..recovery() };
        let all = [waiting, done, aborted, planned];
        let shown: Vec<String> = all.iter().map(|one| show(one, PLAIN)).collect();
        golden("recovery-show.txt", &format!("{}\n\n{}\n", shown.join("\n\n"), table(&all, now(), PLAIN)));
        assert_eq!(row(&all[0]).len(), COLUMNS.len());
    }

    #[test]
    fn a_step_is_said_when_it_moves() {
        let (mut said, mut found) = (Vec::new(), recovery());
        assert_eq!(moved(&found, &mut said, PLAIN).len(), 3);
        assert!(moved(&found, &mut said, PLAIN).is_empty());
        found.steps[2].state = "done".into();
        assert_eq!(moved(&found, &mut said, PLAIN).len(), 1);
    }
}
