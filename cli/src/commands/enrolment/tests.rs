//! Enrolments against a stand-in controller, over real gRPC.

use serde_json::json;

use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};
use crate::testing::fleet_host;
use crate::testing::trust::enrolments;

async fn controller() -> Controller {
    Controller::start(Script { enrolments: enrolments(), ..Script::default() }).await
}

#[tokio::test]
async fn those_that_wait_are_listed_with_the_next_command() {
    let controller = controller().await;
    let ran = controller.run(&["enrolment", "list"], Format::Table, None).await;
    assert_eq!(ran.talk, "2 hosts awaiting approval\nnext: flota enrolment show waw-bot-05\n");
    let ran = controller.run(&["enrolment", "list"], Format::Json, None).await;
    let list: serde_json::Value = serde_json::from_str(&ran.data).unwrap();
    assert_eq!((&list["kind"], &list["items"][0]["tpm_manufacturer"]), (&json!("EnrolmentList"), &json!("STMicro")));
    let ran = Controller::start(Script::default()).await.run(&["enrolment", "list"], Format::Table, None).await;
    assert_eq!((ran.data.as_str(), ran.talk.as_str()), ("", "no host awaits approval.\n"));
}

#[tokio::test]
async fn a_host_is_found_by_name_or_by_the_beginning_of_its_id() {
    let controller = controller().await;
    let id = fleet_host("waw-bot-05").id;
    for text in ["waw-bot-05", &id, &id[..6]] {
        let ran = controller.run(&["enrolment", "show", text], Format::Name, None).await;
        assert_eq!(ran.data, "waw-bot-05\n", "{text}");
    }
    for text in ["fra-bot-01", "", "zz"] {
        let (exit, told) = controller.run(&["enrolment", "show", text], Format::Table, None).await.told();
        assert!(exit == Exit::NotFound && told.contains("awaits approval"), "{told}");
    }
}

#[tokio::test]
async fn a_host_is_let_in_after_its_keys_were_shown() {
    let controller = controller().await;
    let line = ["enrolment", "approve", "waw-bot-05"];
    let (exit, text) = controller.run(&line, Format::Table, None).await.told();
    assert!(exit == Exit::Usage && text.ends_with("flota enrolment approve waw-bot-05 --yes"), "{text}");
    let ran = controller.run(&line, Format::Table, Some(&["n"])).await;
    assert_eq!(ran.ended.unwrap_err().exit(), Exit::Bad);
    assert!(ran.talk.contains("in its TPM (STMicro), which it has proven"), "{}", ran.talk);
    assert!(controller.calls().is_empty(), "{:?}", controller.calls());
    let ran = controller.run(&line, Format::Table, Some(&["y"])).await;
    assert_eq!(ran.data, "✓ waw-bot-05 is let in\n");
    let request = json!({ "host": fleet_host("waw-bot-05").id, "reason": "" });
    assert_eq!(controller.calls(), [("Enrolments.Approve", request)]);
}

#[tokio::test]
async fn a_host_that_is_refused_is_retired() {
    let controller = controller().await;
    let line = ["enrolment", "deny", "waw-bot-05", "--reason", "nobody knows it", "--yes"];
    let ran = controller.run(&line, Format::Table, None).await;
    assert_eq!(ran.data, "– waw-bot-05 is refused, and retired\n");
    let request = json!({ "host": fleet_host("waw-bot-05").id, "reason": "nobody knows it" });
    assert_eq!(controller.calls(), [("Enrolments.Deny", request)]);
}
