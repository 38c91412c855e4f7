//! Commands against a stand-in controller, over real gRPC.

use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::args::Cli;
use crate::commands;
use crate::output::Format;
use crate::testing::controller::{Controller, Printed, Script};
use crate::testing::{TERMINAL, halted, rollout, running};

const SOON: Option<Duration> = Some(Duration::from_millis(300));

async fn run(
    controller: &Controller,
    line: &str,
    format: Format,
    timeout: Option<Duration>,
) -> (Result<Exit, Failure>, Printed, Printed) {
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    let (invocation, data, talk) = controller.invocation(format, timeout);
    (commands::run(&invocation, cli.command).await, data, talk)
}

fn watching(watches: Vec<Vec<Option<Rollout>>>) -> Script {
    Script { watches: watches.into(), ..Script::default() }
}

#[tokio::test]
async fn the_endings_of_a_watch_are_told_apart() {
    for (watches, exit, words) in [
        (vec![vec![Some(running()), Some(rollout("succeeded"))]], Exit::Good, "succeeded"),
        (vec![vec![Some(rollout("succeeded_with_exceptions"))]], Exit::Partial, "with exceptions"),
        (vec![vec![Some(running()), Some(rollout("aborted"))]], Exit::Bad, "was aborted"),
        (vec![vec![Some(running()), Some(halted())]], Exit::Decision, "a decision is needed"),
        (vec![vec![Some(rollout("draft"))]], Exit::Decision, "waits for a person to start it"),
        (vec![vec![Some(running()), None]], Exit::TimedOut, "goes on; --timeout"),
        (vec![vec![Some(running())]], Exit::Unreachable, "has not answered"),
    ] {
        let controller = Controller::start(watching(watches)).await;
        let (ended, data, _) = run(&controller, "flota rollout status R-3 --watch", Format::Table, SOON).await;
        assert_eq!(ended.unwrap(), exit, "{words}");
        assert!(data.text().lines().last().unwrap().contains(words), "{}", data.text());
    }
}

#[tokio::test]
async fn a_lost_connection_is_resumed_and_nothing_is_told_twice() {
    let script = watching(vec![vec![Some(running())], vec![Some(running()), Some(rollout("succeeded"))]]);
    let controller = Controller::start(script).await;
    let (ended, data, _) = run(&controller, "flota rollout status R-3 -w", Format::Table, None).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    assert_eq!(data.text().matches("R-3 running").count(), 1, "{}", data.text());
}

#[tokio::test]
async fn events_end_with_a_verdict() {
    let controller = Controller::start(watching(vec![vec![Some(running()), Some(halted())]])).await;
    let (ended, data, _) = run(&controller, "flota rollout status R-214 -w", Format::Jsonl, None).await;
    assert_eq!(ended.unwrap(), Exit::Decision);
    let documents: Vec<serde_json::Value> =
        data.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = documents.last().unwrap();
    assert_eq!((&last["kind"], &last["exit_code"], &last["state"]), (&"Verdict".into(), &9.into(), &"halted".into()));
    assert!(documents.iter().all(|document| document["apiVersion"] == "flota/v1"));
}

#[tokio::test]
async fn a_terminal_gets_its_screen_back_with_the_last_frame() {
    let controller = Controller::start(watching(vec![vec![Some(halted())]])).await;
    let (invocation, data, _) = controller.invocation_on(TERMINAL, Format::Table, SOON);
    let session = invocation.session().await.unwrap();
    let id = RolloutId::new(214);
    let ended = watch::watch(&invocation, session, id, Begun::Elsewhere, Decisions::FollowThrough).await;
    assert_eq!(ended.unwrap(), Exit::Unreachable);
    let text = data.text();
    let (alternate, normal) = text.split_once("\x1b[?1049l").unwrap();
    assert!(alternate.contains("\x1b[?1049h") && alternate.contains("Ctrl-C leaves"), "{text}");
    assert!(normal.contains("FAILED 2 of 11 attempted") && !normal.contains('\x1b'), "{text}");
    assert!(normal.trim_end().ends_with("(exit 7)"), "{text}");
}

