//! Policies against a stand-in controller, over real gRPC.

use serde_json::{Value, json};
use tonic::Status;

use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};
use crate::testing::digest;
use crate::testing::trust::{document, policy_detail, policy_diff, policy_request};

/// prod with a draft or whatever the newest version is, and prod@3 active.
async fn controller(newest: &str) -> Controller {
    let policies = vec![policy_detail(4, newest), policy_detail(3, "active"), policy_detail(2, "retired")];
    Controller::start(Script { policies, diff: Some(policy_diff()), ..Script::default() }).await
}

/// The one decision that arrived.
fn decided(controller: &Controller, method: &str) -> Value {
    let calls = controller.calls();
    let mut decisions = calls.iter().filter(|(called, _)| *called == method);
    let (_, request) = decisions.next().unwrap_or_else(|| panic!("no {method} in {calls:?}"));
    assert!(decisions.next().is_none(), "{calls:?}");
    request.clone()
}

#[tokio::test]
async fn a_proposal_shows_what_it_changes_and_what_comes_next() {
    let controller = controller("draft").await;
    let line =
        ["policy", "propose", "prod", "--from", "fra-bot-01", "fra-bot-02", "--applies-to", "env=prod", "--by-events"];
    let ran = controller.run(&line, Format::Table, None).await;
    assert_eq!(ran.ended.unwrap(), Exit::Good);
    assert!(ran.data.contains("Different from prod@3, which is active"), "{}", ran.data);
    assert!(ran.data.contains("! PCR 9 has 12 different values"), "{}", ran.data);
    assert!(ran.talk.starts_with("next: flota policy approve prod@4"), "{}", ran.talk);
    let request = decided(&controller, "Policies.Propose");
    assert_eq!(request["hosts"], json!(["fra-bot-01", "fra-bot-02"]));
    assert_eq!((&request["applies_to"], &request["by_events"]), (&json!("env=prod"), &json!(true)));
    let diff = decided(&controller, "Policies.Diff");
    assert_eq!((&diff["from"], &diff["to"]), (&json!(digest("prod@3")), &json!(digest("prod@4"))));
}

#[tokio::test]
async fn what_show_prints_can_be_proposed_again() {
    let controller = controller("draft").await;
    let ran = controller.run(&["policy", "show", "prod@3"], Format::Json, None).await;
    let shown: Value = serde_json::from_str(&ran.data).unwrap();
    assert_eq!((&shown["apiVersion"], &shown["kind"]), (&json!("flota/v1"), &json!("PolicyDetail")));
    assert_eq!(
        (&shown["policy"]["version"], &shown["document"]["pcrs"]["9"]["ignore"].is_string()),
        (&json!(3), &true)
    );
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for text in [&ran.data, &document()] {
        controller.script.lock().unwrap().calls.clear();
        let path = file("policy.json", text);
        let ran = controller.run(&["policy", "propose", "prod", "--file", &path], Format::Table, None).await;
        assert_eq!(ran.ended.unwrap(), Exit::Good);
        let sent = decided(&controller, "Policies.Propose")["document_json"].clone();
        let sent: Value = serde_json::from_str(sent.as_str().unwrap()).unwrap();
        assert_eq!(sent, serde_json::from_str::<Value>(&document()).unwrap());
    }
    let large = file("large.json", &" ".repeat(3 << 20));
    for path in [file("broken.json", "{"), large, folder.path().join("nothing").to_str().unwrap().to_owned()] {
        let (exit, text) =
            controller.run(&["policy", "propose", "prod", "--file", &path], Format::Table, None).await.told();
        assert!(exit == Exit::Usage && text.contains("nothing was changed"), "{text}");
    }
}

#[tokio::test]
async fn nobody_decides_without_an_answer() {
    let controller = controller("approved").await;
    for (line, repeat) in [
        ("approve prod@4", "flota policy approve prod@4 --yes"),
        ("stage prod@4 --until 2d", "flota policy stage prod@4 --until 2026-11-25T14:43:10Z --confirm prod"),
        ("activate prod@4 --keep-previous 7d", "flota policy activate prod@4 --keep-previous 604800s --confirm prod"),
        ("retire prod@3", "flota policy retire prod@3 --confirm prod"),
        ("rollback prod --reason OPS-1", "flota policy rollback prod --confirm prod --reason OPS-1"),
        ("activate prod@4 --confirm edge", "flota policy activate prod@4 --confirm prod"),
    ] {
        let words: Vec<&str> = std::iter::once("policy").chain(line.split(' ')).collect();
        let (exit, text) = controller.run(&words, Format::Table, None).await.told();
        assert_eq!(exit, Exit::Usage, "{line}");
        assert!(text.contains("nothing was changed") && text.ends_with(repeat), "{text}");
    }
    assert!(controller.calls().is_empty(), "{:?}", controller.calls());
}

