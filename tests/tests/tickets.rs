//! Rollouts that name a ticket are noted in it: in Jira, on GitHub, at an address of one's own. The services are stand-ins on
//! loopback which answer as those do; what they are asked is checked as those would.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::time::Duration;

use flota_sim::Population;
use flota_sim::soft_tpm::AkKind;
use flota_tests::web::WebRequest;
use flota_tests::{Network, SimulatedFleet, SimulatedHost, WebService, wait};

const HOSTS: u16 = 3;
const BOUND: Duration = Duration::from_mins(1);

/// Hosts with a release to come, and these settings.
async fn fleet(dir: &Path, settings: &str) -> SimulatedFleet {
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir, &population, Network::loopback()).unwrap();
    fleet.join((0..HOSTS).map(SimulatedHost::numbered).collect(), population.tpms()).await.unwrap();
    fleet.publish(&["9.0.0"]).unwrap();
    std::fs::write(fleet.controller.dir().join("secret"), "s3cr3t\n").unwrap();
    fleet.controller.configure(settings).unwrap();
    fleet
}

async fn updated(fleet: &SimulatedFleet, ticket: &str) {
    let id = fleet.create("9.0.0", &["--all", "--ticket", ticket]).unwrap();
    fleet.begin(&id).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();
}

/// What the checklist says of the ticket, when it says this.
async fn ticket_item(fleet: &SimulatedFleet, status: &str) -> String {
    wait::until_async(&format!("the ticket to be {status}"), BOUND, || {
        let answer = fleet.admin.run(&["checklist", "show", "sim-000", "-o", "json"])?;
        let document: serde_json::Value = serde_json::from_str(&answer.stdout)?;
        let items = document["items"][0]["items"].as_array().cloned().unwrap_or_default();
        let ticket = items.into_iter().find(|item| item["id"] == "ticket" && item["status"] == status);
        Ok(ticket.map(|item| item["evidence"].as_str().unwrap_or_default().to_owned()))
    })
    .await
    .unwrap()
}

fn header<'a>(request: &'a WebRequest, name: &str) -> &'a str {
    request.headers.get(name).map_or("", String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn jira_gets_a_comment_when_a_rollout_starts_and_when_it_ends() {
    let mut comments = 10_041;
    let jira = WebService::start(move |_| {
        comments += 1;
        (201, format!("{{\"id\":\"{comments}\",\"self\":\"x\"}}"))
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = format!(
        "[tickets]\nsystem = \"jira\"\nurl = \"http://127.0.0.1:{}/\"\nuser = \"flota@example.com\"\ntoken_file = \"secret\"",
        jira.port
    );
    let fleet = fleet(dir.path(), &settings).await;
    updated(&fleet, "OPS-912").await;
    let (started, ended) = (jira.next(BOUND).unwrap(), jira.next(BOUND).unwrap());
    for request in [&started, &ended] {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/rest/api/2/issue/OPS-912/comment"));
        // RFC 7617: base64 of `flota@example.com:s3cr3t`.
        assert_eq!(header(request, "authorization"), "Basic ZmxvdGFAZXhhbXBsZS5jb206czNjcjN0");
        assert_eq!(header(request, "content-type"), "application/json");
    }
    let text = |request: &WebRequest| request.json().unwrap()["body"].as_str().unwrap().to_owned();
    assert!(text(&started).contains("R-1: 9.0.0") && text(&started).contains("was started"), "{}", text(&started));
    assert!(text(&ended).contains("succeeded") && text(&ended).contains("3 updated, 0 failed"), "{}", text(&ended));
    let evidence = ticket_item(&fleet, "done").await;
    assert_eq!(evidence, "OPS-912 of R-1: that it ended is noted, comment 10043");
    assert_eq!(jira.so_far(), [], "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn github_gets_a_comment_on_the_issue() {
    let address = "https://github.com/acme/ops/issues/7#issuecomment-1";
    let github = WebService::start(move |_| (201, format!("{{\"html_url\":\"{address}\"}}"))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = format!(
        "[tickets]\nsystem = \"github\"\nurl = \"http://127.0.0.1:{}\"\nrepository = \"acme/ops\"\ntoken_file = \"secret\"",
        github.port
    );
    let fleet = fleet(dir.path(), &settings).await;
    updated(&fleet, "#7").await;
    let request = github.next(BOUND).unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/repos/acme/ops/issues/7/comments"));
    assert_eq!(header(&request, "authorization"), "Bearer s3cr3t");
    assert!(
        header(&request, "user-agent").starts_with("flota-controller/"),
        "GitHub refuses who does not say who it is"
    );
    assert!(request.json().unwrap()["body"].as_str().unwrap().contains("R-1: 9.0.0"));
    assert!(ticket_item(&fleet, "done").await.ends_with(address));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_ones_own_is_asked_until_it_takes_the_note_and_what_is_no_ticket_is_said() {
    let mut asked = 0;
    let own = WebService::start(move |_| {
        asked += 1;
        if asked == 1 { (503, String::new()) } else { (200, "{\"reference\":\"CHG0001\"}".into()) }
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = format!(
        "[tickets]\nsystem = \"webhook\"\nurl = \"http://127.0.0.1:{}/notes\"\nkey_file = \"secret\"",
        own.port
    );
    let mut fleet = fleet(dir.path(), &settings).await;
    updated(&fleet, "CHG 1").await;
    for _ in 0..2 {
        let request = own.next(BOUND).unwrap();
        assert!(request.path == "/notes" && request.is_signed_with(b"s3cr3t"), "{request:?}");
        let note = request.json().unwrap();
        assert_eq!((&note["ticket"], &note["rollout"]), (&"CHG 1".into(), &"R-1".into()), "{note:#}");
    }
    assert!(ticket_item(&fleet, "done").await.ends_with("CHG0001"));

    // The same under Jira, which has no such issues.
    let jira = settings_of_jira(own.port);
    let path = fleet.controller.dir().join("controller.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace(&settings, "");
    std::fs::write(&path, text).unwrap();
    fleet.controller.configure(&jira).unwrap();
    let id = fleet.create("9.0.0", &["--all", "--ticket", "CHG 2"]).unwrap();
    fleet.begin(&id).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();
    let evidence = wait::until_async("the note to fail", BOUND, || {
        let logged = fleet.admin.items(&["audit", "list", "--action", "ticket.note"])?;
        Ok(logged.into_iter().find(|entry| entry["outcome"] == "failed"))
    });
    let failed = evidence.await.unwrap();
    assert!(failed["details_json"].as_str().unwrap().contains("`CHG 2` is no Jira issue"), "{failed:#}");
}

fn settings_of_jira(port: u16) -> String {
    format!("[tickets]\nsystem = \"jira\"\nurl = \"http://127.0.0.1:{port}\"\ntoken_file = \"secret\"")
}
