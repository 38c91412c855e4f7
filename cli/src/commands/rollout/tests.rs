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

fn awaiting() -> Script {
    Script { rollout: rollout("awaiting_approval"), ..Script::default() }
}

#[tokio::test]
async fn what_is_approved_is_what_was_shown() {
    let controller = Controller::start(awaiting()).await;
    let ran = controller.run(&["rollout", "approve", "R-3", "--reason", "read it"], Format::Table, Some(&["y"])).await;
    let (exit, told) = ran.told();
    assert_eq!(exit, Exit::Good, "{told}");
    assert!(told.contains("IF IT BEGAN NOW") && told.contains("It begins at once on 3 hosts. Approve R-3"), "{told}");
    assert!(told.contains("1 of 2 approvals (piotr)"), "{told}");
    let script = controller.script.lock().unwrap();
    let (verb, request) = &script.actions[0];
    assert_eq!(
        (*verb, request.spec.as_str(), request.reason.as_str()),
        ("approve", rollout("draft").spec.as_str(), "read it")
    );
}

#[tokio::test]
async fn another_plan_than_the_one_looked_at_is_not_approved() {
    let controller = Controller::start(awaiting()).await;
    let spec = rollout("draft").spec;
    for (digest, exit) in [(&spec[..12], Exit::Good), (&spec[..4], Exit::Conflict), ("cafecafecafe", Exit::Conflict)] {
        let words = ["rollout", "approve", "R-3", "--yes", "--plan", digest];
        let (ended, told) = controller.run(&words, Format::Table, None).await.told();
        assert_eq!(ended, exit, "{digest}: {told}");
    }
    assert_eq!(controller.script.lock().unwrap().actions.len(), 1);
    let (exit, told) = controller.run(&["rollout", "approve", "R-3"], Format::Table, None).await.told();
    assert!(exit == Exit::Usage && told.ends_with("flota rollout approve R-3 --plan DIGEST --yes"), "{told}");
}

#[tokio::test]
async fn a_start_is_bound_to_the_plan_that_was_shown() {
    let script = Script { rollout: rollout("draft"), ..watching(vec![vec![Some(rollout("awaiting_approval"))]]) };
    let controller = Controller::start(script).await;
    let (ended, data, _) = run(&controller, "flota rollout start R-3 --yes", Format::Table, None).await;
    assert_eq!(ended.unwrap(), Exit::Decision, "it waits for approvals");
    assert!(data.text().contains("waits for approval: 1 of 2 given"), "{}", data.text());
    assert_eq!(controller.script.lock().unwrap().actions[0].1.spec, rollout("draft").spec);
}

#[tokio::test]
async fn a_dry_run_creates_nothing_and_says_how_it_would_go() {
    let controller = Controller::start(Script { rollout: rollout("draft"), ..Script::default() }).await;
    let words = [
        "rollout",
        "create",
        "--release",
        "4.12.0",
        "--all",
        "--dry-run",
        "--deadline",
        "48h",
        "--market",
        "xnys=closed",
    ];
    let (exit, told) = controller.run(&words, Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("IF IT BEGAN NOW") && told.contains("nothing was created."), "{told}");
    let calls = controller.calls();
    assert_eq!(calls.iter().map(|(method, _)| *method).collect::<Vec<_>>(), ["Rollouts.Simulate"]);
    let draft = &calls[0].1["draft"];
    assert_eq!((&draft["min_success"], &draft["markets"][0]), (&98.into(), &"xnys=closed".into()));
    assert!(draft["deadline"].as_str().unwrap().contains('T'), "{draft}");
}

#[tokio::test]
async fn an_amendment_says_what_it_costs_and_changes_what_was_given() {
    let controller = Controller::start(awaiting()).await;
    let words = ["rollout", "amend", "R-3", "--max-failures", "3", "--no-deadline", "--reason", "OPS-9"];
    let (exit, told) = controller.run(&words, Format::Table, Some(&["y"])).await.told();
    assert!(exit == Exit::Good && told.contains("The approval of piotr will not count any more"), "{told}");
    let (method, request) = &controller.calls()[0];
    assert_eq!((*method, &request["max_failures"], &request["deadline"]), ("Rollouts.Amend", &3.into(), &"".into()));
    assert_eq!((&request["bake_seconds"], &request["spec"]), (&serde_json::Value::Null, &rollout("draft").spec.into()));
    assert!(Cli::try_parse_from(["flota", "rollout", "amend", "R-3"]).is_err(), "nothing to amend");
}

#[tokio::test]
async fn single_hosts_are_tried_again_and_left_out() {
    let controller = Controller::start(Script { rollout: halted(), ..Script::default() }).await;
    for (verb, method) in [("retry", "Rollouts.Retry"), ("skip", "Rollouts.Skip")] {
        let words = ["rollout", verb, "R-214", "--host", "fra-bot-07", "--host", "fra-bot-09"];
        let (exit, told) = controller.run(&words, Format::Table, None).await.told();
        let repeat = format!("flota rollout {verb} R-214 --host fra-bot-07 --host fra-bot-09 --yes");
        assert!(exit == Exit::Usage && told.ends_with(&repeat), "{told}");
        let (exit, told) = controller.run(&words, Format::Table, Some(&["y"])).await.told();
        assert_eq!(exit, Exit::Good, "{told}");
        let (called, request) = controller.calls().pop().unwrap();
        assert_eq!((called, &request["hosts"][1]), (method, &"fra-bot-09".into()));
    }
}

#[tokio::test]
async fn a_part_is_taken_back_by_the_number_of_its_hosts() {
    let script = Script { rollout: halted(), ..watching(vec![vec![Some(rollout("succeeded"))]]) };
    let controller = Controller::start(script).await;
    let words = ["rollout", "rollback", "R-214", "--wave", "canary", "--confirm", "2"];
    let (exit, told) = controller.run(&words, Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("This takes 2 hosts back from 4.12.0"), "{told}");
    assert_eq!(controller.script.lock().unwrap().actions[0].1.wave, "canary");
}

#[tokio::test]
async fn a_freeze_begins_now_and_ends_when_it_is_said() {
    let controller = Controller::start(Script::default()).await;
    let words = ["freeze", "create", "-l", "venue=binance", "--until", "48h", "--reason", "listing day"];
    let (exit, told) = controller.run(&words, Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("freeze 4 of venue=binance holds until"), "{told}");
    assert!(told.contains("undo: flota freeze end 4"), "{told}");
    let (exit, told) = controller.run(&["freeze", "end", "4", "--yes"], Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("is over"), "{told}");
    let (exit, told) =
        controller.run(&["freeze", "create", "--until", "48h", "--reason", "x"], Format::Table, None).await.told();
    assert!(exit == Exit::Usage, "no host is frozen by omission: {told}");
    let (exit, told) = controller.run(&["freeze", "list"], Format::Name, None).await.told();
    assert!(exit == Exit::Good && told.trim() == "4", "{told}");
}
