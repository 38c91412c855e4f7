//! Alerts, from the checks of hosts to those who are told: a webhook that is not always there, and a real Alertmanager.

#![expect(clippy::unwrap_used, reason = "a failure is reported by its panic")]
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use flota_sim::Population;
use flota_sim::agent::{Script, SimulatedExchange};
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Network, Process, SimulatedFleet, SimulatedHost, WebService, wait};
use serde_json::Value;

const HOSTS: u16 = 6;
/// Looks are a second apart; this is for a machine that compiles beside it.
const BOUND: Duration = Duration::from_mins(1);
/// Rules that need no patience, and times that fit into a test.
const SETTINGS: &str = "[alerts]\nlook_seconds = 1\nwait_seconds = 1\npause_seconds = 1\nsettle_seconds = 2\n\
    [alerts.rules.FlotaExchangeUnavailable]\nafter_minutes = 0\n[alerts.rules.FlotaHostUnhealthy]\nafter_minutes = 0\n";

/// Hosts that trade at kraken, and one more that trades elsewhere.
async fn trading(dir: &Path, settings: &str) -> (SimulatedFleet, Arc<SimulatedExchange>) {
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir, &population, Network::loopback()).unwrap();
    let (kraken, other) = (Arc::new(SimulatedExchange::new("kraken")), Arc::new(SimulatedExchange::new("binance")));
    let host = |index: u16| SimulatedHost {
        labels: vec![("venue", if index == 0 { "binance".into() } else { "kraken".into() })],
        script: Script { exchanges: vec![Arc::clone(if index == 0 { &other } else { &kraken })], ..Script::default() },
        ..SimulatedHost::numbered(index)
    };
    fleet.join((0..HOSTS).map(host).collect(), population.tpms()).await.unwrap();
    fleet.controller.configure(&format!("{SETTINGS}{settings}")).unwrap();
    wait::until_async("every host to be back", BOUND, || {
        let listed = fleet.admin.items(&["host", "list"])?;
        Ok(listed.iter().all(|host| host["liveness"] == "connected").then_some(()))
    })
    .await
    .unwrap();
    (fleet, kraken)
}

