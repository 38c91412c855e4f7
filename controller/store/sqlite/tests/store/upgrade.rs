//! A database of the version before opens with everything in it.

use std::fs;
use std::path::Path;

use flota_model::host::{Host, KeyStorage, OemStanding, Trust, VerdictKind};
use flota_model::rollout::{Gates, PlanId, RolloutPlan, RolloutState, Wishes};
use flota_model::{Digest, RolloutId};
use flota_store::contract::audit::the_chain_is_whole;
use flota_store::contract::fixtures::{entry, judged, pass, second};
use flota_store::{
    Admits, Approval, AttestationStore as _, EnrolmentStore as _, HostMeasurements, HostStore as _, RolloutStore as _,
    SetPlan, TokenState,
};
use flota_store_sqlite::SqliteStore;
use sqlx::migrate::Migrator;
use tempfile::TempDir;

use crate::migrations::FOLDER;
use crate::{database_in, raw};

/// Two hosts, one that passed and one that was shut out; a token of each kind; a verdict of each host.
const POPULATION: &str = "
    insert into hosts (id, name, labels, trust, trust_reason, enrolled_at) values
        ('00000000000000aa', 'bot-01', '{\"venue\":\"binance\"}', 'trusted', '', 1795428000000000),
        ('00000000000000bb', 'bot-02', '{}', 'quarantined', 'incident 7', 1795428000000000);
    insert into host_keys (host, ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer,
                           certificate_expires_at) values
        ('00000000000000aa', printf('%064d', 1), x'00', x'01', x'02', 'id:53574254', 1795430000000000),
        ('00000000000000bb', printf('%064d', 2), x'00', x'01', x'02', 'id:53574254', 1795430000000000);
    insert into host_measurements (host, baseline, clock, quoted) values
        ('00000000000000aa', '{\"0\":\"aa\"}', '{}', '{}'), ('00000000000000bb', '', '', '');
    insert into host_liveness (host, last_seen, agent_version) values
        ('00000000000000aa', 1795428000000000, '1.4.0'), ('00000000000000bb', null, '');
    insert into tokens (id, key, host_name, labels, state, expires_at, created_by, created_at, used_by) values
        ('00000000000a', zeroblob(32), 'bot-03', '{}', 'open', 1795430000000000, 'anna', 1795428000000000, null),
        ('00000000000b', zeroblob(32), null, '{}', 'used', 1795430000000000, 'anna', 1795427000000000,
         '00000000000000aa');
    insert into attestations (host, at, verdict, reasons) values
        ('00000000000000aa', 1795428001000000, 'pass', '[]'),
        ('00000000000000bb', 1795428001000000, 'fail', '[\"pcr-4: changed\"]');
";

/// A database as the program with this newest migration left it.
async fn of_schema(newest: i64, path: &Path) {
    let older = tempfile::tempdir().unwrap();
    for file in fs::read_dir(FOLDER).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name.split_once('_').is_some_and(|(number, _)| number.parse::<i64>().unwrap() <= newest) {
            fs::copy(file.path(), older.path().join(name)).unwrap();
        }
    }
    let migrator = Migrator::new(older.path()).await.unwrap();
    assert_eq!(migrator.iter().map(|migration| migration.version).max(), Some(newest));
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    migrator.run(&pool).await.unwrap();
    pool.close().await;
}

async fn upgraded() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = database_in(folder.path());
    of_schema(8, &path).await;
    raw(&path, POPULATION).await.unwrap();
    (SqliteStore::open(&path).await.unwrap(), folder)
}

#[tokio::test]
async fn hosts_of_schema_8_have_a_tpm_and_no_lease_until_they_pass() {
    let (store, _folder) = upgraded().await;
    let hosts = store.hosts().await.unwrap();
    assert_eq!(hosts.len(), 2);
    for host in &hosts {
        let Host { lease_until, key_storage, awaits_approval, policy, oem, .. } = host;
        assert_eq!((*lease_until, *key_storage, *awaits_approval), (None, KeyStorage::Tpm, false));
        assert_eq!((policy.as_str(), oem), ("", &OemStanding::default()));
        assert!(!host.admits_work(second(5)));
    }
    assert_eq!((hosts[0].trust, hosts[0].agent_version.as_str()), (Trust::Trusted, "1.4.0"));
    assert_eq!((hosts[1].trust, hosts[1].trust_reason.as_str()), (Trust::Quarantined, "incident 7"));

    judged(&store, pass(&hosts[0].id, 5, 60)).await;
    assert!(store.host(&hosts[0].id).await.unwrap().unwrap().admits_work(second(6)));
    the_chain_is_whole(&store).await;
}

#[tokio::test]
async fn tokens_of_schema_8_admit_a_tpm_at_once() {
    let (store, _folder) = upgraded().await;
    let tokens = store.tokens(second(5)).await.unwrap();
    let states: Vec<_> = tokens.iter().map(|token| token.state).collect();
    assert_eq!(states, [TokenState::Open, TokenState::Used]);
    for token in tokens {
        assert_eq!(token.admits, Admits { approval: Approval::NotNeeded, key_storage: KeyStorage::Tpm });
    }
}

