//! `flota-agent update`: a host that no controller reaches.

use std::time::Duration;

use flota_tests::wait;

use crate::{BOUND, sign, supervised, update, wait_for_status};

#[test]
fn a_stick_updates_a_host_without_a_network_and_takes_its_export_along() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = supervised(dir.path());
    let host = &fleet.hosts[0];
    sign(&fleet, "5.0.0", "healthy", &[]);
    let digest = sign(&fleet, "5.1.0", "healthy", &[]);
    let (desk, stick) = (fleet.controller.desk().to_string_lossy(), dir.path().join("stick"));
    let stick = stick.to_str().unwrap();
    fleet.admin.ok(&["release", "export", &desk, "5.0.0", "5.1.0", "--to", stick]).unwrap();

    let (code, said) = update(host, &["apply", stick, "--exports", &format!("{stick}/exports")]);
    assert_eq!(code, 0, "{said}\n{}", host.supervisor_log());
    assert!(said.contains("5.1.0 runs here."), "{said}");
    for phase in ["offered", "downloading", "exporting", "probation", "committed"] {
        assert!(said.lines().any(|line| line.starts_with(phase)), "{phase} is not told: {said}");
    }
    assert_eq!((host.current().unwrap(), host.bot_version().unwrap()), (digest.clone(), "5.1.0".to_owned()));
    let carried: Vec<_> = std::fs::read_dir(format!("{stick}/exports")).unwrap().collect();
    assert_eq!(carried.len(), 1, "the export that was made before it");
    // The same again changes nothing.
    let (code, said) = update(host, &["apply", stick, "--release", "5.1.0"]);
    assert_eq!((code, said.contains("runs already") || said.contains("runs here")), (0, true), "{said}");

    // Back, to what was never signed: that cannot be verified; forward and back between signed ones can.
    assert_eq!(update(host, &["apply", stick, "--release", "5.0.0"]).0, 0);
    let (code, said) = update(host, &["rollback", "--expect", &fleet.first_release.digest]);
    assert!(code == 2 && said.contains("the release before is 5.1.0"), "{code} {said}");
    let (code, said) = update(host, &["rollback", "--expect", &digest]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(host.bot_version().unwrap(), "5.1.0");
    let (_, history) = update(host, &["history"]);
    let by_hand = history.lines().filter(|line| line.contains("committed") && line.contains("by hand"));
    assert_eq!(by_hand.count(), 3, "{history}");
}

#[test]
fn what_nobody_signed_and_what_is_sick_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = supervised(dir.path());
    let host = &fleet.hosts[0];
    let sick = sign(&fleet, "5.0.0", "sick", &[]);
    let desk = fleet.controller.desk().to_str().unwrap().to_owned();
    let (code, said) = update(host, &["apply", &desk]);
    assert!(code == 1 && said.contains("4.11.3 runs here again"), "{code} {said}\n{}", host.supervisor_log());
    assert_eq!(host.bot_health().unwrap().0, 0);
    let (code, said) = update(host, &["apply", &desk]);
    assert!(code == 2 && said.contains("went back from this release before"), "{code} {said}");

    // A package that was altered on the way.
    let other = sign(&fleet, "5.1.0", "healthy", &[]);
    let package = std::fs::read_dir(fleet.controller.desk().join("targets")).unwrap().flatten();
    let package = package.map(|file| file.path()).find(|path| path.to_string_lossy().contains(&other)).unwrap();
    let mut bytes = std::fs::read(&package).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&package, bytes).unwrap();
    let apply = std::thread::scope(|scope| {
        let applying = scope.spawn(|| update(host, &["apply", &desk]));
        wait_for_status(host, "what arrived is not the package");
        let (code, said) = update(host, &["cancel"]);
        assert_eq!(code, 0, "{said}");
        applying.join().unwrap()
    });
    assert_ne!(apply.0, 0, "{}", apply.1);
    assert_eq!(host.current().unwrap(), fleet.first_release.digest);
    let (code, said) = update(host, &["cancel"]);
    assert!(code == 2 && said.contains("nothing to cancel"), "{code} {said}");
    // A folder that holds nothing, and a version that it does not hold.
    let (code, said) = update(host, &["apply", "/"]);
    assert!(code == 2 && said.contains("no signed releases"), "{said}");
    let (code, said) = update(host, &["apply", &desk, "--release", "9.9"]);
    assert!(code == 2 && said.contains("no package of 9.9") && said.contains("5.0.0"), "{said} {sick}");
}

