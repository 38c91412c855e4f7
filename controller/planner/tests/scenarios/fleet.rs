//! A fleet for the planner's tests: it carries plans out the way the executor and real hosts do.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::budget::{Budget, BudgetWish};
use flota_model::freeze::Freeze;
use flota_model::host::{Confirmed, Host, KeyStorage, OemStanding, Trust};
use flota_model::release::ReleaseRef;
use flota_model::rollout::{
    Gates, HostWish, IntentVerb, LateJoiners, OnHalt, PauseAfter, PlanId, RolloutIntent, RolloutPlan, RolloutSpec,
    RolloutState, TargetSpec, TargetState, Urgency,
};
use flota_model::update::{DesiredState, Direction, Generation, Goal, UpdatePhase, UpdateReport};
use flota_model::{Digest, HostId, RolloutId, Timestamp};
use flota_planner::{
    Canaries, Contact, FleetSnapshot, HealthFact, HealthFinding, HostFacts, PlanInput, Planned, WaveSizes,
    assign_waves, lint, plan,
};

/// Hosts by index, and one rollout over all of them.
pub(crate) struct Fleet {
    pub spec: RolloutSpec,
    pub intent: RolloutIntent,
    pub approvers: Vec<String>,
    pub freezes: Vec<Freeze>,
    pub now: Timestamp,
    listening_since: Timestamp,
    plan: Option<RolloutPlan>,
    hosts: Vec<HostFacts>,
    retired: BTreeSet<HostId>,
}

impl Fleet {
    pub(crate) fn new(hosts: u32, canary: u32, wave: u32) -> Self {
        let size = |n: u32| usize::try_from(n).ok().and_then(std::num::NonZeroUsize::new);
        let sizes = WaveSizes { canary: size(canary).unwrap(), wave: size(wave), canaries: Canaries::OfTheRollout };
        let (waves, names) = assign_waves(usize::try_from(hosts).unwrap(), sizes);
        let release = release("4.12.0");
        let ids: Vec<HostId> = (0..hosts).map(host_id).collect();
        let target = |(index, id): (usize, &HostId)| {
            let name = format!("bot-{index}").parse().unwrap();
            let spec = TargetSpec {
                name,
                wave: waves[index],
                release: release.clone(),
                previous: None,
                groups: Vec::new(),
                not_before: None,
            };
            (id.clone(), spec)
        };
        let spec = RolloutSpec {
            id: RolloutId::new(1),
            release: release.clone(),
            direction: Direction::Forward,
            selector: String::new(),
            targets: ids.iter().enumerate().map(target).collect(),
            waves: names,
            max_in_flight: NonZeroU32::new(wave.max(canary)).unwrap(),
            budgets: Vec::new(),
            windows: Vec::new(),
            markets: Vec::new(),
            gates: Gates::default(),
            pause_after: PauseAfter::Nothing,
            on_halt: OnHalt::Wait,
            deadline: None,
            urgency: Urgency::Normal,
            late_joiners: LateJoiners::LeftOut,
            approvals: 0,
            supersedes: None,
            max_failures: NonZeroU32::MIN,
            bake: Duration::ZERO,
            ticket: String::new(),
            rollback_of: None,
            created_by: "anna".into(),
            created_at: Timestamp::from_micros(0),
            reason: String::new(),
            amended_by: BTreeSet::new(),
        };
        Self {
            spec,
            intent: RolloutIntent::new(IntentVerb::Run),
            approvers: Vec::new(),
            freezes: Vec::new(),
            now: Timestamp::from_micros(0),
            listening_since: Timestamp::from_micros(0),
            plan: None,
            retired: BTreeSet::new(),
            hosts: ids.into_iter().enumerate().map(|(index, id)| facts(index, id)).collect(),
        }
    }

    /// Gives every host a label.
    pub(crate) fn label(&mut self, key: &str, value: impl Fn(usize) -> &'static str) {
        for (index, facts) in self.hosts.iter_mut().enumerate() {
            let labels = BTreeMap::from(facts.host.labels.clone());
            let labels = labels.into_iter().chain([(key.to_owned(), value(index).to_owned())]);
            facts.host.labels = labels.collect::<BTreeMap<_, _>>().try_into().unwrap();
        }
    }

