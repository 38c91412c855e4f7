//! A controller that is lost, and made again from a backup while its fleet goes on.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use flota_sim::Population;
use flota_sim::agent::Script;
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Bins, Network, SimulatedFleet, SimulatedHost, wait};

const HOSTS: u16 = 12;
const BOUND: Duration = Duration::from_mins(1);

fn controller(arguments: &[&str]) -> Output {
    let bins = Bins::beside_this_program().unwrap();
    Command::new(bins.path("flota-controller")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn fleet(dir: &Path) -> SimulatedFleet {
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir, &population, Network::loopback()).unwrap();
    let host = |index: u16| SimulatedHost {
        script: Script { probation: Duration::from_millis(200), ..Script::default() },
        ..SimulatedHost::numbered(index)
    };
    fleet.join((0..HOSTS).map(host).collect(), population.tpms()).await.unwrap();
    fleet.publish(&["8.0.0", "9.0.0", "9.1.0"]).unwrap();
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_controller_returns_from_a_backup_and_hosts_tell_it_what_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path()).await;
    let first = fleet.create("8.0.0", &["--all"]).unwrap();
    fleet.begin(&first).unwrap();
    fleet.until_state(&first, "succeeded").await.unwrap();
    // One that runs when the backup is made, with a canary that is done.
    let open = fleet.create("9.0.0", &["--all", "--bake", "1h"]).unwrap();
    fleet.begin(&open).unwrap();
    wait::until_async("the canary to be done", BOUND, || {
        Ok((fleet.rollout(&open)?["waves"][0]["done"] == 1).then_some(()))
    })
    .await
    .unwrap();
    let (data, backup) = (fleet.controller.dir().to_owned(), dir.path().join("backup"));
    let (data, backup) = (data.to_str().unwrap(), backup.to_str().unwrap());
    let made = controller(&["backup", "run", "--data-dir", data, "--to", backup]);
    assert!(made.status.success(), "{}", said(&made));
    let again = controller(&["backup", "run", "--data-dir", data, "--to", backup]);
    assert!(said(&again).contains("is there already: nothing is written over"), "{}", said(&again));

    // What the backup does not know: the rollout was ended, and another one brought something newer.
    fleet.admin.ok(&["rollout", "abort", &open, "--yes"]).unwrap();
    fleet.until_state(&open, "aborted").await.unwrap();
    let newer = fleet.create("9.1.0", &["--all"]).unwrap();
    fleet.begin(&newer).unwrap();
    fleet.until_state(&newer, "succeeded").await.unwrap();
    fleet.controller.stop().unwrap();
    let checkpoints = dir.path().join("checkpoints.jsonl");
    std::fs::copy(fleet.controller.dir().join("audit-checkpoints.jsonl"), &checkpoints).unwrap();

    // The machine is gone, and with it everything that was on it.
    let taken = controller(&["restore", "--from", backup, "--data-dir", data]);
    assert!(said(&taken).contains("nothing is written over"), "{}", said(&taken));
    std::fs::rename(data, dir.path().join("gone")).unwrap();
    let checkpoints = checkpoints.to_str().unwrap();
    let restored = controller(&["restore", "--from", backup, "--data-dir", data, "--checkpoints", checkpoints]);
    assert!(restored.status.success(), "{}", said(&restored));
    let text = said(&restored);
    assert!(
        text.contains(&format!("Paused:    {open} ")) && text.contains("Numbers:   the next rollout is R-1003"),
        "{text}"
    );
    let lost = text.lines().find(|line| line.starts_with("Lost:")).unwrap();
    assert!(lost.contains("entries of the audit log that came after it") && !lost.contains(" 0 entries"), "{lost}");
    // The certificates of operators are with the operators.
    std::fs::rename(dir.path().join("gone/operators"), fleet.controller.dir().join("operators")).unwrap();
    fleet.controller.restart().unwrap();

    // Hosts come back by themselves, with what they know.
    wait::until_async("hosts to say what they run", BOUND, || {
        let listed = fleet.admin.items(&["host", "list", "--limit", "0"])?;
        let knows =
            |host: &&serde_json::Value| host["version"] == "9.1.0" && host["attested_release"] == host["running"];
        Ok((listed.iter().filter(knows).count() == usize::from(HOSTS)).then_some(()))
    })
    .await
    .unwrap();
    // What they accepted since is shown as what it is: nobody here asked for it.
    let ahead = |host: &serde_json::Value| host["ahead"] == true;
    assert!(fleet.admin.items(&["host", "list", "--limit", "0"]).unwrap().iter().all(ahead));
    let shown = fleet.admin.ok(&["host", "show", "sim-000"]).unwrap().stdout;
    assert!(shown.contains("which this controller never gave"), "{shown}");
    let standing = fleet.rollout(&open).unwrap();
    assert_eq!(standing["state"], "paused", "it is not taken up by itself: {}", standing["cause"]);
    assert!(fleet.versions().unwrap().iter().all(|(_, version)| version == "9.1.0"));
    fleet.admin.ok(&["rollout", "abort", &open, "--yes"]).unwrap();

    // And everything goes on: generations of the time that is lost are not given out again.
    let next = fleet.create("9.0.0", &["--all"]).unwrap();
    assert_eq!(next, "R-1003");
    fleet.begin(&next).unwrap();
    fleet.until_state(&next, "succeeded").await.unwrap();
    assert!(!fleet.admin.items(&["host", "list", "--limit", "0"]).unwrap().iter().any(ahead), "a person decided");
    fleet.admin.ok(&["audit", "verify"]).unwrap();
    let log = fleet.admin.ok(&["audit", "list", "--action", "controller.restore"]).unwrap().stdout;
    assert!(log.contains("controller.restore"), "{log}");
}

