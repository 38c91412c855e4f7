use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use flota_model::RolloutId;
use flota_model::Timestamp;
use flota_model::audit::{AuditEntry, chain_start, row_hash};
use flota_model::release::ReleaseRef;
use flota_model::rollout::{
    Gates, LateJoiners, OnHalt, Owner, PauseAfter, Reason, RolloutPlan, TargetPlan, TargetSpec, Urgency,
};
use serde_json::json;

use super::*;

/// Evidence of a rollout to one host that two persons approved, as a controller makes it.
struct Made {
    key: Ed25519KeyPair,
    spec: RolloutSpec,
    plan: RolloutPlan,
    log: Vec<(&'static str, String, &'static str, Value)>,
}

fn host() -> HostId {
    HostId::of_endorsement_key(&Digest::of(b"ek"))
}

fn made() -> Made {
    let release = ReleaseRef { digest: Digest::of(b"package"), version: "5.0".into(), size: 1 };
    let target = TargetSpec {
        name: "fra-bot-01".parse().unwrap(),
        wave: 0,
        release: release.clone(),
        previous: None,
        groups: Vec::new(),
        not_before: None,
    };
    let spec = RolloutSpec {
        id: RolloutId::new(3),
        release: release.clone(),
        direction: Direction::Forward,
        selector: "all hosts".into(),
        targets: BTreeMap::from([(host(), target)]),
        waves: vec!["canary".into()],
        max_in_flight: NonZeroU32::MIN,
        budgets: Vec::new(),
        windows: Vec::new(),
        markets: Vec::new(),
        max_failures: NonZeroU32::MIN,
        gates: Gates::default(),
        bake: Duration::ZERO,
        pause_after: PauseAfter::Nothing,
        on_halt: OnHalt::Wait,
        deadline: None,
        urgency: Urgency::Normal,
        late_joiners: LateJoiners::LeftOut,
        approvals: 2,
        supersedes: None,
        ticket: "OPS-9".into(),
        rollback_of: None,
        created_by: "operator/anna".into(),
        created_at: Timestamp::from_micros(0),
        reason: String::new(),
        amended_by: BTreeSet::new(),
    };
    let reason = Reason { text: "confirmed by a quote".into(), owner: Owner::Nobody };
    let target = TargetPlan { state: TargetState::Committed, since: Timestamp::from_micros(9), reason, retried: 0 };
    let plan = RolloutPlan {
        rollout: spec.id,
        parent: None,
        revision: 1,
        made_at: Timestamp::from_micros(9),
        state: RolloutState::Succeeded,
        cause: "all 1 hosts run it, confirmed by quotes".into(),
        wave: 0,
        wave_passed_at: None,
        stands_after: None,
        targets: BTreeMap::from([(host(), target)]),
    };
    let digest = Digest::of(&serde_json::to_vec(&spec).unwrap());
    let plan_id = Digest::of(&serde_json::to_vec(&plan).unwrap());
    let (rollout, object) = ("rollout/R-3".to_owned(), format!("host/{}", host()));
    let log = vec![
        ("operator/anna", rollout.clone(), "rollout.create", json!({ "spec": digest })),
        ("operator/piotr", rollout.clone(), "rollout.approve", json!({ "spec": digest })),
        ("operator/ola", rollout.clone(), "rollout.approve", json!({ "spec": digest })),
        ("controller", rollout.clone(), "rollout.running", json!({ "plan": Digest::of(b"a plan between") })),
        ("host/x", object.clone(), "host.export", json!({ "rollout": "R-3" })),
        ("host/x", object, "host.attest", json!({ "running": release.digest })),
        ("controller", rollout, "rollout.succeeded", json!({ "plan": plan_id })),
    ];
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    Made { key: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(), spec, plan, log }
}

impl Made {
    fn public(&self) -> String {
        hex::encode(self.key.public_key().as_ref())
    }

    fn evidence(&self) -> Evidence {
        let mut previous = chain_start();
        let mut entries = Vec::new();
        for (sequence, (actor, object, action, details)) in (1..).zip(&self.log) {
            let outcome = if *action == "host.attest" { "pass" } else { "ok" };
            let entry = AuditEntry {
                at: Timestamp::from_micros(0),
                actor: (*actor).to_owned(),
                action: (*action).to_owned(),
                object: object.clone(),
                outcome: outcome.to_owned(),
                details_json: details.to_string(),
            };
            let hash = row_hash(sequence, &previous, &entry);
            entries.push(EvidenceEntry { sequence, previous, hash, entry });
            previous = hash;
        }
        let last = entries.last().unwrap();
        let signed_at = Timestamp::from_micros(10);
        let checkpoint = Checkpoint { sequence: last.sequence, head: last.hash, signed_at };
        let checkpoint = serde_json::to_string(&checkpoint).unwrap();
        let signature = self.key.sign(&SealedCheckpoint::message(&checkpoint));
        let rollout = RolloutEvidence {
            id: self.spec.id,
            specification: serde_json::to_string(&self.spec).unwrap(),
            plans: vec![serde_json::to_string(&self.plan).unwrap()],
        };
        Evidence {
            format: FORMAT.into(),
            rollout: Some(rollout),
            entries,
            checkpoint: SealedCheckpoint {
                checkpoint,
                public_key: self.public(),
                signature: hex::encode(signature.as_ref()),
            },
        }
    }

