//! What tests share: a fleet, rollouts in every state, golden files, and a stand-in for the controller.

use std::path::PathBuf;

use flota_model::Timestamp;
use flota_proto::v1::{self, Forecast, GroupForecast, Rollout, RolloutApproval, Target, Wave, WaveForecast};

use crate::output::Style;

pub(crate) mod controller;
mod fleet;
pub(crate) mod trust;

pub(crate) use fleet::{digest, fleet, fleet_host, host_detail};

/// A pipe.
pub(crate) const PLAIN: Style = Style { color: false, unicode: true, terminal: false };
/// A pipe in the C locale.
pub(crate) const ASCII: Style = Style { unicode: false, ..PLAIN };
/// A terminal without colours.
pub(crate) const TERMINAL: Style = Style { terminal: true, ..PLAIN };
/// A terminal.
pub(crate) const COLOR: Style = Style { color: true, ..TERMINAL };

/// The present of every test.
pub(crate) fn now() -> Timestamp {
    "2026-11-23T14:43:10Z".parse().unwrap()
}

/// Compares with the reviewed text; `UPDATE_GOLDEN=1` writes it instead, for a review of the difference.
pub(crate) fn golden(name: &str, actual: &str) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} differs from what was reviewed (UPDATE_GOLDEN=1 accepts it):\n{actual}");
}

fn target(number: usize, wave: u32, state: &str, reason: &str, owner: &str, since: &str) -> Target {
    let name = format!("fra-bot-{number:02}");
    Target {
        host_id: digest(&name)[..16].into(),
        host_name: name,
        wave,
        state: state.into(),
        version: "4.12.0".into(),
        reason: reason.into(),
        since: format!("2026-11-23T{since}Z"),
        owner: owner.into(),
    }
}

/// A rollout to three hosts in this state.
pub(crate) fn rollout(state: &str) -> Rollout {
    let (cause, target_state, started, finished) = match state {
        "draft" => ("created; not started", "pending", "", ""),
        "running" => ("wave 1 of 2 is in progress", "applying", "2026-11-23T14:16:00Z", ""),
        "awaiting_approval" => ("2 approvals are needed, given by piotr", "pending", "2026-11-23T14:16:00Z", ""),
        "inconclusive" => ("nobody knows whether 2 updated hosts are well", "unknown", "2026-11-23T14:16:00Z", ""),
        "superseded" => ("superseded by R-4", "skipped", "2026-11-23T14:16:00Z", "2026-11-23T14:30:00Z"),
        "expired" => (
            "the deadline was 2026-11-23T14:29Z; 2 hosts were not started",
            "skipped",
            "2026-11-23T14:16:00Z",
            "2026-11-23T14:30:00Z",
        ),
        "paused" => ("paused by anna: looking at latency", "pending", "2026-11-23T14:16:00Z", ""),
        "aborting" => {
            ("aborted by anna; hosts past the point of no return finish", "withdrawing", "2026-11-23T14:16:00Z", "")
        }
        "aborted" => ("aborted by anna", "skipped", "2026-11-23T14:16:00Z", "2026-11-23T14:30:00Z"),
        "succeeded" => ("every host runs its release", "committed", "2026-11-23T14:16:00Z", "2026-11-23T14:30:00Z"),
        _ => ("done, with 1 failure that was accepted", "rolled_back", "2026-11-23T14:16:00Z", "2026-11-23T14:30:00Z"),
    };
    let is_draft = matches!(state, "draft" | "awaiting_approval");
    let canary = if is_draft { "pending" } else { "committed" };
    let third = if target_state == "rolled_back" { "committed" } else { target_state };
    let done = |states: &[&str]| states.iter().map(|state| u32::from(*state == "committed")).sum();
    let failed = u32::from(target_state == "rolled_back");
    let [first_wave, second_wave] = match (is_draft, finished.is_empty()) {
        (true, _) => ["waiting", "waiting"],
        (false, true) => ["passed", "open"],
        (false, false) => ["passed", "passed"],
    };
    Rollout {
        id: "R-3".into(),
        state: state.into(),
        cause: cause.into(),
        release: digest("4.12.0"),
        version: "4.12.0".into(),
        selector: "env=lab".into(),
        created_by: "anna".into(),
        created_at: "2026-11-23T14:15:00Z".into(),
        started_at: started.into(),
        finished_at: finished.into(),
        wave: u32::from(!is_draft),
        waves: vec![
            Wave { name: "canary".into(), state: first_wave.into(), hosts: 1, done: done(&[canary]), failed: 0 },
            Wave {
                name: "wave 1".into(),
                state: second_wave.into(),
                hosts: 2,
                done: done(&[target_state, third]),
                failed,
            },
        ],
        targets: vec![
            target(1, 0, canary, "its part is done", "nobody", "14:20:00"),
            target(2, 1, target_state, "the reason that was given", "host", "14:25:00"),
            target(3, 1, third, "the reason that was given", "host", "14:26:00"),
        ],
        ticket: "OPS-912".into(),
        failed,
        max_failures: 1,
        plan: digest("plan"),
        spec: digest("spec"),
        revision: 4,
        approvals_needed: if state == "awaiting_approval" { 2 } else { 0 },
        approvals: if state == "awaiting_approval" { vec![approval("piotr")] } else { Vec::new() },
        unknown: if state == "inconclusive" { 2 } else { 0 },
        superseded_by: if state == "superseded" { "R-4".into() } else { String::new() },
        ..Rollout::default()
    }
}

fn approval(by: &str) -> RolloutApproval {
    RolloutApproval { by: by.into(), at: "2026-11-23T14:15:30Z".into(), reason: "looked at it".into() }
}

