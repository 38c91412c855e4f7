//! Things to put into a store. Equal arguments make equal things.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::audit::AuditEntry;
use flota_model::budget::Budget;
use flota_model::host::{Host, KeyStorage, Trust, VerdictKind};
use flota_model::market::{Market, MarketRule};
use flota_model::release::{Release, ReleaseRef};
use flota_model::rollout::{
    Gates, HealthGate, LateJoiners, OnHalt, Owner, PauseAfter, Percent, PlanId, Reason, RolloutPlan, RolloutSpec,
    RolloutState, TargetPlan, TargetSpec, TargetState, Urgency,
};
use flota_model::task::{Export, ExportSignature, Task, TaskKind, TaskState};
use flota_model::update::Direction;
use flota_model::{Digest, ExportId, HostId, HostName, Labels, RolloutId, TaskId, Timestamp, TokenId};

use crate::{
    Admits, Approval, EnrolOutcome, Enrolment, HostKeys, HostMeasurements, Lease, NewToken, Store, TokenKey,
    VerdictRecord,
};

/// So many seconds into the test.
pub fn second(number: i64) -> Timestamp {
    Timestamp::from_micros(1_795_428_000_000_000 + number * 1_000_000)
}

/// An entry of the log, at the beginning of the test.
pub fn entry(action: &str, object: &str) -> AuditEntry {
    AuditEntry {
        at: second(0),
        actor: "operator/anna".into(),
        action: action.into(),
        object: object.into(),
        outcome: "ok".into(),
        details_json: r#"{"note":"größer"}"#.into(),
    }
}

/// How many entries the log has.
pub async fn logged(store: &dyn Store) -> u64 {
    store.audit(None, None, 1).await.unwrap().first().map_or(0, |row| row.sequence)
}

/// The id of the token with this number.
pub fn token_id(number: u64) -> TokenId {
    format!("{number:012x}").parse().unwrap()
}

/// A token made at second 0 that can be used until second 100.
pub fn token(number: u64, host_name: Option<&str>) -> NewToken {
    let labels = BTreeMap::from([("venue".to_owned(), "binance".to_owned())]);
    NewToken {
        id: token_id(number),
        key: TokenKey([u8::try_from(number).unwrap(); 32]),
        host_name: host_name.map(|name| name.parse().unwrap()),
        labels: Labels::try_from(labels).unwrap(),
        expires_at: second(100),
        created_by: "anna".into(),
        created_at: second(0),
        admits: Admits { approval: Approval::NotNeeded, key_storage: KeyStorage::Tpm },
    }
}

/// The id of the host with this number.
pub fn host_id(number: u64) -> HostId {
    HostId::of_endorsement_key(&endorsement_key(number))
}

/// The digest of its endorsement key.
pub fn endorsement_key(number: u64) -> Digest {
    Digest::of(format!("endorsement key {number}").as_bytes())
}

/// The host with this number, at second 1, with the token with that number.
pub fn enrolment(token: u64, host: u64) -> Enrolment {
    Enrolment {
        token: Some(token_id(token)),
        host: host_id(host),
        keys: HostKeys {
            ek_spki_sha256: endorsement_key(host),
            ek_public: vec![0, 1, 2],
            ak_public: token.to_be_bytes().to_vec(),
            tls_public: Vec::new(),
            tpm_manufacturer: "id:53574254".into(),
        },
        key_storage: KeyStorage::Tpm,
        measurements: measurements(&format!("token {token}")),
        certificate_expires_at: second(1_000),
        at: second(1),
    }
}