#[tokio::test]
async fn an_approval_is_of_the_document_that_was_shown() {
    let controller = controller("draft").await;
    let ran = controller.run(&["policy", "approve", "prod"], Format::Table, Some(&["n"])).await;
    assert_eq!(ran.ended.unwrap_err().exit(), Exit::Bad);
    assert!(ran.talk.contains("! it asks less than prod@3: PCR 4 may measure 1 event more"), "{}", ran.talk);
    assert!(ran.talk.trim_end().ends_with("Approve prod@4? [y/N]"), "{}", ran.talk);
    let ran = controller.run(&["policy", "approve", "prod", "--reason", "OPS-1"], Format::Table, Some(&["y"])).await;
    assert_eq!(ran.data, "◷ prod@4 is approved\n");
    assert!(ran.talk.contains("next: flota policy stage prod@4 --until 2d"), "{}", ran.talk);
    let request = decided(&controller, "Policies.Approve");
    assert_eq!((&request["policy"], &request["reason"]), (&json!(digest("prod@4")), &json!("OPS-1")));
}

#[tokio::test]
async fn a_window_takes_a_typed_name_and_says_when_it_ends() {
    let controller = controller("approved").await;
    let ran = controller.run(&["policy", "stage", "prod@4", "--until", "2d"], Format::Table, Some(&["y"])).await;
    assert_eq!(ran.ended.unwrap_err().exit(), Exit::Bad, "y is no name");
    let ran = controller.run(&["policy", "stage", "prod@4", "--until", "2d"], Format::Table, Some(&["prod"])).await;
    assert_eq!(ran.data, "◌ prod@4 is staged until 2026-11-25 14:43 UTC\n");
    assert!(ran.talk.contains("This accepts prod@4 beside prod@3 for 42 hosts (env=prod)."), "{}", ran.talk);
    let request = decided(&controller, "Policies.Stage");
    assert_eq!((&request["from"], &request["until"]), (&json!(""), &json!("2026-11-25T14:43:10Z")));
    let late = ["policy", "stage", "prod@4", "--from", "2026-11-24T08:00Z", "--until", "48h", "--confirm", "prod"];
    controller.script.lock().unwrap().calls.clear();
    assert_eq!(controller.run(&late, Format::Table, None).await.ended.unwrap(), Exit::Good);
    let request = decided(&controller, "Policies.Stage");
    assert_eq!((&request["from"], &request["until"]), (&json!("2026-11-24T08:00:00Z"), &json!("2026-11-26T08:00:00Z")));
}

#[tokio::test]
async fn an_activation_keeps_the_version_before_it_as_long_as_was_said() {
    let controller = controller("staged").await;
    let line = ["policy", "activate", "prod@4", "--keep-previous", "7d"];
    let ran = controller.run(&line, Format::Table, Some(&["prod"])).await;
    assert_eq!(ran.data, "✓ prod@4 is active\n");
    assert!(ran.talk.contains("Type prod to go on"), "{}", ran.talk);
    assert!(ran.talk.contains("next: flota attest challenge -l env=prod"), "{}", ran.talk);
    assert_eq!(decided(&controller, "Policies.Activate")["keep_previous_seconds"], json!(604_800));
}

#[tokio::test]
async fn a_draft_is_dropped_without_a_question() {
    let controller = controller("draft").await;
    let ran = controller.run(&["policy", "retire", "prod@4"], Format::Table, None).await;
    assert_eq!(ran.data, "– prod@4 is retired\n");
    assert_eq!(decided(&controller, "Policies.Retire")["after_seconds"], json!(0));
}