fn checked(fleet: &SimulatedFleet) -> i32 {
    fleet.admin.run(&["health", "run", "--all"]).unwrap().code
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_down_is_told_once_signed_until_it_is_taken_and_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let refusing = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&refusing);
    let webhook =
        WebService::start(move |_| (if refuses.load(Ordering::Relaxed) { 503 } else { 200 }, String::new())).unwrap();
    let receiver = format!(
        "[alerts.receivers.oncall]\nurl = \"http://127.0.0.1:{}/flota\"\nkey_file = \"oncall.key\"\n",
        webhook.port
    );
    std::fs::create_dir_all(dir.path().join("controller")).unwrap();
    let (fleet, kraken) = trading(dir.path(), &receiver).await;
    std::fs::write(dir.path().join("controller/oncall.key"), "a secret of the receiver").unwrap();
    assert_eq!(checked(&fleet), 0);
    kraken.set_down(true);
    assert_eq!(checked(&fleet), 1);

    // It is there and does not take it; what it is told stays the same.
    let first = webhook.next(BOUND).unwrap();
    let failing = wait::until_async("the failure to be shown", BOUND, || {
        let answer = fleet.admin.run(&["alert", "list"])?;
        Ok(answer.stderr.contains("oncall could not be told").then_some(answer))
    });
    let failing = failing.await.unwrap();
    assert!(failing.stderr.contains("the other side answered 503"), "{}", failing.stderr);
    refusing.store(false, Ordering::Relaxed);
    let second = webhook.next(BOUND).unwrap();
    for request in [&first, &second] {
        assert!(request.is_signed_with(b"a secret of the receiver"), "{request:?}");
        let told = request.json().unwrap();
        assert_eq!((&told["status"], &told["receiver"]), (&Value::from("firing"), &Value::from("oncall")), "{told:#}");
        let alerts = told["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "five hosts are one exchange: {told:#}");
        assert_eq!(alerts[0]["labels"]["alertname"], "FlotaExchangeUnavailable");
        assert_eq!(alerts[0]["labels"]["exchange"], "kraken");
        assert_eq!(alerts[0]["annotations"]["summary"], "kraken is unavailable to 5 of 5 hosts");
        assert_eq!(alerts[0]["annotations"]["hosts"], "sim-001, sim-002, sim-003, sim-004, sim-005");
    }
    let shown = fleet.admin.items(&["alert", "list"]).unwrap();
    assert_eq!(shown.len(), 1, "{shown:#?}");
    let rows = fleet.admin.items(&["health", "show", "--by", "venue"]).unwrap();
    let counts: Vec<_> = rows.iter().map(|row| (row["value"].clone(), row["unavailable"].clone())).collect();
    assert_eq!(counts, [("kraken".into(), 5.into()), ("binance".into(), 0.into())]);

    kraken.set_down(false);
    assert_eq!(checked(&fleet), 0);
    // While it fired and nothing changed, nobody was told again.
    let over = webhook.next(BOUND).unwrap().json().unwrap();
    assert_eq!(over["status"], "resolved", "{over:#}");
    assert_eq!(over["alerts"][0]["fingerprint"], first.json().unwrap()["alerts"][0]["fingerprint"]);
    assert!(fleet.admin.items(&["alert", "list"]).unwrap().is_empty());
    let all = fleet.admin.items(&["alert", "list", "--all"]).unwrap();
    assert_eq!(all.iter().filter(|alert| alert["state"] == "ended").count(), 1, "{all:#?}");
    let logged = fleet.admin.items(&["audit", "list", "--action", "alert."]).unwrap();
    let actions: Vec<&str> = logged.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["alert.end", "alert.fire"]);
    assert_eq!(webhook.so_far(), [], "it is told of changes and of nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_in_maintenance_is_not_counted_and_afterwards_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, kraken) = trading(dir.path(), "").await;
    let words = ["silence", "create", "-l", "host=sim-001", "--until", "2h", "--reason", "its cage is moved"];
    assert_eq!(fleet.admin.json(&words).unwrap()["hosts"], 1);
    kraken.set_down(true);
    assert_eq!(checked(&fleet), 1);
    let summary = async |expected: &str| {
        wait::until_async(expected, BOUND, || {
            let alerts = fleet.admin.items(&["alert", "list"])?;
            Ok(alerts.iter().any(|alert| alert["summary"] == expected).then_some(()))
        })
        .await
        .unwrap();
    };
    summary("kraken is unavailable to 4 of 4 hosts").await;
    fleet.admin.ok(&["silence", "end", "1"]).unwrap();
    summary("kraken is unavailable to 5 of 5 hosts").await;
}

/// A view of the file system of one's own, which takes no root where the kernel lets everybody have one.
const OWN_VIEW: [&str; 3] = ["--mount", "--user", "--map-root-user"];

/// Whether this machine gives one; says so where it does not.
fn has_own_view() -> bool {
    let tried = Command::new("unshare").args(OWN_VIEW).args(["mount", "--bind", "/tmp", "/mnt"]).output();
    let given = tried.is_ok_and(|output| output.status.success());
    if !given {
        eprintln!("not run: this machine gives no namespace of mounts (unshare {})", OWN_VIEW.join(" "));
    }
    given
}

/// Debian's Alertmanager, on a port of its choice.
struct Alertmanager {
    address: String,
    _process: Process,
}

impl Alertmanager {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let target = std::env::current_exe()?;
        let target = target.ancestors().find(|folder| folder.join("debian").is_dir());
        let unpacked = target.context("no Alertmanager: cargo xtask test sets it up")?.join("debian");
        std::fs::create_dir_all(dir)?;
        let config = dir.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")?;
        // Debian's looks for its templates in a place of the system; it gets a view of the system of its own.
        let mut command = Command::new("unshare");
        command
            .args(OWN_VIEW)
            .args(["sh", "-c"])
            .arg("mount --bind \"$1/usr/share\" /usr/share && program=$1 && shift && exec \"$program/usr/bin/prometheus-alertmanager\" \"$@\"")
            .arg("sh")
            .arg(&unpacked)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        let process = Process::start("prometheus-alertmanager", &mut command, &dir.join("log"))?;
        let address = wait::until("Alertmanager to listen", BOUND, || {
            let text = process.output();
            let listening = text.lines().find(|line| line.contains("msg=\"Listening on\""));
            Ok(listening.and_then(|line| Some(line.split_once("address=")?.1.trim().to_owned())))
        })?;
        Ok(Self { address, _process: process })
    }

    fn alerts(&self) -> anyhow::Result<Vec<Value>> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
            .arg(format!("http://{}/api/v2/alerts", self.address))
            .output()?;
        // No answer is not the answer that nothing is there.
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_takes_what_it_is_told_and_that_it_is_over() {
    if !has_own_view() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::start(&dir.path().join("alertmanager")).unwrap();
    let receiver =
        format!("[alerts.receivers.am]\nurl = \"http://{}\"\nformat = \"alertmanager\"\n", alertmanager.address);
    let (fleet, kraken) = trading(dir.path(), &receiver).await;
    kraken.set_down(true);
    assert_eq!(checked(&fleet), 1);
    let known = wait::until_async("Alertmanager to know", BOUND, || {
        let alerts = alertmanager.alerts()?;
        Ok(alerts.into_iter().find(|alert| alert["labels"]["alertname"] == "FlotaExchangeUnavailable"))
    });
    let known = known.await.unwrap();
    assert_eq!(known["labels"]["severity"], "critical", "{known:#}");
    assert_eq!(known["annotations"]["runbook_url"], "docs/runbooks/FlotaExchangeUnavailable.md");
    assert_eq!(known["status"]["state"], "active");
    kraken.set_down(false);
    assert_eq!(checked(&fleet), 0);
    wait::until_async("Alertmanager to know that it is over", BOUND, || {
        Ok(alertmanager.alerts()?.is_empty().then_some(()))
    })
    .await
    .unwrap();
}
