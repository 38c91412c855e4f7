//! What is done to hosts, against a stand-in controller, over real gRPC.

use serde_json::json;

use super::*;
use crate::testing::controller::{Controller, Script};
use crate::testing::{PLAIN, fleet_host, halted};

const LINE: [&str; 5] = ["host", "decommission", "fra-bot-03", "--reason", "OPS-915"];

#[tokio::test]
async fn a_host_is_taken_out_only_after_its_name_was_typed() {
    let controller = Controller::start(Script { rollout: halted(), ..Script::default() }).await;
    let (exit, text) = controller.run(&LINE, Format::Table, None).await.told();
    assert_eq!(exit, Exit::Usage);
    assert!(text.ends_with("flota host decommission fra-bot-03 --confirm fra-bot-03 --reason OPS-915"), "{text}");
    for answer in ["", "y", "fra-bot-04"] {
        let ran = controller.run(&LINE, Format::Table, Some(&[answer])).await;
        assert_eq!(ran.ended.unwrap_err().exit(), Exit::Bad, "{answer}");
        assert!(ran.talk.contains("R-214 loses 1 of 42 targets"), "{}", ran.talk);
    }
    let wrong = [&LINE[..], &["--confirm", "fra-bot-04"]].concat();
    let (exit, text) = controller.run(&wrong, Format::Table, None).await.told();
    assert!(exit == Exit::Usage && text.contains("does not name what would be changed"), "{text}");
    assert!(controller.calls().is_empty(), "{:?}", controller.calls());

    let ran = controller.run(&LINE, Format::Table, Some(&["fra-bot-03"])).await;
    assert_eq!(ran.data, "– fra-bot-03 is retired: its certificate has ended\n");
    let confirmed = [&LINE[..], &["--confirm", "fra-bot-03"]].concat();
    assert_eq!(controller.run(&confirmed, Format::Json, None).await.ended.unwrap(), Exit::Good);
    let request = json!({ "host": fleet_host("fra-bot-03").id, "reason": "OPS-915" });
    assert_eq!(controller.calls(), [("Hosts.Decommission", request.clone()), ("Hosts.Decommission", request)]);
}

#[tokio::test]
async fn yes_is_no_answer_to_a_severe_question() {
    use clap::Parser as _;
    let line = ["flota", "host", "decommission", "fra-bot-03", "--reason", "x", "--yes"];
    assert!(crate::args::Cli::try_parse_from(line).is_err());
    assert!(crate::args::Cli::try_parse_from(&line[..4]).is_err(), "a reason must be given");
}

fn reply(name: &str, round_trip_us: Option<u64>) -> PingReply {
    let (answered, round_trip_us) = (round_trip_us.is_some(), round_trip_us.unwrap_or(0));
    PingReply { host_id: String::new(), name: name.into(), answered, round_trip_us }
}

#[test]
fn silence_is_partial_and_all_silence_is_bad() {
    let replies = [reply("a", Some(2_500)), reply("b", None), reply("c", Some(900)), reply("d", Some(40_000))];
    assert_eq!(judged(&replies), Exit::Partial);
    assert_eq!(judged(&replies[..1]), Exit::Good);
    assert_eq!(judged(&replies[1..2]), Exit::Bad);
    let expected = "3 of 4 hosts answered · min 0.90 ms · median 2.50 ms · max 40.00 ms";
    assert_eq!(summary(&replies, PLAIN), expected);
    assert_eq!(summary(&replies[1..2], PLAIN), "0 of 1 host answered");
}