#[tokio::test]
async fn a_start_follows_the_draft_that_is_not_planned_yet() {
    let script = Script {
        rollout: rollout("draft"),
        ..watching(vec![vec![Some(rollout("draft")), Some(running()), Some(rollout("succeeded"))]])
    };
    let controller = Controller::start(script).await;
    let (ended, _, talk) = run(&controller, "flota rollout start R-3 --yes --reason OPS-9", Format::Table, None).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    assert!(talk.text().contains("3 hosts in 2 waves"), "{}", talk.text());
    let script = controller.script.lock().unwrap();
    assert_eq!(script.actions[0].0, "start");
    assert_eq!(script.actions[0].1.reason, "OPS-9");
}

#[tokio::test]
async fn without_a_terminal_nothing_is_decided_by_default() {
    let controller = Controller::start(Script { rollout: halted(), ..Script::default() }).await;
    for (line, repeat) in [
        ("flota rollout start R-214", "flota rollout start R-214 --yes"),
        ("flota rollout resume R-214 --accept-failures 2", "flota rollout resume R-214 --accept-failures 2 --yes"),
        ("flota rollout abort R-214", "flota rollout abort R-214 --yes"),
        ("flota rollout rollback R-214", "flota rollout rollback R-214 --confirm R-214"),
        ("flota rollout rollback R-214 --confirm R-2", "flota rollout rollback R-214 --confirm R-214"),
        ("flota rollout create --release 1 --all --start", "flota rollout create ... --start --yes"),
    ] {
        let (ended, ..) = run(&controller, line, Format::Table, None).await;
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage, "{line}");
        assert!(failure.render(crate::testing::PLAIN).unwrap().ends_with(repeat), "{line}");
    }
    assert!(controller.script.lock().unwrap().actions.is_empty());
}

#[tokio::test]
async fn a_rollback_takes_the_number_of_hosts_or_the_id() {
    for confirm in ["9", "R-214"] {
        let script = Script { rollout: halted(), ..watching(vec![vec![Some(rollout("succeeded"))]]) };
        let controller = Controller::start(script).await;
        let line = format!("flota rollout rollback R-214 --confirm {confirm}");
        let (ended, _, talk) = run(&controller, &line, Format::Table, None).await;
        assert_eq!(ended.unwrap(), Exit::Good, "{}", talk.text());
        assert!(talk.text().contains("This takes 9 hosts back from 4.12.0"), "{}", talk.text());
    }
}

#[tokio::test]
async fn a_snapshot_ends_with_what_it_came_to() {
    for (state, exit) in [("running", Exit::Running), ("paused", Exit::Decision), ("succeeded", Exit::Good)] {
        let controller = Controller::start(Script { rollout: rollout(state), ..Script::default() }).await;
        let (ended, data, _) = run(&controller, "flota rollout status 3", Format::Json, None).await;
        assert_eq!(ended.unwrap(), exit);
        let document: serde_json::Value = serde_json::from_str(&data.text()).unwrap();
        assert_eq!((&document["kind"], &document["state"]), (&"Rollout".into(), &state.into()));
        let (ended, ..) = run(&controller, "flota rollout status 3 --exit-zero", Format::Table, None).await;
        assert_eq!(ended.unwrap(), Exit::Good);
    }
}

#[tokio::test]
async fn explaining_a_host_that_is_not_in_it_is_not_found() {
    let controller = Controller::start(Script { rollout: halted(), ..Script::default() }).await;
    let (ended, ..) = run(&controller, "flota rollout explain R-214 --host nobody", Format::Table, None).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::NotFound);
}

#[test]
fn a_row_has_every_column() {
    assert_eq!(row(&Rollout::default()).len(), COLUMNS.len());
}
