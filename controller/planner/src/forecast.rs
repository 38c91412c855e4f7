//! Plays a rollout before it runs: the real planner over a copy of the fleet, with hosts that all succeed. It says who
//! is changed when, who is not and why, and how far a bad release would get before the rollout halts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flota_model::host::Confirmed;
use flota_model::rollout::{IntentVerb, PlanId, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState, TargetState};
use flota_model::update::{DesiredState, Goal, UpdatePhase, UpdateReport};
use flota_model::{Digest, HostId, Timestamp};

use crate::dispatch::{bakes_until, is_moving};
use crate::hours::{Hours, hours};
use crate::snapshot::{FleetSnapshot, HealthFact, HealthFinding};
use crate::{PlanInput, Planned, count, plan};

/// Looks at the plan before a forecast gives up; a rollout of 10,000 hosts, one at a time, takes two a host.
const MAX_LOOKS: usize = 50_000;
/// How far ahead a forecast looks: hours that do not open in that time do not help anybody.
const HORIZON: Duration = Duration::from_hours(90 * 24);

/// Later than any time that is looked at.
const FOREVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// What a forecast takes for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumptions {
    /// How long one host takes from its offer to its quote and health check.
    pub host_takes: Duration,
}

/// How a rollout would go if every host succeeded, and persons answered at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// By wave.
    pub waves: Vec<WaveForecast>,
    /// When the last host is done; none: somebody never is.
    pub ends: Option<Timestamp>,
    /// Most hosts that change at the same time.
    pub most_at_once: usize,
    /// For each budget and value of its label.
    pub groups: Vec<GroupForecast>,
    /// Hosts that are not updated in the time that is looked ahead, and why.
    pub left_out: Vec<(HostId, String)>,
    /// When each host is started; hosts that run the release already are not.
    pub begins: BTreeMap<HostId, Timestamp>,
    /// Why it stood still at the end, where it did not come to one.
    pub stands_still: String,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveForecast {
    /// Its name.
    pub name: String,
    /// Its hosts.
    pub hosts: usize,
    /// When its first host is started.
    pub begins: Option<Timestamp>,
    /// When its last host is done.
    pub ends: Option<Timestamp>,
    /// Blast radius: hosts that run the release, or change to it, when this wave's hosts turn out to be bad and as many have
    /// failed as halt the rollout.
    pub changed_when_it_halts: usize,
}

/// Hosts that share the value of a budget's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupForecast {
    /// As in `venue=binance`.
    pub name: String,
    /// Its hosts in this rollout.
    pub hosts: usize,
    /// Most of them that change at the same time.
    pub most_at_once: usize,
    /// Most that the budget allows.
    pub limit: u32,
}

/// Where a rollout that is played stands already.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    /// What operators want of it.
    pub intent: &'a RolloutIntent,
    /// Its plan.
    pub plan: &'a RolloutPlan,
}

/// Plays it. `fleet` is as it is now; nothing in it vanishes or returns, and hosts that are in motion end well.
pub fn forecast(
    spec: &RolloutSpec,
    begun: Option<Begun<'_>>,
    fleet: &FleetSnapshot,
    now: Timestamp,
    assumptions: Assumptions,
) -> Forecast {
    forecast_while(spec, begun, fleet, now, assumptions, &|| true)
}

/// The same, for as long as `goes_on` says so: where it is cut, nothing is said about what would come later.
pub fn forecast_while(
    spec: &RolloutSpec,
    begun: Option<Begun<'_>>,
    fleet: &FleetSnapshot,
    now: Timestamp,
    assumptions: Assumptions,
    goes_on: &dyn Fn() -> bool,
) -> Forecast {
    let mut play = Play::new(spec, fleet, now);
    if let Some(begun) = begun {
        play.take_up(begun, assumptions);
    }
    for _ in 0..MAX_LOOKS {
        play.look();
        if play.is_over() || !play.go_on(assumptions) {
            break;
        }
        if !goes_on() {
            play.cut = true;
            break;
        }
    }
    play.told()
}

struct Play<'a> {
    spec: &'a RolloutSpec,
    intent: RolloutIntent,
    fleet: FleetSnapshot,
    plan: Option<RolloutPlan>,
    now: Timestamp,
    gives_up: Timestamp,
    finishing: BTreeMap<HostId, Timestamp>,
    begun: BTreeMap<HostId, Timestamp>,
    done: BTreeMap<HostId, Timestamp>,
    most_at_once: usize,
    most_of_group: BTreeMap<(usize, String), usize>,
    /// Hosts that run the release before the play begins, brought to it by this rollout.
    changed_before: usize,
    cut: bool,
}