#[tokio::test]
async fn what_asks_less_of_hosts_waits_for_a_second_person_who_is_shown_what_it_means() {
    let controller = controller("staged").await;
    let ran = controller.run(&["policy", "retire", "prod@3", "--confirm", "prod"], Format::Table, None).await;
    assert_eq!(ran.data, "✓ prod@3 is active; its retirement is asked for by operator/anna\n");
    let next =
        "next: flota policy approve prod@3     by somebody else than operator/anna, until 2026-11-24 14:43:10 UTC";
    assert!(ran.talk.contains(next), "{}", ran.talk);

    for policy in &mut controller.script.lock().unwrap().policies {
        policy.policy.as_mut().unwrap().request = Some(policy_request("retire"));
    }
    let ran = controller.run(&["policy", "approve", "prod@3"], Format::Table, Some(&["n"])).await;
    assert!(ran.talk.contains("operator/anna asks for the retirement: OPS-7"), "{}", ran.talk);
    assert!(ran.talk.contains("nothing takes its place"), "{}", ran.talk);
    assert!(ran.talk.contains("Agree to the retirement of prod@3? [y/N]"), "{}", ran.talk);
    controller.run(&["policy", "approve", "prod@3", "--yes"], Format::Table, None).await;
    assert_eq!(decided(&controller, "Policies.Approve")["asked_at"], json!("2026-11-23T14:43:10Z"));
}

#[tokio::test]
async fn a_rollback_is_of_a_name() {
    let controller = controller("staged").await;
    let ran = controller.run(&["policy", "rollback", "prod@3", "--confirm", "prod"], Format::Name, None).await;
    assert_eq!(ran.data, digest("prod@2") + "\n");
    assert!(ran.talk.contains("prod@3, which 39 hosts meet now, is not accepted any more"), "{}", ran.talk);
    assert_eq!(decided(&controller, "Policies.Rollback")["policy"], json!("prod"));
}

#[tokio::test]
async fn a_refusal_of_the_controller_keeps_its_code() {
    let mut status = Status::failed_precondition("operator/anna wrote prod@4: somebody else must approve it");
    status.metadata_mut().insert(flota_proto::CODE_HEADER, "FLT-0412".parse().unwrap());
    let controller = controller("draft").await;
    controller.script.lock().unwrap().refusals.push(("Policies.Approve", status));
    let (exit, text) = controller.run(&["policy", "approve", "prod", "--yes"], Format::Table, None).await.told();
    assert_eq!(exit, Exit::Conflict);
    assert!(
        text.starts_with("error[FLT-0412]: operator/anna wrote prod@4") && text.contains("nothing was changed"),
        "{text}"
    );
    let (exit, text) = controller.run(&["policy", "show", "nothing"], Format::Table, None).await.told();
    assert!(exit == Exit::NotFound && text.contains("there is no policy `nothing`"), "{text}");
}

#[tokio::test]
async fn looking_asks_every_host_by_omission_and_deciding_does_not() {
    let controller = controller("draft").await;
    let ran = controller.run(&["policy", "observe"], Format::Table, None).await;
    assert_eq!(ran.ended.unwrap(), Exit::Good);
    assert!(ran.talk.contains("next: flota policy propose NAME --all"), "{}", ran.talk);
    assert_eq!(decided(&controller, "Policies.Observe")["all_hosts"], json!(true));
    let ran = controller.run(&["policy", "observe", "fra-bot-01"], Format::Tsv, None).await;
    assert!(ran.data.starts_with("pcr\tdigest\thost_count\t") && ran.data.lines().count() == 6, "{}", ran.data);
    let (exit, _) = controller.run(&["policy", "propose", "prod", "-l", ""], Format::Table, None).await.told();
    assert_eq!(exit, Exit::Usage);
}

#[tokio::test]
async fn machines_get_every_policy_verb_as_a_document() {
    let controller = controller("staged").await;
    for (line, kind) in [
        ("list", "PolicyList"),
        ("observe", "ObservedValueList"),
        ("diff prod@4", "PolicyDiff"),
        ("explain fra-bot-13", "PolicyExplanation"),
        ("activate prod@4 --confirm prod", "Policy"),
        ("propose prod --all", "PolicyDetail"),
    ] {
        let words: Vec<&str> = std::iter::once("policy").chain(line.split(' ')).collect();
        let ran = controller.run(&words, Format::Json, None).await;
        assert_eq!(ran.ended.unwrap(), Exit::Good, "{line}");
        let document: Value = serde_json::from_str(&ran.data).unwrap();
        assert_eq!((&document["apiVersion"], &document["kind"]), (&json!("flota/v1"), &json!(kind)), "{line}");
    }
}