#[test]
fn an_interrupted_command_is_taken_up_again_and_a_busy_bot_can_be_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = supervised(dir.path());
    let host = &fleet.hosts[0];
    let digest = sign(&fleet, "5.0.0", "healthy", &[]);
    let desk = fleet.controller.desk().to_str().unwrap().to_owned();
    host.set_busy(true).unwrap();
    let first = host.start_command(&["update", "apply", &desk, "--config", "../agent.toml"]).unwrap();
    wait_for_status(host, "quiesce command ended with exit status: 75");
    let (code, said) = update(host, &["rollback"]);
    assert!(code == 2 && said.contains("asked for on this host is on its way"), "{code} {said}");
    drop(first);
    assert_eq!(update(host, &["cancel"]).0, 0);
    wait::until("the bot to trade", BOUND, || Ok((host.bot_health()?.1["resting"] == false).then_some(()))).unwrap();
    assert_eq!(host.current().unwrap(), fleet.first_release.digest);

    let first = host.start_command(&["update", "apply", &desk, "--config", "../agent.toml"]).unwrap();
    wait_for_status(host, "quiesce command ended with exit status: 75");
    drop(first);
    host.set_busy(false).unwrap();
    let (code, said) = update(host, &["apply", &desk]);
    assert_eq!(code, 0, "{said}\n{}", host.supervisor_log());
    assert_eq!(host.current().unwrap(), digest);
    let (_, history) = update(host, &["history"]);
    assert_eq!(history.lines().filter(|line| line.contains("committed")).count(), 1, "one update, not two: {history}");
}

#[test]
fn without_an_updater_the_command_says_what_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = supervised(dir.path());
    sign(&fleet, "5.0.0", "healthy", &[]);
    let desk = fleet.controller.desk().to_str().unwrap().to_owned();
    fleet.hosts[0].kill_supervisor().unwrap();
    let began = std::time::Instant::now();
    let (code, said) = update(&fleet.hosts[0], &["apply", &desk]);
    assert!(code == 2 && said.contains("systemctl start flota-supervisor"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_receipt_tells_a_controller_what_was_done_without_it_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = supervised(dir.path());
    fleet.enroll_all().unwrap();
    let host = &fleet.hosts[0];
    sign(&fleet, "5.0.0", "healthy", &[]);
    let desk = fleet.controller.desk().to_str().unwrap().to_owned();
    let (code, said) = update(host, &["receipt", "../early.json"]);
    assert!(code == 1 && said.contains("no update yet"), "{said}");
    let (code, said) = update(host, &["apply", &desk, "--receipt", "../receipt.json"]);
    assert_eq!(code, 0, "{said}\n{}", host.supervisor_log());
    let file = host.root().with_file_name("receipt.json");
    let import = |file: &std::path::Path| fleet.admin.run(&["receipt", "import", file.to_str().unwrap()]).unwrap();

    let sealed: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut forged = sealed.clone();
    forged["receipt"] = sealed["receipt"].as_str().unwrap().replace("5.0.0", "6.0.0").into();
    let forgery = dir.path().join("forged.json");
    std::fs::write(&forgery, forged.to_string()).unwrap();
    let refused = import(&forgery);
    assert!(refused.code != 0 && refused.stderr.contains("changed after it was signed"), "{}", refused.stderr);
    let other_key = sealed["public_key"].as_str().unwrap().replace("0420", "0421");
    forged["public_key"] = if other_key == sealed["public_key"] { "00".into() } else { other_key.into() };
    std::fs::write(&forgery, forged.to_string()).unwrap();
    let refused = import(&forgery);
    assert!(refused.code != 0 && refused.stderr.contains("another key"), "{}", refused.stderr);

    let taken = import(&file);
    assert!(taken.code == 0 && taken.stdout.contains("5.0.0, committed; taken"), "{}{}", taken.stdout, taken.stderr);
    assert!(taken.stdout.contains("security export before it: sha256"), "{}", taken.stdout);
    let listed = fleet.listed(&host.name).unwrap();
    assert_eq!((&listed["version"], &listed["generation"]), (&"5.0.0".into(), &1.into()), "{listed:#}");
    assert_eq!(listed["trust"], "pending", "a claim, and no quote: {listed:#}");
    let shown = fleet.admin.ok(&["host", "list"]).unwrap().stdout;
    assert!(!shown.contains("waits for"), "nobody waits for anything here: {shown}");
    let again = import(&file);
    assert!(again.code == 0 && again.stdout.contains("known already"), "{}", again.stdout);
    let audit = fleet.admin.items(&["audit", "list", "--limit", "0"]).unwrap();
    assert_eq!(audit.iter().filter(|entry| entry["action"] == "host.receipt").count(), 1);
    let nonsense = import(&fleet.controller.ca_file());
    assert!(nonsense.code != 0 && nonsense.stderr.contains("this is no receipt"), "{}", nonsense.stderr);
}
