//! Attestation against a stand-in controller, over real gRPC.

use serde_json::json;

use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};
use crate::testing::fleet_host;
use crate::testing::trust::policy_detail;

async fn controller() -> Controller {
    Controller::start(Script { policies: vec![policy_detail(3, "active")], ..Script::default() }).await
}

#[tokio::test]
async fn the_status_of_hosts_is_the_exit_code() {
    let controller = controller().await;
    for (hosts, exit) in [
        (&["fra-bot-01", "fra-bot-02"][..], Exit::Good),
        (&["fra-bot-01", "fra-bot-11"], Exit::Partial),
        (&["fra-bot-01", "waw-bot-05"], Exit::Decision),
        (&["fra-bot-13", "waw-bot-05"], Exit::Bad),
        (&["fra-bot-13", "--exit-zero"], Exit::Good),
        (&["-l", "venue=nowhere"], Exit::NotFound),
        (&["fra-bot-99"], Exit::NotFound),
        (&[], Exit::Bad),
    ] {
        let words = [&["attest", "status"][..], hosts].concat();
        let (ended, text) = controller.run(&words, Format::Table, None).await.told();
        assert_eq!(ended, exit, "{hosts:?}: {text}");
    }
    let ran = controller.run(&["attest", "status", "--all"], Format::Tsv, None).await;
    assert!(ran.data.lines().all(|line| line.split('\t').count() == 11), "{}", ran.data);
    assert!(ran.talk.contains("next: flota policy explain fra-bot-13"), "{}", ran.talk);
}

#[tokio::test]
async fn a_proof_is_shown_beside_the_policy_it_was_held_to() {
    let controller = controller().await;
    let ran = controller.run(&["attest", "show", "fra-bot-01"], Format::Table, None).await;
    assert_eq!(ran.ended.unwrap(), Exit::Good);
    assert!(ran.data.contains("✓ approved"), "{}", ran.data);
    let ran = controller.run(&["attest", "show", "fra-bot-01"], Format::Json, None).await;
    let document: serde_json::Value = serde_json::from_str(&ran.data).unwrap();
    assert_eq!((&document["kind"], &document["host"]["policy"]), (&json!("HostDetail"), &json!("prod@3")));
}

#[tokio::test]
async fn a_host_is_shut_out_and_let_in_by_its_id_after_a_yes() {
    let controller = controller().await;
    let id = fleet_host("fra-bot-03").id;
    for (verb, method, words) in [
        ("quarantine", "Attestation.Quarantine", "✗ fra-bot-03 is quarantined: no session, no new work\n"),
        (
            "clear",
            "Attestation.Clear",
            "! fra-bot-03 may connect again; it is trusted after its next quote has passed\n",
        ),
    ] {
        let line = ["attest", verb, "fra-bot-03", "--reason", "seen on a forum"];
        let (exit, text) = controller.run(&line, Format::Table, None).await.told();
        let repeat = format!("flota attest {verb} fra-bot-03 --reason 'seen on a forum' --yes");
        assert!(exit == Exit::Usage && text.ends_with(&repeat), "{text}");
        let (exit, _) = controller.run(&line, Format::Table, Some(&[""])).await.told();
        assert_eq!(exit, Exit::Bad);
        assert!(controller.calls().is_empty(), "{:?}", controller.calls());
        let ran = controller.run(&line, Format::Table, Some(&["y"])).await;
        assert_eq!(ran.data, words);
        let calls = std::mem::take(&mut controller.script.lock().unwrap().calls);
        assert_eq!(calls, [(method, json!({ "host": id, "reason": "seen on a forum" }))]);
    }
}
