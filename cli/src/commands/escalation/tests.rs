//! Escalations against a stand-in controller, over real gRPC.

use serde_json::json;

use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};
use crate::testing::trust::escalations;

async fn controller() -> Controller {
    Controller::start(Script { escalations: escalations(), ..Script::default() }).await
}

#[tokio::test]
async fn what_is_resolved_is_listed_only_when_asked_for() {
    let controller = controller().await;
    let names = |all: bool| {
        let words = if all { vec!["escalation", "list", "--all"] } else { vec!["escalation", "list"] };
        let controller = &controller;
        async move { controller.run(&words, Format::Name, None).await.data.lines().count() }
    };
    assert_eq!((names(false).await, names(true).await), (2, 3));
    let ran = Controller::start(Script::default()).await.run(&["escalation", "list"], Format::Table, None).await;
    assert_eq!((ran.data.as_str(), ran.talk.as_str()), ("", "nothing is open.\n"));
}

#[tokio::test]
async fn an_escalation_is_found_by_the_beginning_of_its_id() {
    let controller = controller().await;
    let ran = controller.run(&["escalation", "show", "1526"], Format::Json, None).await;
    let document: serde_json::Value = serde_json::from_str(&ran.data).unwrap();
    assert_eq!((&document["kind"], &document["escalation_kind"]), (&json!("Escalation"), &json!("untrusted")));
    assert!(ran.talk.contains("flota escalation resolve 1526a99a-untrusted-17 --resolution TEXT"), "{}", ran.talk);
    let (exit, text) = controller.run(&["escalation", "show", "93a0"], Format::Table, None).await.told();
    assert!(exit == Exit::Usage && text.contains("93a0f1c2-oem_licence-12  fra-bot-14: OEM licence"), "{text}");
}

#[tokio::test]
async fn what_is_resolved_says_how() {
    let controller = controller().await;
    let line = ["escalation", "resolve", "1526", "--resolution", "keys revoked, OPS-914"];
    let ran = controller.run(&line, Format::Table, None).await;
    assert_eq!(ran.data, "✓ fra-bot-13: untrusted (resolved): keys revoked, OPS-914\n");
    assert_eq!(ran.talk, "1 more open\nnext: flota escalation list\n");
    let request = json!({ "id": "1526a99a-untrusted-17", "resolution": "keys revoked, OPS-914" });
    assert_eq!(controller.calls(), [("Escalations.Resolve", request)]);
    let ran = controller
        .run(&["escalation", "resolve", "93a0f1c2-oem_l", "--resolution", "new one"], Format::Table, None)
        .await;
    assert!(ran.talk.starts_with("nothing else is open."), "{}", ran.talk);
}