    /// Adds a budget, over the labels that the hosts have.
    pub(crate) fn budget(&mut self, wish: &str) {
        let wish: BudgetWish = wish.parse().unwrap();
        let value = |facts: &HostFacts| facts.host.labels.value(&wish.label).unwrap_or_default().to_owned();
        let values: Vec<String> = self.hosts.iter().map(value).collect();
        for (facts, value) in self.hosts.iter().zip(&values) {
            self.spec.targets.get_mut(&facts.host.id).unwrap().groups.push(value.clone());
        }
        self.spec.budgets.push(Budget::new(wish, values.iter().map(String::as_str)));
    }

    /// One planning round and its execution; every plan must be free of notes.
    pub(crate) fn plan(&mut self) {
        if let Planned::New(next) = self.planned() {
            assert_eq!(lint(&self.spec, &next), []);
            self.plan = Some(next);
        }
        self.execute();
    }

    /// It comes to rest, and stays there: a planner that always has more to say fills the disk.
    pub(crate) fn settles(&mut self) {
        for _ in 0..16 {
            if self.planned() == Planned::Unchanged {
                return;
            }
            self.plan();
        }
        panic!("no rest: {:?}", self.plan);
    }

    pub(crate) fn current(&self) -> &RolloutPlan {
        self.plan.as_ref().unwrap()
    }

    pub(crate) fn leases_end_in(&mut self, duration: Duration) {
        for facts in &mut self.hosts {
            facts.host.lease_until = Some(self.now.plus(duration));
        }
    }

