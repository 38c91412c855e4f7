//! Rollouts over a host with a supervisor, and what becomes of them when one of the two processes dies.

use std::path::Path;

use flota_tests::{Fleet, wait};
use serde_json::Value;

use crate::{BOUND, own_user, supervised};

/// A connected and trusted host with a supervisor.
fn connected(dir: &Path) -> Fleet {
    let mut fleet = supervised(dir);
    fleet.enroll_all().unwrap();
    fleet.start_agents().unwrap();
    fleet.wait_until_trusted(1).unwrap();
    fleet
}

fn start(fleet: &Fleet, version: &str, behaviour: &str) -> String {
    fleet.publish(&fleet.packages.bot(version, behaviour, 100_000).unwrap()).unwrap();
    let created = fleet.admin.json(&["rollout", "create", "--release", version, "--all"]).unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    fleet.admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();
    id
}

fn wait_for_state(fleet: &Fleet, id: &str, state: &str) {
    let look = || {
        let answer = fleet.admin.run(&["rollout", "status", id, "-o", "json"]).unwrap();
        serde_json::from_str::<Value>(&answer.stdout).unwrap_or_default()
    };
    wait::until(state, BOUND, || Ok((look()["state"] == state).then_some(()))).unwrap_or_else(|error| {
        let host = &fleet.hosts[0];
        panic!("{error}: {:#}\n{}\n{}", look(), host.log(), host.supervisor_log())
    });
}

#[test]
fn a_rollout_comes_through_a_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = connected(dir.path());
    let id = start(&fleet, "4.12.1", "healthy");
    wait_for_state(&fleet, &id, "succeeded");
    let host = &fleet.hosts[0];
    assert_eq!(host.bot_version().unwrap(), "4.12.1");
    assert_eq!(fleet.admin.items(&["export", "list", "--limit", "0"]).unwrap().len(), 1);
    let listed = fleet.listed(&host.name).unwrap();
    assert_eq!((&listed["trust"], &listed["version"]), (&"trusted".into(), &"4.12.1".into()), "{listed:#}");
    // What the agent brought is gone, and the journal is where the agent has no business.
    assert!(!host.root().join("var/flota/agent/downloads").exists());
    assert!(host.root().join("var/flota/supervisor/update.lock").exists());
    assert!(!host.root().join("var/flota/agent/update.lock").exists());
    let checklist = std::fs::read_to_string(host.root().join("var/flota/procedures.json")).unwrap();
    assert!(checklist.contains("R-1"), "the agent keeps the end of the update for the checklist: {checklist}");
}

#[test]
fn either_process_may_die_in_the_middle_of_an_update() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = connected(dir.path());
    let first = fleet.first_release.digest.clone();
    fleet.hosts[0].set_busy(true).unwrap();
    let id = start(&fleet, "4.12.1", "healthy");
    crate::wait_for_status(&fleet.hosts[0], "quiesc");
    fleet.hosts[0].kill_agent().unwrap();
    fleet.hosts[0].kill_supervisor().unwrap();
    fleet.hosts[0].start_agent().unwrap();
    wait::until("the agent to look for its supervisor", BOUND, || {
        Ok(fleet.hosts[0].log().contains("no supervisor; nothing is updated").then_some(()))
    })
    .unwrap();
    fleet.hosts[0].start_supervisor().unwrap();
    fleet.hosts[0].set_busy(false).unwrap();
    wait::until("the switch", BOUND, || Ok((fleet.hosts[0].current()? != first).then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}", fleet.hosts[0].supervisor_log()));
    fleet.hosts[0].kill_supervisor().unwrap();
    fleet.hosts[0].start_supervisor().unwrap();
    wait_for_state(&fleet, &id, "succeeded");
    assert_eq!(fleet.hosts[0].bot_version().unwrap(), "4.12.1");
}

#[test]
fn a_sick_release_goes_back_through_a_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = connected(dir.path());
    let id = start(&fleet, "4.12.0", "sick");
    wait_for_state(&fleet, &id, "halted");
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest);
    assert_eq!(fleet.hosts[0].bot_health().unwrap().0, 0);
}

#[test]
fn a_supervisor_says_why_it_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = supervised(dir.path());
    let host = &mut fleet.hosts[0];
    // Another one, while one runs.
    let again = host.supervisor_refusal().unwrap();
    assert!(again.contains("another agent uses"), "{again}");
    host.kill_supervisor().unwrap();
    let config = host.root().with_file_name("agent.toml");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&config, open).unwrap();
    let refused = host.supervisor_refusal().unwrap();
    assert!(refused.contains("others can write it"), "{refused}");
    let shut = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&config, shut).unwrap();
    let user = format!("agent_user = \"{}\"", own_user());
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&user, "agent_user = \"nobody-of-that-name\"")).unwrap();
    let refused = host.supervisor_refusal().unwrap();
    assert!(refused.contains("nobody-of-that-name") && refused.contains("make it"), "{refused}");
}
