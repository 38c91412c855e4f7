//! Exports are checked with the host's key when they arrive, where the fleet's owner gave the controller the keys.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use flota_tests::{Bins, Fleet, FleetOptions};
use serde_json::Value;

const HOST: &str = "fra-bot-01";
/// The key in `secrets/audit.key` of the hosts of these tests.
const KEY: &str = "hex:1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";

fn exported(fleet: &Fleet) -> Value {
    fleet.admin.ok(&["export", "run", HOST]).unwrap();
    fleet.admin.items(&["export", "list"]).unwrap().remove(0)
}

fn keys(fleet: &Fleet, name: &str, key: &str) {
    let text = serde_json::json!({ "keys": { name: key } }).to_string();
    std::fs::write(fleet.controller.dir().join("export-keys.json"), text).unwrap();
}

#[test]
fn an_export_is_what_its_host_signed_or_the_security_role_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = FleetOptions { hosts: 1, ..FleetOptions::default() };
    let mut fleet = Fleet::start(&Bins::beside_this_program().unwrap(), dir.path(), options).unwrap();
    assert_eq!(exported(&fleet)["signature"], "not_checked", "the controller was given no key");
    fleet.controller.configure("export_keys_file = \"export-keys.json\"").unwrap();
    fleet.wait_until_trusted(1).unwrap();

    // A check that cannot be made is not one that passed; and it keeps nobody from exporting.
    assert_eq!(exported(&fleet)["signature"], "unknown_key");
    let open = fleet.admin.items(&["escalation", "list"]).unwrap().remove(0);
    assert!(open["summary"].as_str().unwrap().contains("export_keys_file"), "{open:#}");
    let id = open["id"].as_str().unwrap();
    fleet.admin.ok(&["escalation", "resolve", id, "--resolution", "the file was not there"]).unwrap();

    keys(&fleet, HOST, KEY);
    let valid = exported(&fleet);
    assert_eq!(valid["signature"], "valid", "{valid:#}");
    assert!(fleet.admin.items(&["escalation", "list"]).unwrap().is_empty());
    keys(&fleet, HOST, "hex:00000000000000000000000000000000");
    assert_eq!(exported(&fleet)["signature"], "mismatch");
    keys(&fleet, "another-host", KEY);
    assert_eq!(exported(&fleet)["signature"], "unknown_key");
    let open = fleet.admin.items(&["escalation", "list"]).unwrap();
    assert_eq!(open.len(), 1, "one is open: {open:#?}");
    assert_eq!(open[0]["kind"], "export_signature");
    let shown = fleet.admin.run(&["checklist", "show", HOST, "-o", "json"]).unwrap().stdout;
    assert!(shown.contains("signature unknown key"), "{shown}");
    let listed = fleet.admin.ok(&["export", "list"]).unwrap().stdout;
    assert!(listed.contains("✗ mismatch") && listed.contains("✓ valid"), "{listed}");
    for secret in [KEY, &KEY[4..]] {
        let log = std::fs::read_to_string(fleet.controller.dir().join("controller.log")).unwrap_or_default();
        assert!(!log.contains(secret), "keys are in no log");
    }
}