    fn failing(&self) -> Vec<String> {
        let proved = verify(&self.evidence(), Some(&self.public())).unwrap();
        proved.checks.into_iter().filter(|check| !check.holds).map(|check| check.sentence).collect()
    }
}

#[test]
fn what_a_controller_made_is_proved_and_survives_json() {
    let made = made();
    let text = serde_json::to_string(&made.evidence()).unwrap();
    let evidence: Evidence = serde_json::from_str(&text).unwrap();
    let proved = verify(&evidence, Some(&made.public().to_uppercase())).unwrap();
    assert!(proved.holds(), "{:#?}", proved.checks);
    assert_eq!((proved.entries, proved.checkpoint.sequence, proved.checks.len()), (7, 7, 6));
    assert!(proved.checks[1].sentence.ends_with("given by ola, piotr"), "{}", proved.checks[1].sentence);
}

#[test]
fn a_changed_entry_a_cut_end_another_key_and_another_form_prove_nothing() {
    let made = made();
    let altered = |change: fn(&mut Evidence)| {
        let mut evidence = made.evidence();
        change(&mut evidence);
        verify(&evidence, None).unwrap_err()
    };
    let changed = altered(|evidence| evidence.entries[1].entry.actor = "operator/eve".into());
    assert_eq!(changed, BadEvidence::Chain(BrokenChain::Hash(2)));
    let missing = altered(|evidence| drop(evidence.entries.remove(2)));
    assert_eq!(missing, BadEvidence::Chain(BrokenChain::Gap { expected: 3, found: 4 }));
    let cut = altered(|evidence| drop(evidence.entries.pop()));
    assert_eq!(cut, BadEvidence::End { found: 6, signed: 7 });
    let later = altered(|evidence| evidence.checkpoint.checkpoint = evidence.checkpoint.checkpoint.replace('7', "6"));
    assert_eq!(later, BadEvidence::Signature);
    assert_eq!(altered(|evidence| evidence.entries.clear()), BadEvidence::Empty);
    assert_eq!(altered(|evidence| evidence.format = "v2".into()), BadEvidence::Format("v2".into()));
    let other = Ed25519KeyPair::generate().unwrap();
    let other = hex::encode(other.public_key().as_ref());
    assert_eq!(verify(&made.evidence(), Some(&other)), Err(BadEvidence::OtherKey(made.public())));
}

#[test]
fn documents_that_the_log_does_not_name_are_found() {
    let mut swapped = made();
    swapped.spec.max_failures = NonZeroU32::new(100).unwrap();
    let failing = swapped.failing();
    assert!(failing[0].contains("the log names the specification of R-3"), "{failing:?}");
    assert!(failing[1].contains("given by nobody"), "they approved another one: {failing:?}");
    let mut swapped = made();
    swapped.plan.cause = "all is well".into();
    assert_eq!(swapped.failing(), ["1 plans, each named by the log where the state changed"]);
}

#[test]
fn missing_approvals_quotes_and_exports_are_named() {
    let mut alone = made();
    alone.log[2].0 = "operator/anna";
    assert_eq!(alone.failing(), ["2 approvals were needed beside operator/anna: given by piotr"]);
    let mut late = made();
    late.log.swap(2, 3);
    assert_eq!(late.failing().len(), 1, "an approval after it began: {:?}", late.failing());
    let mut other = made();
    other.log[5].3 = json!({ "running": Digest::of(b"another package") });
    assert_eq!(other.failing(), ["0 of 1 updated hosts proved by a quote that passed what they run; not fra-bot-01"]);
    let mut without = made();
    without.log.remove(4);
    assert_eq!(without.failing(), ["0 of 1 updated hosts made a security export for it; not fra-bot-01"]);
    let mut open = made();
    open.plan.state = RolloutState::Running;
    assert!(open.failing().iter().any(|check| check.starts_with("it is running")), "{:?}", open.failing());
}