/// How a rollout with everything in it would go.
pub(crate) fn forecast() -> Forecast {
    let wave = |name: &str, hosts: u32, [begins, ends]: [&str; 2], changed_when_it_halts: u32| WaveForecast {
        name: name.into(),
        hosts,
        begins: format!("2026-11-23T{begins}Z"),
        ends: format!("2026-11-23T{ends}Z"),
        changed_when_it_halts,
    };
    let rollout = Rollout {
        gates: vec!["98 % of a wave must succeed".into(), "health check after the quote".into()],
        windows: vec!["Mon-Fri 14:00-16:00 Europe/Warsaw".into()],
        markets: vec!["xnys=closed".into()],
        deadline: "2026-11-24T14:00:00Z".into(),
        pause_after: "canary".into(),
        on_halt: "rollback".into(),
        late_joiners: true,
        emergency: true,
        reason: "CVE-2026-1".into(),
        approvals_needed: 2,
        approvals: vec![approval("piotr")],
        ..rollout("draft")
    };
    Forecast {
        rollout: Some(rollout),
        waves: vec![wave("canary", 1, ["14:43:10", "14:48:10"], 1), wave("wave 1", 2, ["15:18:10", "15:28:10"], 2)],
        ends: "2026-11-23T15:28:10Z".into(),
        most_at_once: 1,
        groups: vec![GroupForecast { name: "venue=binance".into(), hosts: 3, most_at_once: 1, limit: 1 }],
        host_seconds: 300,
        host_seconds_from: "median of the canaries of R-2".into(),
        warnings: vec![
            "release 4.12.0 is valid until 2026-11-23T15:00:00Z (role targets), and it may run longer".into(),
        ],
        now: "2026-11-23T14:43:10Z".into(),
        ..Forecast::default()
    }
}

/// Under way.
pub(crate) fn running() -> Rollout {
    rollout("running")
}

/// Screen 3 of the reference: 42 hosts, stopped by two failures.
pub(crate) fn halted() -> Rollout {
    let mut targets = vec![
        target(7, 1, "rolled_back", "private_api: 401 from api.binance.com", "operator", "14:31:07"),
        target(9, 1, "rolled_back", "private_api: 401 from api.binance.com", "operator", "14:31:40"),
        target(4, 1, "deferred", "1 of 1 binance slots in use, by fra-bot-03", "host", "14:29:18"),
        target(12, 1, "deferred", "offline since 14:02 UTC", "host", "14:02:00"),
        target(3, 1, "confirming", "a quote must confirm it", "host", "14:37:00"),
        target(5, 1, "applying", "switching", "host", "14:42:00"),
    ];
    targets.extend([1, 2].map(|number| target(number, 0, "committed", "confirmed by a quote", "nobody", "14:20:00")));
    targets.extend(
        [6, 8, 10, 11, 13].map(|number| target(number, 1, "committed", "confirmed by a quote", "nobody", "14:30:00")),
    );
    targets.extend((14..43).map(|number| {
        target(
            number,
            if number < 24 { 2 } else { 3 },
            "pending",
            "wave 2 has not started: the rollout is halted",
            "operator",
            "14:31:52",
        )
    }));
    let wave = |name: &str, state: &str, [hosts, done, failed]: [u32; 3]| Wave {
        name: name.into(),
        state: state.into(),
        hosts,
        done,
        failed,
    };
    Rollout {
        id: "R-214".into(),
        state: "halted".into(),
        cause: "2 failures reached the limit of 2 in wave 1. Nothing new starts; 2 hosts already switching will finish"
            .into(),
        selector: "env=prod".into(),
        wave: 1,
        waves: vec![
            wave("canary", "passed", [2, 2, 0]),
            wave("wave 1", "open", [11, 5, 2]),
            wave("wave 2", "waiting", [10, 0, 0]),
            wave("wave 3", "waiting", [19, 0, 0]),
        ],
        targets,
        failed: 2,
        max_failures: 2,
        revision: 88,
        ..rollout("running")
    }
}

/// The recovery of fra-bot-07, whose rollout waits for an approval.
pub(crate) fn recovery() -> v1::Recovery {
    let step = |step: &str, state: &str, detail: &str, next: &str, proofs: &[(&str, &str)]| v1::RecoveryStep {
        step: step.into(),
        state: state.into(),
        detail: detail.into(),
        next: next.into(),
        since: "2026-11-23T14:31:07Z".into(),
        proofs: proofs
            .iter()
            .map(|(kind, name)| v1::RecoveryProof { kind: (*kind).into(), name: (*name).into() })
            .collect(),
    };
    let digest = "9f0c".repeat(16);
    v1::Recovery {
        id: 3,
        host: "fra-bot-07".into(),
        onto: "fra-bot-07".into(),
        state: "waiting".into(),
        release: digest.clone(),
        version: "4.12.0".into(),
        begun_by: "operator/ola".into(),
        begun_at: "2026-11-23T14:31:00Z".into(),
        rollout: "R-9".into(),
        steps: vec![
            step("find", "done", "the last usable export is of 13:58 UTC", "", &[("release_sha256", digest.as_str())]),
            step("restore", "done", "fra-bot-07 is there and says that it runs nothing yet", "", &[("host", "8a1f")]),
            step("apply", "waiting", "R-9 waits: 0 of 1 approvals", "flota rollout approve R-9", &[]),
            step("prove", "ahead", "", "", &[]),
            step("health", "ahead", "", "", &[]),
            step("report", "ahead", "", "", &[]),
        ],
        ..v1::Recovery::default()
    }
}