    /// Another rollout brings another release, and the host takes it.
    pub(crate) fn wanted_by_another(&mut self, index: usize, version: &str) {
        let release = release(version);
        let host = &mut self.hosts[index].host;
        let generation = Generation::after(host.desired.as_ref().map(|desired| desired.generation));
        let goal = Goal::Install { release: release.clone(), intent: Direction::Forward };
        host.desired = Some(DesiredState { generation, goal, rollout: RolloutId::new(9) });
        self.report(index, UpdatePhase::Committed, Some(release.digest), "");
        self.confirm(index);
    }

    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().is_terminal()
    }

    pub(crate) fn plan_is_a_fixed_point(&self) {
        assert_eq!(self.planned(), Planned::Unchanged);
    }

    pub(crate) fn snapshot(&self) -> FleetSnapshot {
        let hosts = self.hosts.iter().filter(|facts| !self.retired.contains(&facts.host.id)).cloned();
        FleetSnapshot::new(hosts, self.listening_since).with_freezes(self.freezes.clone())
    }

    fn planned(&self) -> Planned {
        let fleet = self.snapshot();
        let approvers: Vec<&str> = self.approvers.iter().map(String::as_str).collect();
        let parent = self.plan.as_ref().map(|plan| (PlanId(Digest::of(&plan.revision.to_be_bytes())), plan));
        let (spec, intent) = (&self.spec, &self.intent);
        plan(PlanInput { spec, intent, approvers: &approvers, parent, fleet: &fleet, now: self.now })
    }

    fn execute(&mut self) {
        let Some(plan) = &self.plan else { return };
        for facts in &mut self.hosts {
            let Some(state) = plan.targets.get(&facts.host.id).map(|target| target.state) else { continue };
            let goal = match state {
                TargetState::Offered { .. } => {
                    Goal::Install { release: self.spec.release.clone(), intent: Direction::Forward }
                }
                TargetState::Withdrawing { .. } => Goal::Stay,
                _ => continue,
            };
            let Some(generation) = state.generation() else { continue };
            let newest = facts.host.desired.as_ref().map(|desired| desired.generation);
            if Some(generation) > newest {
                facts.host.desired = Some(DesiredState { generation, goal, rollout: self.spec.id });
            }
        }
    }

    /// A health report arrives.
    pub(crate) fn health(&mut self, index: usize, can_trade: bool) {
        let finding = if can_trade { HealthFinding::CanTrade } else { HealthFinding::CannotTrade };
        self.hosts[index].health = Some(HealthFact { finding, asked_at: self.now });
    }

    /// Another host comes, in the last wave.
    pub(crate) fn joins(&mut self) -> usize {
        let index = self.hosts.len();
        let id = host_id(u32::try_from(index).unwrap());
        self.hosts.push(facts(index, id.clone()));
        let wave = self.spec.waves.len();
        self.spec.waves.push("late joiners".into());
        let mut target = self.spec.targets.values().next().unwrap().clone();
        (target.name, target.wave) = (format!("bot-{index}").parse().unwrap(), wave);
        self.spec.targets.insert(id, target);
        index
    }

    /// It leaves the fleet.
    pub(crate) fn retire(&mut self, index: usize) {
        self.retired.insert(self.id(index).clone());
    }

    pub(crate) fn wish(&mut self, index: usize) -> &mut HostWish {
        self.intent.wishes.hosts.entry(self.hosts[index].host.id.clone()).or_default()
    }

    pub(crate) fn cause(&self) -> &str {
        &self.plan.as_ref().unwrap().cause
    }

    pub(crate) fn id(&self, index: usize) -> &HostId {
        &self.hosts[index].host.id
    }

    pub(crate) fn state(&self) -> RolloutState {
        self.plan.as_ref().unwrap().state
    }

    pub(crate) fn target(&self, index: usize) -> TargetState {
        self.plan.as_ref().unwrap().targets[&self.hosts[index].host.id].state
    }

    pub(crate) fn reason(&self, index: usize) -> &str {
        &self.plan.as_ref().unwrap().targets[&self.hosts[index].host.id].reason.text
    }

    /// Hosts that were offered something and have not accepted it.
    pub(crate) fn started(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|index| matches!(self.target(*index), TargetState::Offered { .. })).collect()
    }

    pub(crate) fn never_asked(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|index| self.hosts[*index].host.desired.is_none()).collect()
    }

    pub(crate) fn wants_to_stay(&self, index: usize) -> bool {
        self.hosts[index].host.desired.as_ref().is_some_and(|desired| desired.goal == Goal::Stay)
    }

    pub(crate) fn later(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
        for facts in self.hosts.iter_mut().filter(|facts| facts.contact == Contact::Connected) {
            facts.host.last_seen = Some(self.now);
        }
    }

    pub(crate) fn controller_starts(&mut self) {
        self.listening_since = self.now;
    }

    pub(crate) fn succeed(&mut self, index: usize) {
        self.claim(index);
        self.confirm(index);
    }

    pub(crate) fn claim(&mut self, index: usize) {
        let digest = self.spec.release.digest;
        self.report(index, UpdatePhase::Committed, Some(digest), "");
    }

    pub(crate) fn confirm(&mut self, index: usize) {
        let host = &mut self.hosts[index].host;
        let report = host.observed.as_ref().unwrap();
        host.confirmed = Some(Confirmed { running: report.running, generation: report.generation, at: self.now });
    }

    pub(crate) fn already_runs(&mut self, index: usize) {
        self.claim(index);
        self.confirm(index);
    }

    pub(crate) fn work(&mut self, index: usize, phase: UpdatePhase) {
        self.report(index, phase, None, "");
    }

    pub(crate) fn fail(&mut self, index: usize, phase: UpdatePhase, detail: &str) {
        self.report(index, phase, None, detail);
    }

    pub(crate) fn hear_withdrawal(&mut self, index: usize) {
        self.report(index, UpdatePhase::Committed, None, "");
    }

    pub(crate) fn silence(&mut self, index: usize) {
        self.hosts[index].contact = Contact::Silent;
    }

    pub(crate) fn return_of(&mut self, index: usize) {
        self.hosts[index].contact = Contact::Connected;
        self.hosts[index].host.last_seen = Some(self.now);
    }

    pub(crate) fn trust(&mut self, index: usize, trust: Trust) {
        self.hosts[index].host.trust = trust;
    }

    fn report(&mut self, index: usize, phase: UpdatePhase, running: Option<Digest>, detail: &str) {
        let host = &mut self.hosts[index].host;
        let generation = host.desired.as_ref().map(|desired| desired.generation);
        let sequence = host.observed.as_ref().map_or(1, |report| report.sequence + 1);
        let (version, detail) = (String::new(), detail.to_owned());
        host.observed = Some(UpdateReport { generation, sequence, phase, running, version, detail });
    }
}

fn host_id(index: u32) -> HostId {
    HostId::of_endorsement_key(&Digest::from_bytes([u8::try_from(index).unwrap(); 32]))
}

fn release(version: &str) -> ReleaseRef {
    ReleaseRef { digest: Digest::of(version.as_bytes()), version: version.to_owned(), size: 1 }
}

fn facts(index: usize, id: HostId) -> HostFacts {
    let host = Host {
        id,
        name: format!("bot-{index}").parse().unwrap(),
        labels: flota_model::Labels::default(),
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
