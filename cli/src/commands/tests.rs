//! The other commands against a stand-in controller, over real gRPC.

use std::collections::VecDeque;
use std::time::Duration;

use clap::Parser as _;
use flota_model::Digest;
use flota_proto::v1::{Export, Task};
use tonic::Status;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::testing::controller::{Controller, Printed, Script};

pub(crate) async fn run(
    controller: &Controller,
    words: &[&str],
    format: Format,
) -> (Result<Exit, Failure>, Printed, Printed) {
    let cli = Cli::try_parse_from(std::iter::once("flota").chain(words.iter().copied())).unwrap();
    let timeout = Some(Duration::from_secs(20));
    let (invocation, data, talk) = controller.invocation(format, timeout);
    (super::run(&invocation, cli.command).await, data, talk)
}

fn task(host: &str, state: &str) -> Task {
    let export_id = if state == "done" { format!("export-of-{host}") } else { String::new() };
    Task {
        id: format!("task-of-{host}"),
        kind: "export".into(),
        host_name: host.into(),
        state: state.into(),
        export_id,
        ..Task::default()
    }
}

#[tokio::test]
async fn machines_get_documents_and_people_tables() {
    let controller = Controller::start(Script::default()).await;
    let (ended, data, _) = run(&controller, &["host", "list"], Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    let list: serde_json::Value = serde_json::from_str(&data.text()).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&"flota/v1".into(), &"HostList".into()));
    assert_eq!(list["items"].as_array().unwrap().len(), 13);
    let (_, data, _) = run(&controller, &["host", "list", "--limit", "2"], Format::Name).await;
    assert_eq!(data.text(), "fra-bot-07\nfra-bot-13\n");
    let (_, data, _) = run(&controller, &["host", "list", "--trouble"], Format::Tsv).await;
    assert!(data.text().starts_with("name\tid\t") && !data.text().contains("fra-bot-01"), "{}", data.text());
    assert!(data.text().lines().all(|line| line.split('\t').count() == 18), "{}", data.text());
}

#[tokio::test]
async fn a_token_says_what_it_asks_of_the_host() {
    let controller = Controller::start(Script::default()).await;
    let line = ["token", "create", "waw-bot-05", "--approval", "--software-key"];
    let (ended, data, talk) = run(&controller, &line, Format::Table).await;
    assert_eq!((ended.unwrap(), data.text().as_str()), (Exit::Good, "flt-secret\n"));
    for words in ["whoever copies that file is the host", "flota enrolment list"] {
        assert!(talk.text().contains(words), "{}", talk.text());
    }
    let calls = controller.calls();
    assert_eq!((&calls[0].1["approval"], &calls[0].1["software_key"]), (&true.into(), &true.into()));
    let (_, _, talk) = run(&controller, &["token", "create"], Format::Table).await;
    assert!(!talk.text().contains("approval") && !talk.text().contains("file"), "{}", talk.text());
}

#[tokio::test]
async fn a_refusal_ends_with_its_number() {
    for (status, exit) in [
        (Status::permission_denied("role viewer may not"), Exit::Denied),
        (Status::not_found("no such host"), Exit::NotFound),
        (Status::aborted("changed"), Exit::Conflict),
        (Status::unavailable("starting"), Exit::Unreachable),
        (Status::invalid_argument("selector"), Exit::Usage),
        (Status::internal("bug"), Exit::Bad),
    ] {
        let controller = Controller::start(Script { refusal: Some(status), ..Script::default() }).await;
        let (ended, ..) = run(&controller, &["host", "list"], Format::Table).await;
        assert_eq!(ended.unwrap_err().exit(), exit);
    }
}

#[tokio::test]
async fn pings_of_named_hosts_are_asked_one_by_one() {
    let controller = Controller::start(Script::default()).await;
    let (ended, data, talk) = run(&controller, &["host", "ping", "bot-1", "bot-2"], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Partial);
    assert!(data.text().contains("✓ host=bot-1  0.90 ms"), "{}", data.text());
    assert!(talk.text().starts_with("1 of 2 hosts answered"), "{}", talk.text());
}

#[tokio::test]
async fn an_export_waits_and_counts() {
    let looks = |last: &str| {
        VecDeque::from([
            vec![task("bot-1", "waiting"), task("bot-2", "waiting")],
            vec![task("bot-2", "done"), task("bot-1", "offered")],
            vec![task("bot-1", last), task("bot-2", "done")],
        ])
    };
    for (last, exit) in [("done", Exit::Good), ("failed", Exit::Partial)] {
        let controller = Controller::start(Script { tasks: looks(last), ..Script::default() }).await;
        let (ended, data, _) = run(&controller, &["export", "run", "--all"], Format::Table).await;
        assert_eq!(ended.unwrap(), exit);
        assert_eq!(data.text().lines().count(), 2, "one line a host: {}", data.text());
    }
    let controller = Controller::start(Script { tasks: looks("done"), ..Script::default() }).await;
    let (_, data, _) = run(&controller, &["export", "run", "bot-1", "bot-2"], Format::Name).await;
    assert_eq!(data.text(), "export-of-bot-1\nexport-of-bot-2\n");
    let (ended, data, _) = run(&controller, &["export", "run", "--all", "--no-wait"], Format::Jsonl).await;
    assert_eq!((ended.unwrap(), data.text().lines().count()), (Exit::Good, 2));
}

#[tokio::test]
async fn no_hosts_is_not_success() {
    let controller = Controller::start(Script::default()).await;
    let (ended, ..) = run(&controller, &["export", "run", "-l", "env=nowhere"], Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::NotFound);
}

#[tokio::test]
async fn an_export_is_fetched_whole_checked_and_never_over_another_file() {
    let blob = b"{\"entries\": []} and some more bytes".to_vec();
    let export = Export {
        id: "01jd8-export".into(),
        host_name: "bot-1".into(),
        at: "2026-11-23T14:21:13Z".into(),
        blob: Digest::of(&blob).to_string(),
        size_bytes: blob.len() as u64,
        ..Export::default()
    };
    let controller = Controller::start(Script { blob: blob.clone(), exports: vec![export], ..Script::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let get = ["export", "get", "01jd8", "--dir", dir];
    let (ended, data, _) = run(&controller, &get, Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    let path = folder.path().join("bot-1-20261123T142113Z.bundle.json");
    assert_eq!(data.text().trim_end(), path.to_str().unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), blob);
    let (ended, ..) = run(&controller, &get, Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Conflict);

    controller.script.lock().unwrap().blob.push(b'!');
    let (ended, ..) = run(&controller, &["export", "get", "01jd8", "--dir", dir, "--force"], Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Bad);
    assert_eq!(std::fs::read(&path).unwrap(), blob, "a damaged download must not replace a good file");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no part may be left behind");
}
