//! Simulated agents are taken for real: their TPM's structures pass the controller's verifier, and a controller enrols
//! and trusts them until they misbehave.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use flota_attest::certify::{CertifyEvidence, CertifyExpectation, verify_certify};
use flota_attest::credential::make_credential;
use flota_attest::ek_chain::{TrustRoots, verify_ek_certificate};
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::{QuoteEvidence, QuoteExpectation, Reason, Verdict, verify_quote};
use flota_attest::rules::{check_ak_public, check_ek_public, check_tls_public};
use flota_attest::selection::{Bank, Selection};
use flota_model::host::VerdictKind;
use flota_net::tls;
use flota_sim::agent::{Observer, Place, SessionEnd, SessionEvent, loopback_address};
use flota_sim::soft_tpm::{AkKind, ClockInfo};
use flota_sim::{Manufacturer, SimulatedAgent, SoftTpm};
use flota_tests::{Bins, Controller, Operator};
use serde_json::Value;
use tokio::sync::watch;

/// A verdict takes milliseconds; this is for a machine that compiles beside it.
const BOUND: Duration = Duration::from_mins(1);
/// 2026-02-02.
const NOW: u64 = 1_770_000_000;
const PCRS: [u8; 3] = [0, 7, 23];
const KINDS: [AkKind; 2] = [AkKind::P256, AkKind::Rsa2048];

/// The keys of a TPM as the controller reads them.
struct Keys {
    ek: Public,
    ak: Public,
    ak_name: QualifiedName,
    tls: Public,
    tls_name: QualifiedName,
}

fn keys(tpm: &SoftTpm) -> Keys {
    let [ek, ak, tls] =
        [tpm.ek_public(), tpm.ak_public(), tpm.tls_public()].map(|public| Public::parse_2b(public).unwrap());
    let ek_name = ek.qualified_name(&QualifiedName::endorsement_root());
    let (ak_name, tls_name) = (ak.qualified_name(&ek_name), tls.qualified_name(&ek_name));
    Keys { ek, ak, ak_name, tls, tls_name }
}

fn quote(tpm: &SoftTpm, keys: &Keys, last: Option<flota_attest::quote::ClockState>) -> Verdict {
    let quote = tpm.quote([7; 32], &PCRS).unwrap();
    let evidence = QuoteEvidence {
        attest: &quote.signed.attest,
        signature: &quote.signed.signature,
        pcr_values: &quote.pcr_values,
    };
    let expectation = QuoteExpectation {
        ak: &keys.ak,
        ak_qualified_name: &keys.ak_name,
        qualifying_data: [7; 32],
        selection: Selection::new(Bank::Sha256, PCRS).unwrap(),
        last,
    };
    verify_quote(&evidence, &expectation)
}

