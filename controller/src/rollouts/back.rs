//! The way back of a rollout, or of a part of it: a rollout of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::host::Host;
use flota_model::release::ReleaseRef;
use flota_model::rollout::{Gates, LateJoiners, OnHalt, PauseAfter, RolloutSpec, TargetSpec, TargetState, Urgency};
use flota_model::update::Direction;
use flota_model::{Digest, HostId, RolloutId};
use flota_store::RolloutRecord;

use super::create::enter;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Hosts that are named before they are counted.
const NAMED: usize = 10;

/// Which of a rollout's hosts are taken back.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// These; empty: all.
    pub hosts: BTreeSet<HostId>,
    /// Those of this wave; none: all.
    pub wave: Option<usize>,
}

impl Part {
    /// Whether it is the whole rollout.
    pub fn is_all(&self) -> bool {
        self.hosts.is_empty() && self.wave.is_none()
    }

    fn has(&self, host: &HostId, target: &TargetSpec) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(host)) && self.wave.is_none_or(|wave| wave == target.wave)
    }
}

/// A rollout that takes every host of that part that `record` has started back to what it ran before. Hosts that went back
/// by themselves are in it too: the planner sees that they are where they should be. Hosts that a later rollout has brought
/// something else are not: going back past that one is a decision of its own.
pub async fn back(core: &Core, actor: &str, record: &RolloutRecord, part: &Part) -> Result<RolloutId, Fault> {
    let original = &record.spec;
    if original.direction == Direction::Back {
        // It would bring the release forward again, at once and past every gate.
        let sentence =
            format!("{} is a way back itself: to bring a release again, create a rollout of it", original.id);
        return Err(Fault::new(Code::WrongState, sentence).fix("flota rollout create --release RELEASE"));
    }
    let planned =
        |host: &HostId| record.plan.as_ref().and_then(|(_, plan)| plan.targets.get(host)).map(|target| target.state);
    let was_started =
        |host: &HostId| planned(host).is_some_and(|state| !state.is_waiting() && state != TargetState::Skipped);
    let started = || original.targets.iter().filter(|(host, target)| part.has(host, target) && was_started(host));
    let fleet: BTreeMap<HostId, Host> =
        core.store.hosts().await?.into_iter().map(|host| (host.id.clone(), host)).collect();
    let is_still_ours = |host: &HostId, target: &TargetSpec| {
        fleet.get(host).is_some_and(|host| {
            let running = host.observed.as_ref().and_then(|report| report.running);
            let ours = host.desired.as_ref().is_none_or(|desired| desired.rollout == original.id);
            ours || running == Some(target.release.digest)
        })
    };
    let stranded: Vec<&str> = started()
        .filter(|(host, target)| is_still_ours(host, target) && target.previous.is_none())
        .map(|(_, target)| target.name.as_str())
        .collect();
    let targets: BTreeMap<HostId, TargetSpec> = started()
        .filter(|(host, target)| is_still_ours(host, target))
        .filter_map(|(host, target)| {
            let previous = target.previous.clone().filter(|previous| previous.digest != target.release.digest)?;
            let release = target.release.clone();
            let name = target.name.clone();
            // Going back keeps the budgets: it disrupts as much.
            let (groups, previous_release) = (target.groups.clone(), Some(release));
            let back =
                TargetSpec { name, wave: 0, release: previous, previous: previous_release, groups, not_before: None };
            Some((host.clone(), back))
        })
        .collect();
    let Some(release) = commonest(&targets) else {
        let which = if part.is_all() { "no host" } else { "none of these hosts" };
        let sentence = format!("{} has {which} on what it brought, with a known release to go back to", original.id);
        return Err(Fault::new(Code::WrongState, sentence).fix(format!("flota rollout explain {}", original.id)));
    };
    let all = u32::try_from(targets.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let draft = RolloutSpec {
        id: RolloutId::new(0),
        release,
        direction: Direction::Back,
        selector: if part.is_all() {
            format!("hosts changed by {}", original.id)
        } else {
            format!("some hosts changed by {}", original.id)
        },
        targets,
        waves: vec!["all".into()],
        max_in_flight: all,
        budgets: original.budgets.clone(),
        // A way back does not wait for hours, nor for persons.
        windows: Vec::new(),
        markets: Vec::new(),
        urgency: Urgency::Normal,
        approvals: 0,
        deadline: None,
        gates: Gates::default(),
        pause_after: PauseAfter::Nothing,
        on_halt: OnHalt::Wait,
        late_joiners: LateJoiners::LeftOut,
        supersedes: None,
        reason: left_out(&stranded),
        // Going back does not stop for a host that cannot.
        max_failures: all.saturating_add(1),
        bake: Duration::ZERO,
        ticket: original.ticket.clone(),
        rollback_of: Some(original.id),
        created_by: actor.to_owned(),
        created_at: core.now(),
        amended_by: BTreeSet::new(),
    };
    enter(core, actor, draft).await
}

/// Who stays with what was brought, for whoever reads the plan.
fn left_out(stranded: &[&str]) -> String {
    if stranded.is_empty() {
        return String::new();
    }
    let (named, more) = (stranded.get(..NAMED).unwrap_or(stranded), stranded.len().saturating_sub(NAMED));
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("left out, since what they ran before was not published here: {}{more}", named.join(", "))
}

fn commonest(targets: &BTreeMap<HostId, TargetSpec>) -> Option<ReleaseRef> {
    let mut counts: BTreeMap<Digest, (usize, &ReleaseRef)> = BTreeMap::new();
    for target in targets.values() {
        let entry = counts.entry(target.release.digest).or_insert((0, &target.release));
        entry.0 = entry.0.saturating_add(1);
    }
    counts.into_values().max_by_key(|(count, _)| *count).map(|(_, release)| release.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_to_go_back_to_is_named() {
        assert_eq!(left_out(&[]), "");
        assert_eq!(left_out(&["a", "b"]), "left out, since what they ran before was not published here: a, b");
        assert!(left_out(&["a"; 13]).ends_with("a, a and 3 more"));
    }
}
