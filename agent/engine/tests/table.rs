//! Walks every state that can be reached, tries every event on it, and holds `docs/agent-states.md` against that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;

use flota_engine::{AfterResume, Cause, Effect, Event, Installed, Phase, Rejected, State, report, step};
use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal};
use flota_model::{Digest, Generation, RolloutId};

/// Generations are few here; three show everything that their order can do.
const GENERATIONS: u64 = 3;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// Another stage, or the same one again, with something to do.
    Goes(&'static str),
    /// Kept for the next rest.
    Remembered,
    /// Nothing changes; what was under way is done again.
    Again,
    /// Nothing changes.
    Ignored,
    Stale,
    Conflict,
}

type Table = BTreeMap<&'static str, BTreeMap<&'static str, BTreeSet<Answer>>>;

#[test]
fn the_documented_table_is_the_one_in_force() {
    let document = document(&table());
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/agent-states.md"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &document).unwrap();
    }
    let documented = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(documented == document, "docs/agent-states.md is out of date: run this test with UPDATE_GOLDEN=1");
}

#[test]
fn every_stage_is_reached_and_has_a_way_out_for_every_effect_of_its_own() {
    let table = table();
    let all = [
        "committed",
        "offered",
        "verifying",
        "preflight",
        "downloading",
        "unpacking",
        "staged",
        "exporting",
        "quiescing",
        "snapshotting",
        "resuming",
        "armed",
        "switching",
        "probation",
        "soaking",
        "switching_back",
        "fallback_probation",
        "rolled_back",
        "refused",
        "safe_hold_stopping",
        "safe_hold",
    ];
    assert_eq!(table.keys().copied().collect::<BTreeSet<_>>(), all.into_iter().collect());
    for (stage, row) in &table {
        assert!(row.contains_key("restarted"), "{stage} does not survive a restart");
        assert!(row.contains_key("a newer install") && row.contains_key("a newer stay"), "{stage} ignores a goal");
    }
}

/// What every event does in every stage, over all states that can be reached; what has no meaning is left out.
fn table() -> Table {
    let mut table = Table::new();
    let mut seen = BTreeSet::new();
    let first = Installed::from(&release(0));
    let mut open: VecDeque<State> = [State::new(None), State::new(Some(first))].into();
    while let Some(state) = open.pop_front() {
        if !seen.insert(essence(&state)) {
            continue;
        }
        for (label, event) in events(&state) {
            let answer = match step(&state, &event) {
                Ok((next, effects)) => {
                    let answer = answer(&state, &next, &effects);
                    open.push_back(next);
                    answer
                }
                Err(Rejected::Stale { .. }) => Answer::Stale,
                Err(Rejected::Conflict { .. }) => Answer::Conflict,
                Err(Rejected::Unexpected { .. }) => continue,
            };
            table.entry(state.phase().name()).or_default().entry(label).or_default().insert(answer);
        }
    }
    table
}

fn answer(before: &State, after: &State, effects: &[Effect]) -> Answer {
    if before == after {
        return if effects.is_empty() { Answer::Ignored } else { Answer::Again };
    }
    if before.waiting() != after.waiting() && after.waiting().is_some() {
        return Answer::Remembered;
    }
    Answer::Goes(after.phase().name())
}

/// A state without its counters and sentences, which decide nothing.
fn essence(state: &State) -> String {
    let attempt = match state.phase() {
        Phase::Verifying { attempt, .. }
        | Phase::Downloading { attempt, .. }
        | Phase::Exporting { attempt, .. }
        | Phase::Quiescing { attempt, .. }
        | Phase::Resuming { then: AfterResume::AskAgain { attempt }, .. }
        | Phase::Switching { attempt, .. }
        | Phase::Probation { attempt, .. } => *attempt,
        _ => 0,
    };
    let held = report(state).detail.contains("safe-hold");
    format!(
        "{} {:?} {attempt} {:?} {:?} {:?} {:?} {:?} {held}",
        state.phase().name(),
        state.phase().target().map(|target| target.digest.short()),
        state.accepted().map(|desired| (desired.generation, desired.goal.clone())),
        state.waiting().map(|desired| (desired.generation, desired.goal.clone())),
        state.running().map(|installed| installed.digest.short()),
        state.previous().map(|installed| installed.digest.short()),
        state.denied().keys().map(Digest::short).collect::<Vec<_>>(),
    )
}

fn release(name: u8) -> ReleaseRef {
    ReleaseRef { digest: Digest::of(&[name]), version: format!("{name}.0"), size: 1 }
}