#[tokio::test]
async fn verdicts_and_measurements_of_schema_8_are_still_there() {
    let (store, _folder) = upgraded().await;
    let hosts = store.hosts().await.unwrap();
    let failed = store.attestations(&hosts[1].id, 10).await.unwrap();
    assert_eq!((failed.len(), failed[0].verdict, failed[0].at), (1, VerdictKind::Fail, second(1)));
    assert_eq!(failed[0].reasons, ["pcr-4: changed"]);
    assert_eq!(store.attestations(&hosts[0].id, 10).await.unwrap()[0].verdict, VerdictKind::Pass);

    let known = store.measurements(&hosts[0].id).await.unwrap();
    let expected = HostMeasurements {
        baseline_json: "{\"0\":\"aa\"}".into(),
        clock_json: "{}".into(),
        quoted_json: "{}".into(),
        baseline_log: None,
        quoted_log: None,
    };
    assert_eq!(known, Some(expected));
    let (keys, _) = store.host_keys(&hosts[0].id).await.unwrap().unwrap();
    assert_eq!(keys.ek_spki_sha256, format!("{:064}", 1).parse::<Digest>().unwrap());
}

#[tokio::test]
async fn a_host_of_schema_8_comes_back_without_a_token() {
    let (store, _folder) = upgraded().await;
    let id = store.hosts().await.unwrap()[0].id.clone();
    let (keys, _) = store.host_keys(&id).await.unwrap().unwrap();
    let mut back = flota_store::contract::fixtures::enrolment(1, 1);
    (back.token, back.host, back.keys) = (None, id.clone(), keys);
    store.enrol(&back, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(store.host(&id).await.unwrap().unwrap().trust, Trust::Stale);
}

/// A rollout with two plans, the second of them current, and what it wants of a host.
const ROLLOUT: &str = "
    begin;
    insert into rollouts (id, spec, verb, accepted_failures, plan_id, started_at, finished_at)
        values (1, '{spec}', 'run', 1, printf('%064d', 2), 1795428000000000, null);
    insert into plans (id, rollout, revision, parent, state, document, made_at) values
        (printf('%064d', 1), 1, 1, null, 'running', '{\"of\":\"the first\"}', 1795428000000000),
        (printf('%064d', 2), 1, 2, printf('%064d', 1), 'running', '{plan}', 1795428001000000);
    insert into host_desired (host, generation, goal, rollout) values ('00000000000000aa', 4, '{\"kind\":\"stay\"}', 1);
    commit;
";

/// As the program of schema 15 wrote them: without what came later.
const SPEC: &str = r#"{"id":"R-1","release":{"digest":"aa","version":"2.0","size":1},"direction":"forward","selector":"",
    "targets":{"00000000000000aa":{"name":"bot-01","wave":0,"release":{"digest":"aa","version":"2.0","size":1},
    "previous":null}},"waves":["canary"],"max_in_flight":1,"max_failures":1,"bake":{"secs":0,"nanos":0},"ticket":"",
    "rollback_of":null,"created_by":"operator/anna","created_at":"2026-11-23T10:00:00Z"}"#;
const PLAN: &str = r#"{"rollout":"R-1","parent":null,"revision":2,"made_at":"2026-11-23T10:00:01Z","state":"running",
    "cause":"canary: 1 in motion","wave":0,"wave_passed_at":null,"targets":{"00000000000000aa":{"state":{
    "state":"applying","generation":4},"since":"2026-11-23T10:00:01Z","reason":{"text":"probation","owner":"host"}}}}"#;

#[tokio::test]
async fn a_rollout_of_schema_15_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = database_in(folder.path());
    of_schema(15, &path).await;
    raw(&path, POPULATION).await.unwrap();
    let digest = Digest::of(b"release").to_string();
    let (spec, plan) = (SPEC.replace("\"aa\"", &format!("\"{digest}\"")), PLAN);
    let statements: &'static str = ROLLOUT.replace("{spec}", &spec).replace("{plan}", plan).leak();
    raw(&path, statements).await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    let record = store.rollout(RolloutId::new(1)).await.unwrap().unwrap();
    assert_eq!(record.digest, Digest::of(spec.as_bytes()));
    assert_eq!((record.spec.approvals, record.spec.gates, record.approvals.len()), (0, Gates::default(), 0));
    assert_eq!((record.intent.accepted_failures, record.intent.wishes), (1, Wishes::default()));
    let (id, plan) = record.plan.unwrap();
    assert_eq!((plan.state, plan.targets.len()), (RolloutState::Running, 1));
    let next = RolloutPlan { parent: Some(id), revision: 3, state: RolloutState::Inconclusive, ..plan };
    let next_id = PlanId(Digest::of(b"next"));
    assert_eq!(store.set_plan(next_id, &next, &entry("rollout.plan", "rollout")).await.unwrap(), SetPlan::Done);
    store.close().await;
    // No row lost its parent when the table was made anew.
    let broken = raw(&path, "insert into plans select printf('%064d', 9), 1, 9, 'nobody', 'paused', '{}', 0");
    assert!(broken.await.unwrap_err().to_string().contains("FOREIGN KEY"));
    let first = raw(&path, "delete from plans where revision = 1").await.unwrap_err();
    assert!(first.to_string().contains("FOREIGN KEY"), "{first}");
}