fn listing(dir: &Path) -> BTreeSet<OsString> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path()).await;
    let (data, backup) = (fleet.controller.dir().to_str().unwrap().to_owned(), dir.path().join("backup"));
    let name = backup.to_str().unwrap();
    assert!(controller(&["backup", "run", "--data-dir", &data, "--to", name]).status.success());
    let whole = controller(&["backup", "verify", name]);
    assert!(whole.status.success() && said(&whole).contains("entries of the audit log"), "{}", said(&whole));
    // Whatever it is called by: nothing of it is taken for something of ours, and nothing is left beside it.
    std::fs::create_dir(dir.path().join("backup.checking")).unwrap();
    std::fs::create_dir(dir.path().join("backup.partial")).unwrap();
    let bins = Bins::beside_this_program().unwrap();
    let before = listing(dir.path());
    for (from, name) in [(backup.as_path(), "."), (&backup.join("blobs"), ".."), (dir.path(), "backup/")] {
        let program = bins.path("flota-controller");
        let verify = Command::new(program).args(["backup", "verify", name]).current_dir(from).output().unwrap();
        assert!(verify.status.success(), "{name}: {}", said(&verify));
    }
    let program = bins.path("flota-controller");
    let relative = ["backup", "run", "--data-dir", &data, "--to", "relative"];
    let relative = Command::new(program).args(relative).current_dir(dir.path()).output().unwrap();
    assert!(relative.status.success(), "{}", said(&relative));
    std::fs::remove_dir_all(dir.path().join("relative")).unwrap();
    assert_eq!(listing(dir.path()), before);
    let mode = std::fs::metadata(backup.join("flota.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds the keys of tokens");

    let to = dir.path().join("new");
    let restore = || controller(&["restore", "--from", name, "--data-dir", to.to_str().unwrap()]);
    for file in ["flota.db", "ca-key.pem", "backup.json"] {
        let path = backup.join(file);
        let before = std::fs::read(&path).unwrap();
        let mut changed = before.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let refused = restore();
        assert!(!refused.status.success() && !to.exists(), "{file}: {}", said(&refused));
        std::fs::write(&path, &before).unwrap();
    }
    std::fs::remove_file(backup.join("ca.pem")).unwrap();
    assert!(said(&restore()).contains("`ca.pem` of the backup is missing or was changed"), "{}", said(&restore()));
}