/// Every event, with what it is called in the table.
fn events(state: &State) -> Vec<(&'static str, Event)> {
    let why = || "a reason".to_owned();
    let current = state.running().cloned();
    let mut events: Vec<_> = [
        Event::Proceed,
        Event::Restarted { current },
        Event::Verified,
        Event::VerifyFailed { why: why(), cause: Cause::Transient },
        Event::VerifyFailed { why: why(), cause: Cause::Permanent },
        Event::PreflightPassed,
        Event::PreflightFailed { why: why() },
        Event::Downloaded,
        Event::DownloadFailed { why: why(), cause: Cause::Transient },
        Event::DownloadFailed { why: why(), cause: Cause::Permanent },
        Event::Staged,
        Event::StageFailed { why: why() },
        Event::Exported,
        Event::ExportFailed { why: why(), cause: Cause::Transient },
        Event::ExportFailed { why: why(), cause: Cause::Permanent },
        Event::Quiesced,
        Event::QuiesceFailed { why: why(), cause: Cause::Transient },
        Event::QuiesceFailed { why: why(), cause: Cause::Permanent },
        Event::SnapshotTaken,
        Event::SnapshotFailed { why: why() },
        Event::Resumed,
        Event::ResumeFailed { why: why() },
        Event::Switched,
        Event::SwitchFailed { why: why() },
        Event::Healthy,
        Event::Unhealthy { why: why() },
        Event::Soaked,
        Event::SoakFailed { why: why() },
        Event::SwitchedBack,
        Event::SwitchBackFailed { why: why() },
        Event::FallbackHealthy,
        Event::FallbackUnhealthy { why: why() },
        Event::BotStopped,
        Event::StopFailed { why: why() },
    ]
    .into_iter()
    .map(|event| (event.name(), event))
    .collect();
    let newest = state.waiting().or(state.accepted()).map(|desired| desired.generation);
    let installs = [0, 1].map(|name| Goal::Install { release: release(name), intent: Direction::Forward });
    for generation in (1..=GENERATIONS).filter_map(Generation::new) {
        for goal in installs.iter().cloned().chain([Goal::Stay]) {
            let label = match (&goal, Some(generation).cmp(&newest)) {
                (_, std::cmp::Ordering::Less) => "an older goal",
                (_, std::cmp::Ordering::Equal) => "the same generation",
                (Goal::Install { .. }, _) => "a newer install",
                (Goal::Stay, _) => "a newer stay",
            };
            events.push((label, Event::Desired(DesiredState { generation, goal, rollout: RolloutId::new(1) })));
        }
    }
    events
}

fn document(table: &Table) -> String {
    let mut text = String::from(
        "# States of an update on a host\n\n\
         Written by the test `the_documented_table_is_the_one_in_force` of `flota-engine`, from every state that can be \
         reached.\nTo change it, change the engine and run `UPDATE_GOLDEN=1 cargo nextest run -p flota-engine`.\n\n\
         For operators: `flota host show` and `flota-agent status` name the stage, and the detail says how it came to that. \
         Each section says what it means and what to do, and then what every event does.\n\n\
         The diagram leaves out goals and restarts, which the table has.\n\n```mermaid\nstateDiagram-v2\n",
    );
    for ((from, to), labels) in edges(table) {
        let _ = writeln!(text, "    {from} --> {to}: {}", labels.join(" / "));
    }
    text.push_str("```\n\n");
    for (stage, row) in table {
        let _ = writeln!(text, "## {stage}\n\n{}\n\n| event | what follows |\n|---|---|", meaning(stage));
        for (event, answers) in row {
            let answers: Vec<_> = answers.iter().map(|answer| say(stage, answer)).collect();
            let _ = writeln!(text, "| {event} | {} |", answers.join(", or "));
        }
        text.push('\n');
    }
    text.push_str("Every other event is refused as unexpected, and changes nothing.\n");
    text
}