fn passed(verdict: Verdict) -> flota_attest::quote::ClockState {
    match verdict {
        Verdict::Pass(facts) => facts.clock_state(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_verifier_takes_the_keys_of_a_simulated_tpm_for_those_of_a_real_one() {
    let manufacturer = Manufacturer::new().unwrap();
    let roots = TrustRoots::from_pem(manufacturer.ek_roots().as_bytes()).unwrap();
    for kind in KINDS {
        let tpm = manufacturer.make_tpm(kind).unwrap();
        let Keys { ek, ak, ak_name, tls, .. } = keys(&tpm);
        let none: [&[u8]; 0] = [];
        let certificate = verify_ek_certificate(tpm.ek_certificate(), &none, &roots, NOW).unwrap();
        assert_eq!((certificate.manufacturer.as_str(), certificate.model.as_str()), ("id:464C4F54", "flota-sim"));
        check_ek_public(&ek, &certificate.spki_der).unwrap();
        check_ak_public(&ak).unwrap();
        check_tls_public(&tls).unwrap();
        assert_eq!(ak.name().as_bytes(), tpm.ak_name());
        assert_eq!(ak_name.as_bytes(), tpm.ak_qualified_name());
    }
    let others = TrustRoots::from_pem(Manufacturer::new().unwrap().ek_roots().as_bytes()).unwrap();
    let tpm = manufacturer.make_tpm(AkKind::P256).unwrap();
    let none: [&[u8]; 0] = [];
    verify_ek_certificate(tpm.ek_certificate(), &none, &others, NOW).unwrap_err();
}

#[test]
fn a_credential_opens_in_its_tpm_and_for_its_attestation_key_alone() {
    let manufacturer = Manufacturer::new().unwrap();
    let [tpm, other] = [(); 2].map(|()| manufacturer.make_tpm(AkKind::P256).unwrap());
    let (secret, random) = ([42; 32], SystemRandom::new());
    let credential = make_credential(&keys(&tpm).ek, keys(&tpm).ak.name(), &secret, &random).unwrap();
    let opened = tpm.activate_credential(&credential.credential_blob, &credential.encrypted_secret).unwrap();
    assert_eq!(*opened, secret);
    other.activate_credential(&credential.credential_blob, &credential.encrypted_secret).unwrap_err();
    let foreign = make_credential(&keys(&tpm).ek, keys(&other).ak.name(), &secret, &random).unwrap();
    tpm.activate_credential(&foreign.credential_blob, &foreign.encrypted_secret).unwrap_err();
    let mut broken = credential.credential_blob;
    *broken.last_mut().unwrap() ^= 1;
    tpm.activate_credential(&broken, &credential.encrypted_secret).unwrap_err();
}

#[test]
fn certifications_and_quotes_of_both_kinds_of_key_pass() {
    let manufacturer = Manufacturer::new().unwrap();
    for kind in KINDS {
        let tpm = manufacturer.make_tpm(kind).unwrap();
        tpm.extend(7, [1; 32]).unwrap();
        let keys = keys(&tpm);
        let certified = tpm.certify_tls_key([9; 32]).unwrap();
        let evidence = CertifyEvidence { attest: &certified.attest, signature: &certified.signature };
        let expectation = CertifyExpectation {
            ak: &keys.ak,
            ak_qualified_name: &keys.ak_name,
            qualifying_data: [9; 32],
            tls_public: &keys.tls,
            tls_qualified_name: &keys.tls_name,
        };
        verify_certify(&evidence, &expectation).unwrap();
        let first = passed(quote(&tpm, &keys, None));
        passed(quote(&tpm, &keys, Some(first)));
    }
}

#[test]
fn every_way_to_misbehave_is_seen_as_what_it_is() {
    let tpm = Manufacturer::new().unwrap().make_tpm(AkKind::P256).unwrap();
    let keys = keys(&tpm);
    let first = passed(quote(&tpm, &keys, None));
    let snapshot = tpm.clock_info();
    let reasons = |tpm: &SoftTpm, last| match quote(tpm, &keys, Some(last)) {
        Verdict::Fail(reasons) => reasons,
        other => panic!("{other:?}"),
    };

    tpm.turn_clock_back(Duration::from_hours(1));
    assert_eq!(reasons(&tpm, first), [Reason::ClockNotAdvanced]);
    tpm.set_clock_info(snapshot);
    tpm.reboot();
    let rebooted = passed(quote(&tpm, &keys, Some(first)));
    tpm.set_clock_info(snapshot);
    assert_eq!(reasons(&tpm, rebooted), [Reason::ResetRollback]);

    tpm.reboot();
    tpm.lose_power(Duration::from_secs(5));
    assert_eq!(quote(&tpm, &keys, Some(rebooted)), Verdict::Retry(Reason::ClockUnsafe));
    tpm.set_clock_info(ClockInfo { safe: true, restart_count: 2, ..tpm.clock_info() });
    let restarted = passed(quote(&tpm, &keys, Some(rebooted)));
    tpm.set_clock_info(ClockInfo { restart_count: 1, ..tpm.clock_info() });
    assert_eq!(reasons(&tpm, restarted), [Reason::RestartRollback]);

    tpm.set_clock_info(ClockInfo { restart_count: 2, ..tpm.clock_info() });
    tpm.set_firmware(flota_sim::soft_tpm::FIRMWARE - 1);
    assert_eq!(reasons(&tpm, restarted), [Reason::FirmwareDowngrade]);
}

/// A controller that trusts a manufacturer, and somebody to act in it.
struct Ground {
    controller: Controller,
    admin: Operator,
    place: Place,
}

fn ground(dir: &Path, manufacturer: &Manufacturer) -> Ground {
    let roots = dir.join("ek-roots.pem");
    std::fs::write(&roots, manufacturer.ek_roots()).unwrap();
    let bins = Bins::beside_this_program().unwrap();
    let controller = Controller::start(&bins, &dir.join("controller"), &roots, 600).unwrap();
    let place = Place {
        enrollment: controller.enrollment.clone(),
        fleet: controller.fleet.clone(),
        fleet_ca: tls::certificates(&std::fs::read(controller.ca_file()).unwrap()).unwrap(),
        source: Some(loopback_address(1)),
    };
    Ground { admin: controller.admin().unwrap(), controller, place }
}

impl Ground {
    fn token(&self, name: &str) -> String {
        self.admin.json(&["token", "create", name]).unwrap()["token"].as_str().unwrap().to_owned()
    }

    fn trust(&self, name: &str) -> (Value, Value) {
        let hosts = self.admin.items(&["host", "list", "--limit", "0"]).unwrap();
        let host = hosts.into_iter().find(|host| host["name"] == name).unwrap();
        (host["trust"].clone(), host["liveness"].clone())
    }

    /// Asks for a quote and gives the controller's verdict.
    fn challenge(&self, name: &str) -> Value {
        // The exit code tells the verdict as well.
        let answer = self.admin.run(&["attest", "challenge", name, "-o", "json"]).unwrap();
        let document: Value = serde_json::from_str(&answer.stdout).unwrap();
        document["items"][0].clone()
    }
}

/// What a session was told last.
type Told = watch::Receiver<Option<(VerdictKind, Vec<String>)>>;

/// An observer, and what it was told.
fn watched() -> (Observer, Told) {
    let (sender, receiver) = watch::channel(None);
    let observer = move |event: &SessionEvent| {
        if let SessionEvent::Verdict { verdict, reasons, .. } = event {
            sender.send_replace(Some((*verdict, reasons.clone())));
        }
    };
    (Arc::new(observer), receiver)
}

/// The first verdict.
async fn told(verdicts: &mut Told) -> (VerdictKind, Vec<String>) {
    let verdict = tokio::time::timeout(BOUND, verdicts.wait_for(Option::is_some)).await.unwrap().unwrap();
    verdict.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_agent_is_trusted_until_its_clock_is_rolled_back() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let manufacturer = Manufacturer::new().unwrap();
        let ground = ground(dir.path(), &manufacturer);
        let agent = SimulatedAgent::new(Arc::new(manufacturer.make_tpm(kind).unwrap()), ground.place.clone());
        let member = agent.enrol(&ground.token("sim-1")).await.unwrap();
        assert_eq!(member.host_name.as_str(), "sim-1");

        let (observer, mut verdicts) = watched();
        let session = tokio::spawn(agent.connect(&member, observer).await.unwrap().run());
        assert_eq!(told(&mut verdicts).await, (VerdictKind::Pass, Vec::new()));
        assert_eq!(ground.challenge("sim-1")["verdict"], "pass");
        assert_eq!(ground.trust("sim-1"), ("trusted".into(), "connected".into()));
        ground.admin.ok(&["host", "ping", "sim-1"]).unwrap();

        agent.tpm().turn_clock_back(Duration::from_hours(1));
        let outcome = ground.challenge("sim-1");
        assert_eq!((&outcome["verdict"], &outcome["trust"]), (&"fail".into(), &"untrusted".into()), "{outcome}");
        assert!(outcome["reasons"][0].as_str().unwrap().starts_with("quote_clock_not_advanced"), "{outcome}");
        assert_eq!(ground.trust("sim-1").0, "untrusted");
        session.abort();
        drop(ground.controller);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_runs_ahead_of_the_time_that_passed_is_another_tpms() {
    let dir = tempfile::tempdir().unwrap();
    let manufacturer = Manufacturer::new().unwrap();
    let ground = ground(dir.path(), &manufacturer);
    let agent = SimulatedAgent::new(Arc::new(manufacturer.make_tpm(AkKind::P256).unwrap()), ground.place.clone());
    let member = agent.enrol(&ground.token("sim-1")).await.unwrap();
    let (observer, mut verdicts) = watched();
    let session = tokio::spawn(agent.connect(&member, observer).await.unwrap().run());
    assert_eq!(told(&mut verdicts).await.0, VerdictKind::Pass);
    // Seconds are the way to the controller; an hour is no such thing.
    agent.tpm().turn_clock_ahead(Duration::from_secs(5));
    assert_eq!(ground.challenge("sim-1")["verdict"], "pass");
    agent.tpm().turn_clock_ahead(Duration::from_hours(1));
    let outcome = ground.challenge("sim-1");
    assert_eq!((&outcome["verdict"], &outcome["trust"]), (&"fail".into(), &"untrusted".into()), "{outcome}");
    assert!(outcome["reasons"][0].as_str().unwrap().starts_with("clock_rate"), "{outcome}");
    session.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_admits_one_simulated_agent_and_a_stranger_none() {
    let dir = tempfile::tempdir().unwrap();
    let manufacturer = Manufacturer::new().unwrap();
    let ground = ground(dir.path(), &manufacturer);
    let agent = |manufacturer: &Manufacturer| {
        SimulatedAgent::new(Arc::new(manufacturer.make_tpm(AkKind::P256).unwrap()), ground.place.clone())
    };
    let stranger = agent(&Manufacturer::new().unwrap()).enrol(&ground.token("stranger")).await.unwrap_err();
    assert!(flota_daemon::error_chain::chain(&stranger).contains("FLT-0402"), "{stranger:?}");

    let token = ground.token("sim-1");
    let first = agent(&manufacturer);
    let member = first.enrol(&token).await.unwrap();
    let second = agent(&manufacturer).enrol(&token).await.unwrap_err();
    assert!(flota_daemon::error_chain::chain(&second).contains("FLT-0401"), "{second:?}");

    // Its certificate with another TPM's key is worth nothing.
    let thief = agent(&manufacturer);
    let (observer, _verdicts) = watched();
    let refused = thief.connect(&member, observer).await.map(drop).unwrap_err();
    assert!(!refused.to_string().is_empty());

    let (observer, mut verdicts) = watched();
    let older = tokio::spawn(first.connect(&member, observer.clone()).await.unwrap().run());
    assert_eq!(told(&mut verdicts).await.0, VerdictKind::Pass);
    let newer = tokio::spawn(first.connect(&member, observer).await.unwrap().run());
    let end = tokio::time::timeout(BOUND, older).await.unwrap().unwrap();
    assert!(
        matches!(&end, SessionEnd::Refused(refusal) if refusal.sentence.contains("a newer session began")),
        "{end:?}"
    );
    newer.abort();
}