/// Measurements that name where they are from; no clock yet.
pub fn measurements(origin: &str) -> HostMeasurements {
    HostMeasurements {
        baseline_json: format!(r#"{{"from":"{origin}"}}"#),
        clock_json: String::new(),
        quoted_json: "null".into(),
        baseline_log: None,
        quoted_log: None,
    }
}

/// A verdict without consequences.
pub fn verdict(host: &HostId, at: i64, verdict: VerdictKind) -> VerdictRecord {
    VerdictRecord {
        host: host.clone(),
        at: second(at),
        verdict,
        reasons: Vec::new(),
        trust: None,
        confirmed: None,
        measurements: None,
        lease: Lease::Keep,
        policy: None,
        oem: None,
        boot_log: None,
        escalations: Vec::new(),
    }
}

/// A pass that makes the host trusted, with a lease until that second.
pub fn pass(host: &HostId, at: i64, lease: i64) -> VerdictRecord {
    VerdictRecord {
        trust: Some((Trust::Trusted, String::new())),
        lease: Lease::Until(second(lease)),
        ..verdict(host, at, VerdictKind::Pass)
    }
}

/// Records one verdict, with one entry.
pub async fn judged(store: &dyn Store, verdict: VerdictRecord) {
    store.record_verdicts(&[(verdict, vec![entry("host.attest", "host")])]).await.unwrap();
}

/// The name of the host with this number.
pub fn host_name(number: u64) -> HostName {
    format!("bot-{number:02}").parse().unwrap()
}

/// Enrols the host with this number, with the token with that number.
pub async fn enrolled(store: &dyn Store, number: u64) -> HostId {
    let token = token(number, Some(host_name(number).as_str()));
    assert!(store.create_token(&token, &entry("token.create", "token")).await.unwrap());
    let outcome = store.enrol(&enrolment(number, number), &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::Enrolled { name: host_name(number) });
    host_id(number)
}

/// A host that is there.
pub async fn host(store: &dyn Store, id: &HostId) -> Host {
    store.host(id).await.unwrap().unwrap()
}

/// The id of the task with this number.
pub fn task_id(number: u64) -> TaskId {
    format!("00000000-0000-7000-8000-{number:012x}").parse().unwrap()
}

/// A waiting export task of the host with that number, made at second `number`, to be done by second 60.
pub fn task(number: u64, host: u64) -> Task {
    Task {
        id: task_id(number),
        host: host_id(host),
        host_name: host_name(host),
        kind: TaskKind::Export { reason: "quarterly".into() },
        state: TaskState::Waiting,
        detail: String::new(),
        created_at: second(i64::try_from(number).unwrap()),
        deadline: second(60),
        finished_at: None,
        export: None,
        health: None,
    }
}

/// An export of the host with that number, which arrived at second `number`; its blob is named by `blob`.
pub fn export(number: u64, host: u64, blob: &str) -> Export {
    Export {
        id: export_id(number),
        host: host_id(host),
        host_name: host_name(host),
        at: second(i64::try_from(number).unwrap()),
        blob: Digest::of(blob.as_bytes()),
        size: 4_096,
        audit_entries: 12,
        alert_entries: 0,
        status: "ok".into(),
        key_id: "k-1".into(),
        signature: ExportSignature::Valid,
        reason: "quarterly".into(),
        rollout: Some(RolloutId::new(7)),
    }
}

/// The id of the export with this number.
pub fn export_id(number: u64) -> ExportId {
    format!("00000000-0000-7000-8000-{number:012x}").parse().unwrap()
}

/// The release of this version; another `package` is another file.
pub fn release(version: &str, package: &str) -> Release {
    Release {
        target: ReleaseRef { digest: Digest::of(package.as_bytes()), version: version.into(), size: 1 << 20 },
        id: "bot".into(),
        platform: "linux-x86_64".into(),
        runtime: "native".into(),
        published_at: second(5),
        published_by: "anna".into(),
    }
}

/// A rollout of release 2.0.0 to hosts 1 and 2.
pub fn spec(number: u32) -> RolloutSpec {
    let target = release("2.0.0", "two").target;
    let part = |host: u64, wave| {
        let previous = Some(release("1.0.0", "one").target);
        (
            host_id(host),
            TargetSpec {
                name: host_name(host),
                wave,
                release: target.clone(),
                previous,
                groups: vec!["binance".into()],
                not_before: Some(second(77)),
            },
        )
    };
    RolloutSpec {
        id: RolloutId::new(number),
        release: target.clone(),
        direction: Direction::Forward,
        selector: "venue=binance".into(),
        targets: BTreeMap::from([part(1, 0), part(2, 1)]),
        waves: vec!["canary".into(), "rest".into()],
        max_in_flight: NonZeroU32::MIN,
        budgets: vec![Budget::new("venue=50%".parse().unwrap(), ["binance", "binance"])],
        windows: vec!["Mon-Fri 14:00-16:00 Europe/Warsaw".parse().unwrap()],
        markets: vec![MarketRule {
            wish: "xnys=closed".parse().unwrap(),
            market: Market {
                sessions: vec!["Mon-Fri 09:30-16:00 America/New_York".parse().unwrap()],
                holidays: ["2026-12-25".into()].into(),
            },
        }],
        max_failures: NonZeroU32::MIN,
        gates: Gates {
            max_failure_rate: Some(10.try_into().unwrap()),
            min_success: 98.try_into().unwrap(),
            min_sample: NonZeroU32::MIN,
            min_coverage: Percent::ALL,
            health: HealthGate::Asked,
        },
        bake: Duration::from_mins(10),
        pause_after: PauseAfter::Canary,
        on_halt: OnHalt::RollBack,
        deadline: Some(second(9000)),
        urgency: Urgency::Emergency,
        late_joiners: LateJoiners::LastWave,
        approvals: 2,
        supersedes: Some(RolloutId::new(41)),
        ticket: "CHG-42".into(),
        rollback_of: None,
        created_by: "anna".into(),
        created_at: second(10),
        reason: "a reason".into(),
        amended_by: ["operator/ola".to_owned()].into(),
    }
}

/// A plan of the rollout with this number, made at second `10 + revision`, and its name.
pub fn plan(
    rollout: u32,
    parent: Option<PlanId>,
    revision: u64,
    state: RolloutState,
    cause: &str,
) -> (PlanId, RolloutPlan) {
    let waiting = TargetPlan {
        state: TargetState::Pending,
        since: second(10),
        reason: Reason { text: "waits for the canary".into(), owner: Owner::Controller },
        retried: 0,
    };
    let plan = RolloutPlan {
        rollout: RolloutId::new(rollout),
        parent,
        revision,
        made_at: second(10 + i64::try_from(revision).unwrap()),
        state,
        cause: cause.into(),
        wave: 0,
        wave_passed_at: None,
        stands_after: Some(0),
        targets: BTreeMap::from([(host_id(1), waiting.clone()), (host_id(2), waiting)]),
    };
    // Any name will do here that differs where the plan does.
    (PlanId(Digest::of(format!("{plan:?}").as_bytes())), plan)
}