/// What an operator has to know of a stage: what the host does, what runs, and what to do if it stays there.
fn meaning(stage: &str) -> &'static str {
    match stage {
        "committed" => "At rest. The release that runs proved healthy, or nothing was wanted yet. Nothing to do.",
        "offered" => "Accepted, and on disk. The release before runs and trades. It goes on at once.",
        "verifying" => {
            "Asks the controller for the signed metadata and holds the release against them. The release before trades. If it \
             stays here, the controller does not answer; the detail says how often it was tried. After a hundred times it is \
             refused."
        }
        "preflight" => {
            "Looks at disk, inodes, clock, certificate and the health of the bot. The release before trades. What speaks \
             against the update is in the detail of the refusal."
        }
        "downloading" => {
            "Fetches what the installed releases do not hold. The release before trades. It goes on after a cut, and is refused \
             after a hundred attempts that brought nothing; `max_kib_per_second` slows it."
        }
        "unpacking" => {
            "Checks the package, HMAC and every file, and unpacks it beside the others. The release before trades."
        }
        "staged" => "Checked, unpacked, on disk. The release before trades. It goes on at once.",
        "exporting" => {
            "Makes the security export and has the controller keep it. The release before trades. If it stays here, the \
             controller does not take it; without an export there is no update."
        }
        "quiescing" => {
            "The bot was asked to come to rest (`quiesce`). It takes no new orders, and may still close what is open. If it \
             answers *not now*, it trades on and is asked again, twenty times in a quarter of an hour; then the update \
             is refused. If the agent is stopped here, the bot may stay at rest until it starts again: run `resume` by hand. \
             To call the update off, abort the rollout: it ends before anything is stopped. The controller sees this stage as *staged*."
        }
        "snapshotting" => {
            "Copies the data that `[update] snapshot` names, so that the release before finds what it can read. The bot is at \
             rest, the release before stands. If it takes long, much is copied. The controller sees this stage as *staged*."
        }
        "resuming" => {
            "The bot is let trade again (`resume`, or a start anew), because it did not come to rest or the update was called \
             off. The release before runs. The controller sees this stage as *staged*."
        }
        "armed" => "The point of no return: from here it commits or goes back. A newer goal waits for that.",
        "switching" => {
            "The bot is stopped, `current` moved, and the new release started. Nothing runs for that moment. After a crash it is \
             tried once more, then given up."
        }
        "probation" => {
            "The new release runs and must be healthy several times in a row, and reach the exchange, within its time. \
             Else the host goes back."
        }
        "soaking" => {
            "The new release proved healthy and must stay so for `soak_seconds`. As many failures in a row as it takes healthy \
             answers to pass send the host back. A restart of the agent begins it again. The controller sees this stage as \
             *probation*."
        }
        "switching_back" => "The new release is stopped, `current` moved back, and the release before started.",
        "fallback_probation" => {
            "The release before runs again and must be healthy. The new one is not tried here again."
        }
        "rolled_back" => {
            "At rest. The release before runs and trades. The detail says what was wrong with the new one, which this host \
             refuses from now on: build another one."
        }
        "refused" => {
            "At rest. Nothing was changed; the release before trades. The detail says why: mend that, then roll out again."
        }
        "safe_hold_stopping" => {
            "No release is healthy. The bot is being stopped, so that it does not trade while it is sick."
        }
        "safe_hold" => {
            "**Call somebody.** No release is healthy, or the bot could not be made to trade again, and it is stopped. What is \
             open at the exchange is as it was. Look at the detail and at `bot.*.log` in the state folder, mend the host, then \
             roll a release out, the one before or a newer one: that is the way out."
        }
        other => panic!("what is {other}?"),
    }
}

fn edges(table: &Table) -> BTreeMap<(&'static str, &'static str), Vec<&'static str>> {
    let mut edges = BTreeMap::<_, Vec<_>>::new();
    for (stage, row) in table {
        for (event, answers) in row {
            let is_outcome = !event.contains("newer") && *event != "restarted" && *event != "the same generation";
            for answer in answers {
                if let Answer::Goes(to) = answer
                    && is_outcome
                    && !(*event == "proceed" && rests(stage))
                {
                    edges.entry((*stage, *to)).or_default().push(*event);
                }
            }
        }
    }
    for stage in ["committed", "rolled_back", "refused", "safe_hold"] {
        edges.entry((stage, "offered")).or_default().push("a newer install");
    }
    edges
}

fn rests(stage: &str) -> bool {
    matches!(stage, "committed" | "rolled_back" | "refused" | "safe_hold")
}

fn say(stage: &str, answer: &Answer) -> String {
    match answer {
        Answer::Goes(to) if *to == stage => format!("`{to}` again"),
        Answer::Goes(to) => format!("`{to}`"),
        Answer::Remembered => "remembered for the next rest".to_owned(),
        Answer::Again => "done again".to_owned(),
        Answer::Ignored => "nothing: it is known".to_owned(),
        Answer::Stale => "refused as stale".to_owned(),
        Answer::Conflict => "refused as a contradiction".to_owned(),
    }
}