impl<'a> Play<'a> {
    fn new(spec: &'a RolloutSpec, fleet: &FleetSnapshot, now: Timestamp) -> Self {
        let mut fleet = fleet.clone();
        for facts in fleet.hosts.values_mut() {
            // A lease that holds now is renewed as long as the host is well.
            facts.host.lease_until = facts.host.lease_until.filter(|until| *until > now).map(|_| FOREVER);
        }
        Self {
            spec,
            intent: RolloutIntent::new(IntentVerb::Run),
            fleet,
            plan: None,
            now,
            gives_up: now.plus(HORIZON),
            finishing: BTreeMap::new(),
            begun: BTreeMap::new(),
            done: BTreeMap::new(),
            most_at_once: 0,
            most_of_group: BTreeMap::new(),
            changed_before: 0,
            cut: false,
        }
    }

    /// Goes on from where it stands.
    fn take_up(&mut self, Begun { intent, plan }: Begun<'_>, assumptions: Assumptions) {
        if plan.state.is_terminal() {
            return;
        }
        self.intent = intent.with(IntentVerb::Run);
        let ends = self.now.plus(assumptions.host_takes);
        let moving = plan.targets.iter().filter(|(_, target)| is_moving(target));
        self.finishing = moving.map(|(host, _)| (host.clone(), ends)).collect();
        self.begun = self.finishing.keys().map(|host| (host.clone(), self.now)).collect();
        self.changed_before = count(plan, |state| {
            matches!(state, TargetState::Committed | TargetState::Unknown { .. } | TargetState::Unhealthy { .. })
        });
        self.plan = Some(plan.clone());
    }

    /// Plans until the plan says all there is to say, and lets hosts do what it says.
    fn look(&mut self) {
        let approvers = vec!["somebody"; usize::try_from(self.spec.approvals).unwrap_or(usize::MAX).min(16)];
        for _ in 0..=self.spec.waves.len() {
            let parent = self.plan.as_ref().map(|plan| (PlanId(Digest::from_bytes([0; 32])), plan));
            let (fleet, now) = (&self.fleet, self.now);
            let input = PlanInput { spec: self.spec, intent: &self.intent, approvers: &approvers, parent, fleet, now };
            match plan(input) {
                Planned::New(next) => self.plan = Some(next),
                Planned::Unchanged => return,
            }
            self.persons_answer();
        }
    }

    /// A pause for a person is answered at once; the wave before it has passed.
    fn persons_answer(&mut self) {
        if let Some(plan) = self.plan.as_ref().filter(|plan| plan.state == RolloutState::Paused) {
            self.intent.wishes.released_waves = u32::try_from(plan.wave.saturating_add(1)).unwrap_or(u32::MAX);
        }
    }

