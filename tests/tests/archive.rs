//! The archive of security exports: made by schedule, searched, held, and missed.

use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, ShiftedClock, wait};
use serde_json::Value;

/// The schedule is looked at once a minute.
const BOUND: Duration = Duration::from_secs(100);

#[test]
fn hosts_export_by_schedule_and_entries_are_found_held_and_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::start(&Bins::beside_this_program().unwrap(), dir.path(), FleetOptions::default()).unwrap();
    let host = fleet.hosts[0].name.clone();
    assert!(fleet.admin.items(&["export", "list"]).unwrap().is_empty(), "nobody has asked for one yet");
    fleet.controller.configure("export_every_hours = 24\nexport_keep_days = 1").unwrap();
    let exports = wait::until("an export by schedule", BOUND, || {
        let exports = fleet.admin.items(&["export", "list"])?;
        Ok((!exports.is_empty()).then_some(exports))
    });
    let exports = exports.unwrap();
    assert_eq!((&exports[0]["host_name"], &exports[0]["reason"]), (&Value::from(host.as_str()), &"by schedule".into()));

    // What the bot wrote into its audit log is found by its words.
    let bundle = dir.path().join("bundle.json");
    fleet.admin.ok(&["export", "get", "--host", &host, "--latest", "--file", bundle.to_str().unwrap()]).unwrap();
    let bundle: Value = serde_json::from_slice(&std::fs::read(&bundle).unwrap()).unwrap();
    let entry = &bundle["bundle"]["audit"]["entries"][0];
    let word = entry.as_object().unwrap().values().find_map(Value::as_str).unwrap();
    let word = word.split_whitespace().next().unwrap().to_uppercase();
    let found = fleet.admin.items(&["export", "search", &word]).unwrap();
    assert!(found.iter().any(|hit| hit["entry"] == *entry && hit["host_name"] == host.as_str()), "{found:#?}");
    let nothing = fleet.admin.run(&["export", "search", "no such word anywhere"]).unwrap();
    assert!(nothing.code == 1 && nothing.stderr.contains("0 found in 1 export"), "{}", nothing.stderr);
    let elsewhere = fleet.admin.run(&["export", "search", &word, "-l", "venue=kraken"]).unwrap();
    assert_eq!(elsewhere.code, 1);
    let log = fleet.admin.items(&["audit", "list", "--action", "export.search"]).unwrap();
    assert_eq!(log.len(), 3, "whoever looks is seen");

    // The checklist follows from what is there, and a third party can check it.
    let shown = fleet.admin.run(&["checklist", "show", &host, "-o", "json"]).unwrap();
    assert_eq!(shown.code, 1, "no rollout has updated it: {}", shown.stdout);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let status = |id: &str| {
        let items = shown["items"][0]["items"].as_array().unwrap();
        items.iter().find(|item| item["id"] == id).unwrap()["status"].clone()
    };
    assert_eq!(
        (status("security_export"), status("tpm_evidence"), status("ticket")),
        ("done".into(), "done".into(), "missing".into())
    );
    let (file, key) = (dir.path().join("checklist.json"), fleet.controller.dir().join("audit-key.pub"));
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    fleet.admin.run(&["checklist", "sign", "--all", "--to", file]).unwrap();
    let checked = fleet.admin.run(&["checklist", "verify", file, "--key", key]).unwrap();
    assert!(
        checked.stdout.contains("export archived") && checked.stderr.contains("0 of 1 host has all six items"),
        "{checked:?}"
    );
    let forged = std::fs::read_to_string(file).unwrap().replace("missing", "done");
    std::fs::write(file, forged).unwrap();
    let refused = fleet.admin.run(&["checklist", "verify", file, "--key", key]).unwrap();
    assert!(refused.code == 1 && refused.stderr.contains("it was changed after it was signed"), "{}", refused.stderr);

    // A second one, and then days pass: the older one would go, but for the hold.
    fleet.admin.ok(&["export", "run", &host]).unwrap();
    let command = ["export", "hold", "-l", "venue=binance", "--reason", "case 7"];
    let held = fleet.admin.ok(&command).unwrap().stdout;
    assert!(held.contains("hold 1 holds for exports of venue=binance (1 now): case 7"), "{held}");
    fleet.hosts[0].kill_agent().unwrap();
    let clock = ShiftedClock::new(dir.path()).unwrap();
    // It starts with a clock that is right: its own certificate begins then.
    fleet.controller.restart_with_clock(&clock).unwrap();
    clock.set_ahead(Duration::from_hours(31)).unwrap();
    let missing = wait::until("somebody to be told", BOUND, || {
        let open = fleet.admin.items(&["escalation", "list"])?;
        Ok(open.into_iter().find(|one| one["kind"] == "export_missing"))
    });
    let log = || std::fs::read_to_string(fleet.controller.dir().join("controller.log")).unwrap_or_default();
    let missing = missing.unwrap_or_else(|error| panic!("{error}: {}", log()));
    let summary = missing["summary"].as_str().unwrap();
    assert!(summary.starts_with(&format!("{host} has made no security export for 3")), "{summary}");
    assert_eq!(fleet.admin.items(&["export", "list"]).unwrap().len(), 2);
    let listed = fleet.admin.ok(&["export", "holds"]).unwrap().stdout;
    assert!(listed.contains("venue=binance") && listed.contains("case 7"), "{listed}");
    fleet.admin.ok(&["export", "release", "1", "--yes"]).unwrap();
    assert!(fleet.admin.run(&["export", "holds"]).unwrap().stderr.contains("nothing is held"));
}
