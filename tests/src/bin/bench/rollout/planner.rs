//! The planner over ten thousand hosts with budgets, in the middle of a wave: what every report and every second costs.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use flota_model::budget::Budget;
use flota_model::host::{Host, KeyStorage, OemStanding, Trust};
use flota_model::release::ReleaseRef;
use flota_model::rollout::{
    Gates, HealthGate, IntentVerb, LateJoiners, OnHalt, PauseAfter, PlanId, RolloutIntent, RolloutPlan, RolloutSpec,
    TargetSpec, Urgency,
};
use flota_model::update::Direction;
use flota_model::{Digest, HostId, Labels, RolloutId, Timestamp};
use flota_planner::{Contact, FleetSnapshot, HostFacts, PlanInput, Planned, plan};

use crate::figure::{Bar, Figure};

/// How many hosts.
const HOSTS: u32 = 10_000;
/// Hosts of one wave.
const WAVE: u32 = 500;
/// Values of the label that has a budget.
const VENUES: u32 = 20;
/// Ticks that are measured; the slowest counts.
const TICKS: usize = 20;
/// Milliseconds a tick.
const TICK: f64 = 200.0;

pub(super) fn measure() -> Vec<Figure> {
    let (spec, hosts) = fleet();
    let intent = RolloutIntent::new(IntentVerb::Run);
    let started = Timestamp::from_micros(0);
    let snapshot = FleetSnapshot::new(hosts.clone(), started);
    let next = |parent: Option<&RolloutPlan>, now: Timestamp| {
        let parent = parent.map(|plan| (PlanId(Digest::of(&plan.revision.to_be_bytes())), plan));
        plan(PlanInput { spec: &spec, intent: &intent, approvers: &[], parent, fleet: &snapshot, now })
    };
    let mut current = None;
    let mut slowest = Duration::ZERO;
    for tick in 0..TICKS {
        let now = started.plus(Duration::from_secs(u64::try_from(tick).unwrap_or(u64::MAX)));
        let began = Instant::now();
        let planned = next(current.as_ref(), now);
        slowest = slowest.max(began.elapsed());
        if let Planned::New(plan) = planned {
            current = Some(plan);
        }
    }
    let name = format!("the planner over {HOSTS} hosts with a budget, slowest of {TICKS} ticks");
    vec![Figure::new(name, slowest.as_secs_f64() * 1000.0, "ms").bar(Bar::AtMost(TICK))]
}

fn fleet() -> (RolloutSpec, Vec<HostFacts>) {
    let release = ReleaseRef { digest: Digest::of(b"release"), version: "1.0".into(), size: 1 };
    let venue = |index: u32| format!("venue-{}", index % VENUES);
    let venues: Vec<String> = (0..HOSTS).map(venue).collect();
    let hosts: Vec<HostFacts> = (0..HOSTS).zip(&venues).map(|(index, venue)| facts(index, venue)).collect();
    let wish = "venue=5%".parse();
    let budget = wish.map(|wish| Budget::new(wish, venues.iter().map(String::as_str)));
    let target = |(index, facts): (u32, &HostFacts)| {
        let wave = usize::try_from(index / WAVE).unwrap_or(0);
        let (name, groups) = (facts.host.name.clone(), vec![venue(index)]);
        let target = TargetSpec { name, wave, release: release.clone(), previous: None, groups, not_before: None };
        (facts.host.id.clone(), target)
    };
    let spec = RolloutSpec {
        id: RolloutId::new(1),
        release: release.clone(),
        direction: Direction::Forward,
        selector: String::new(),
        targets: (0..HOSTS).zip(&hosts).map(target).collect(),
        waves: (0..HOSTS / WAVE).map(|wave| format!("wave {wave}")).collect(),
        max_in_flight: NonZeroU32::MIN.saturating_add(WAVE),
        budgets: budget.into_iter().collect(),
        windows: Vec::new(),
        markets: Vec::new(),
        max_failures: NonZeroU32::MIN,
        gates: Gates { health: HealthGate::Asked, ..Gates::default() },
        bake: Duration::ZERO,
        pause_after: PauseAfter::Nothing,
        on_halt: OnHalt::Wait,
        deadline: None,
        urgency: Urgency::Normal,
        late_joiners: LateJoiners::LeftOut,
        approvals: 0,
        supersedes: None,
        ticket: String::new(),
        rollback_of: None,
        created_by: "bench".into(),
        created_at: Timestamp::from_micros(0),
        reason: String::new(),
        amended_by: BTreeSet::new(),
    };
    (spec, hosts)
}

fn facts(index: u32, venue: &str) -> HostFacts {
    let id = HostId::of_endorsement_key(&Digest::of(&index.to_be_bytes()));
    let labels = Labels::try_from(BTreeMap::from([("venue".to_owned(), venue.to_owned())]));
    let host = Host {
        name: flota_model::HostName::of_unnamed(&id),
        id,
        labels: labels.unwrap_or_default(),
        trust: Trust::Trusted,
        trust_reason: String::new(),
        last_seen: Some(Timestamp::from_micros(0)),
        agent_version: String::new(),
        observed: None,
        confirmed: None,
        desired: None,
        enrolled_at: Timestamp::from_micros(0),
        lease_until: Some(Timestamp::from_micros(i64::MAX)),
        key_storage: KeyStorage::Tpm,
        awaits_approval: false,
        policy: String::new(),
        oem: OemStanding::default(),
    };
    HostFacts { host, contact: Contact::Connected, health: None }
}