    fn is_over(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.state.is_terminal())
    }

    /// Hosts that were offered something begin; time goes to the next that ends, or to the next that may begin.
    fn go_on(&mut self, assumptions: Assumptions) -> bool {
        self.begin(assumptions);
        self.count();
        let Some(plan) = &self.plan else { return false };
        let ends = self.finishing.values().min().copied();
        let next = next_change(self.spec, plan, &self.fleet, self.now);
        let Some(next) = ends.into_iter().chain(next).min().filter(|next| *next <= self.gives_up) else { return false };
        self.now = next;
        let finished: Vec<HostId> =
            self.finishing.iter().filter(|(_, at)| **at <= next).map(|(host, _)| host.clone()).collect();
        for host in finished {
            self.finish(&host);
        }
        true
    }

    fn begin(&mut self, assumptions: Assumptions) {
        let Some(plan) = &self.plan else { return };
        for (host, target) in &plan.targets {
            let (TargetState::Offered { generation }, Some(wanted)) = (target.state, self.spec.targets.get(host))
            else {
                continue;
            };
            let Some(facts) = self.fleet.hosts.get_mut(host) else { continue };
            let goal = Goal::Install { release: wanted.release.clone(), intent: self.spec.direction };
            facts.host.desired = Some(DesiredState { generation, goal, rollout: self.spec.id });
            let report = facts.host.observed.get_or_insert_with(no_report);
            (report.generation, report.phase) = (Some(generation), UpdatePhase::Downloading);
            self.finishing.insert(host.clone(), self.now.plus(assumptions.host_takes));
            self.begun.insert(host.clone(), self.now);
        }
    }

    fn finish(&mut self, host: &HostId) {
        self.finishing.remove(host);
        self.done.insert(host.clone(), self.now);
        let Some(wanted) = self.spec.targets.get(host) else { return };
        let Some(facts) = self.fleet.hosts.get_mut(host) else { return };
        let generation = self.plan.as_ref().and_then(|plan| plan.targets.get(host)?.state.generation());
        let report = facts.host.observed.get_or_insert_with(no_report);
        report.generation = generation.or(report.generation);
        report.phase = UpdatePhase::Committed;
        report.running = Some(wanted.release.digest);
        let confirmed = Confirmed { running: report.running, generation: report.generation, at: self.now };
        facts.host.confirmed = Some(confirmed);
        // It answers the question that is asked once the quote has passed.
        facts.health = Some(HealthFact { finding: HealthFinding::CanTrade, asked_at: FOREVER });
    }

    fn count(&mut self) {
        self.most_at_once = self.most_at_once.max(self.finishing.len());
        let mut moving = BTreeMap::<(usize, String), usize>::new();
        for wanted in self.finishing.keys().filter_map(|host| self.spec.targets.get(host)) {
            for (budget, value) in wanted.groups.iter().enumerate() {
                let number = moving.entry((budget, value.clone())).or_default();
                *number = number.saturating_add(1);
            }
        }
        for (group, number) in moving {
            let most = self.most_of_group.entry(group).or_default();
            *most = number.max(*most);
        }
    }

    fn told(self) -> Forecast {
        let plan = self.plan.as_ref();
        let reached = |host: &HostId| {
            let state = plan.and_then(|plan| plan.targets.get(host)).map(|target| target.state);
            state == Some(TargetState::Committed)
        };
        let left_out: Vec<(HostId, String)> = self
            .spec
            .targets
            .keys()
            .filter(|host| !reached(host))
            .map(|host| {
                let reason = plan.and_then(|plan| plan.targets.get(host)).map(|target| target.reason.text.clone());
                (host.clone(), reason.unwrap_or_default())
            })
            .collect();
        let over = plan.is_some_and(|plan| plan.state.is_terminal());
        Forecast {
            waves: (0..self.spec.waves.len()).map(|wave| self.wave(wave)).collect(),
            ends: self.done.values().max().copied().or(Some(self.now)).filter(|_| left_out.is_empty()),
            most_at_once: self.most_at_once,
            groups: self.groups(),
            stands_still: match plan.filter(|_| !over) {
                Some(_) if self.cut => "the forecast was cut: it would have taken too long".to_owned(),
                plan => plan.map(|plan| plan.cause.clone()).unwrap_or_default(),
            },
            begins: self.begun.clone(),
            left_out,
        }
    }

    fn wave(&self, wave: usize) -> WaveForecast {
        let hosts: BTreeSet<&HostId> =
            self.spec.targets.iter().filter(|(_, target)| target.wave == wave).map(|(host, _)| host).collect();
        let of = |times: &BTreeMap<HostId, Timestamp>| -> Vec<Timestamp> {
            let mut times: Vec<Timestamp> = hosts.iter().filter_map(|host| times.get(*host)).copied().collect();
            times.sort_unstable();
            times
        };
        let (begun, done) = (of(&self.begun), of(&self.done));
        let enough = usize::try_from(self.spec.max_failures.get()).unwrap_or(usize::MAX);
        let halts = done.get(enough.min(done.len()).saturating_sub(1)).copied();
        // What begins at the very moment of the failure begins after it: error gates come first.
        let changed = halts.map_or(0, |halts| {
            self.begun.values().filter(|begun| **begun < halts).count().saturating_add(self.changed_before)
        });
        WaveForecast {
            name: self.spec.wave_name(wave).to_owned(),
            hosts: hosts.len(),
            begins: begun.first().copied(),
            ends: done.last().copied(),
            changed_when_it_halts: changed,
        }
    }

    fn groups(&self) -> Vec<GroupForecast> {
        let mut sizes = BTreeMap::<(usize, &str), usize>::new();
        for wanted in self.spec.targets.values() {
            for (budget, value) in wanted.groups.iter().enumerate() {
                let size = sizes.entry((budget, value)).or_default();
                *size = size.saturating_add(1);
            }
        }
        let group = |((index, value), hosts): ((usize, &str), usize)| {
            let budget = self.spec.budgets.get(index)?;
            let most_at_once = self.most_of_group.get(&(index, value.to_owned())).copied().unwrap_or(0);
            let label = &budget.wish.label;
            let name = if value.is_empty() { format!("no {label}") } else { format!("{label}={value}") };
            Some(GroupForecast { name, hosts, most_at_once, limit: budget.limit(value) })
        };
        sizes.into_iter().filter_map(group).collect()
    }
}

/// What a host says that has said nothing yet.
fn no_report() -> UpdateReport {
    UpdateReport {
        generation: None,
        sequence: 0,
        phase: UpdatePhase::Committed,
        running: None,
        version: String::new(),
        detail: String::new(),
    }
}

/// When time alone may change the plan next: the end of a bake, hours that open, a freeze, a wave of the release.
fn next_change(spec: &RolloutSpec, plan: &RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) -> Option<Timestamp> {
    let opens = match hours(spec, now) {
        Hours::Closed { opens, .. } => opens,
        Hours::Open => None,
    };
    let waits = |host: &HostId| plan.targets.get(host).is_some_and(|target| target.state.is_waiting());
    let reached = spec.targets.iter().filter(|(host, _)| waits(host)).filter_map(|(_, target)| target.not_before);
    let reached = reached.filter(|at| *at > now).min();
    let later = [bakes_until(spec, plan, now), opens, fleet.next_freeze_change(now), reached, spec.deadline];
    later.into_iter().flatten().filter(|at| *at > now).min()
}
