//! Makes rollouts: which hosts, in which waves, from what to what.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use flota_model::budget::{Budget, BudgetWish, MAX_BUDGETS};
use flota_model::host::{Host, Trust};
use flota_model::release::{Release, ReleaseRef};
use flota_model::rollout::{IntentVerb, RolloutIntent, RolloutSpec, TargetSpec, TargetState};
use flota_model::update::Direction;
use flota_model::window::{MAX_WINDOWS, Window};
use flota_model::{Digest, HostId, HostName, RolloutId, Timestamp};
use flota_planner::{WaveSizes, assign_waves, is_zone};
use flota_proto::v1;
use flota_release::Terms;
use flota_store::RolloutRecord;
use serde_json::json;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::select;
use crate::releases::check_signed;

/// Tries for a free number: each failure means that somebody else created a rollout at the same moment.
const MAX_TRIES: usize = 8;
/// Longest bake time: a week.
const MAX_BAKE_SECONDS: u32 = 7 * 24 * 60 * 60;
/// Longest ticket reference, in bytes.
const MAX_TICKET_BYTES: usize = 100;

/// A rollout of one release to the selected hosts.
pub async fn forward(core: &Core, actor: &str, request: &v1::CreateRolloutRequest) -> Result<RolloutId, Fault> {
    if request.bake_seconds > MAX_BAKE_SECONDS {
        return Err(Fault::new(Code::BadRequest, "a wave bakes 7 days at most"));
    }
    if request.ticket.len() > MAX_TICKET_BYTES {
        return Err(Fault::new(Code::BadRequest, "the ticket is longer than 100 bytes"));
    }
    let releases = core.store.releases().await?;
    let release = find_release(&releases, &request.release)?.target.clone();
    let terms = check_signed(core, &release).await?;
    let selection = select::Selection { selector: &request.selector, names: &[], all: request.all_hosts };
    let hosts = select::hosts(core, selection).await?;
    let budgets = budgets(core, &request.budgets).await?;
    let windows = windows(&request.windows)?;
    let canary = NonZeroU32::new(request.canary).unwrap_or(NonZeroU32::MIN);
    let sizes = WaveSizes { canary: size(canary), wave: NonZeroU32::new(request.wave_size).map(size) };
    let (waves, names) = assign_waves(hosts.len(), sizes);
    let widest = u32::try_from(hosts.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let wave_size = NonZeroU32::new(request.wave_size).unwrap_or(widest);
    let reached = signed_waves(&terms, &release, hosts.iter().map(|host| (&host.id, &host.name)))?;
    let targets = hosts.iter().zip(waves).zip(reached).map(|((host, wave), not_before)| {
        let previous = running(host, &releases);
        let groups = budgets.iter().map(|budget| group(host, budget)).collect();
        let name = host.name.clone();
        let target = TargetSpec { name, wave, release: release.clone(), previous, groups, not_before };
        (host.id.clone(), target)
    });
    let draft = RolloutSpec {
        id: RolloutId::new(0),
        release: release.clone(),
        direction: Direction::Forward,
        selector: if request.selector.is_empty() { "all hosts".into() } else { request.selector.clone() },
        targets: targets.collect(),
        waves: names,
        max_in_flight: NonZeroU32::new(request.max_in_flight).unwrap_or(wave_size),
        budgets: budgets.clone(),
        windows,
        max_failures: NonZeroU32::new(request.max_failures).unwrap_or(NonZeroU32::MIN),
        bake: Duration::from_secs(u64::from(request.bake_seconds)),
        ticket: request.ticket.clone(),
        rollback_of: None,
        created_by: actor.to_owned(),
        created_at: core.now(),
    };
    enter(core, actor, draft).await
}

/// A rollout that takes every host that `record` has started back to what it ran before. Hosts that went back by
/// themselves are in it too: the planner sees that they are where they should be.
pub async fn back(core: &Core, actor: &str, record: &RolloutRecord) -> Result<RolloutId, Fault> {
    let original = &record.spec;
    let planned =
        |host: &HostId| record.plan.as_ref().and_then(|(_, plan)| plan.targets.get(host)).map(|target| target.state);
    let was_started =
        |host: &HostId| planned(host).is_some_and(|state| !state.is_waiting() && state != TargetState::Skipped);
    let started = original.targets.iter().filter(|(host, _)| was_started(host));
    let targets: BTreeMap<HostId, TargetSpec> = started
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
        let sentence = format!("{} has started no host with a known release to go back to", original.id);
        return Err(Fault::new(Code::WrongState, sentence).fix(format!("flota rollout explain {}", original.id)));
    };
    let all = u32::try_from(targets.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let draft = RolloutSpec {
        id: RolloutId::new(0),
        release,
        direction: Direction::Back,
        selector: format!("hosts changed by {}", original.id),
        targets,
        waves: vec!["all".into()],
        max_in_flight: all,
        budgets: original.budgets.clone(),
        // A way back does not wait for a window.
        windows: Vec::new(),
        // Going back does not stop for a host that cannot.
        max_failures: all.saturating_add(1),
        bake: Duration::ZERO,
        ticket: original.ticket.clone(),
        rollback_of: Some(original.id),
        created_by: actor.to_owned(),
        created_at: core.now(),
    };
    enter(core, actor, draft).await
}

/// The budgets that were asked for, with their limits in the fleet of now.
async fn budgets(core: &Core, asked: &[String]) -> Result<Vec<Budget>, Fault> {
    if asked.len() > MAX_BUDGETS {
        return Err(Fault::new(Code::BadRequest, format!("a rollout has {MAX_BUDGETS} budgets at most")));
    }
    let wishes = asked.iter().map(|text| text.parse::<BudgetWish>()).collect::<Result<Vec<_>, _>>();
    let wishes = wishes.map_err(Fault::bad)?;
    let hosts = core.store.hosts().await?;
    let hosts: Vec<&Host> = hosts.iter().filter(|host| host.trust != Trust::Retired).collect();
    let budget = |wish: BudgetWish| {
        if !hosts.iter().any(|host| host.labels.value(&wish.label).is_some()) {
            let sentence = format!("no host has the label `{}`: the budget would bind nobody by it", wish.label);
            return Err(Fault::new(Code::BadRequest, sentence).fix("flota host list -o wide"));
        }
        let values: Vec<&str> = hosts.iter().map(|host| host.labels.value(&wish.label).unwrap_or_default()).collect();
        Ok(Budget::new(wish, values))
    };
    wishes.into_iter().map(budget).collect()
}

/// The windows that were asked for.
fn windows(asked: &[String]) -> Result<Vec<Window>, Fault> {
    if asked.len() > MAX_WINDOWS {
        return Err(Fault::new(Code::BadRequest, format!("a rollout has {MAX_WINDOWS} windows at most")));
    }
    let window = |text: &String| {
        let window: Window = text.parse().map_err(Fault::bad)?;
        if is_zone(&window.zone) {
            return Ok(window);
        }
        let sentence = format!("`{}` is no time zone: expected a name as in Europe/Warsaw, or UTC", window.zone);
        Err(Fault::new(Code::BadRequest, sentence))
    };
    asked.iter().map(window).collect()
}

/// The group of a host in a budget.
fn group(host: &Host, budget: &Budget) -> String {
    host.labels.value(&budget.wish.label).unwrap_or_default().to_owned()
}

/// When the release's own waves reach each host. One that they never reach would refuse for ever.
fn signed_waves<'a>(
    terms: &Terms,
    release: &ReleaseRef,
    hosts: impl IntoIterator<Item = (&'a HostId, &'a HostName)>,
) -> Result<Vec<Option<Timestamp>>, Fault> {
    let reached = |(id, name): (&HostId, &HostName)| {
        if terms.waves.is_empty() {
            return Ok(None);
        }
        let from = terms.admits_from(id.as_str(), release.digest.as_bytes()).ok_or_else(|| {
            let sentence = format!("the signed waves of {} never reach {name}: it would refuse", release.version);
            Fault::new(Code::PackageRefused, sentence).fix("leave that host out, or sign a release with wider waves")
        })?;
        Ok(Some(Timestamp::from_micros(from.as_microsecond())))
    };
    hosts.into_iter().map(reached).collect()
}

async fn enter(core: &Core, actor: &str, draft: RolloutSpec) -> Result<RolloutId, Fault> {
    let intent = RolloutIntent { verb: IntentVerb::Draft, accepted_failures: 0 };
    for _ in 0..MAX_TRIES {
        let spec = RolloutSpec { id: core.store.next_rollout_id().await?, ..draft.clone() };
        let details = json!({
            "release": spec.release, "selector": spec.selector, "hosts": spec.targets.len(),
            "waves": spec.waves, "budgets": wishes(&spec),
            "windows": spec.windows, "ticket": spec.ticket, "rollback_of": spec.rollback_of,
        });
        let audit = core.audit_by(actor, "rollout.create", format!("rollout/{}", spec.id), "ok", &details);
        if core.store.create_rollout(&spec, intent, &audit).await? {
            return Ok(spec.id);
        }
    }
    Err(Fault::new(Code::Changed, "others create rollouts at the same moment").fix("try again"))
}

/// What was asked for, for people and the audit log.
pub fn wishes(spec: &RolloutSpec) -> Vec<String> {
    spec.budgets.iter().map(|budget| budget.wish.to_string()).collect()
}

/// A release by version, digest, or a prefix of a digest that no other has.
fn find_release<'a>(releases: &'a [Release], text: &str) -> Result<&'a Release, Fault> {
    if let Some(release) = releases.iter().find(|release| release.target.version == text) {
        return Ok(release);
    }
    let matching: Vec<&Release> =
        releases.iter().filter(|release| release.target.digest.to_string().starts_with(text)).collect();
    match matching.as_slice() {
        [release] if text.len() >= 6 => Ok(release),
        _ => Err(Fault::not_found("release", text).fix("flota release list")),
    }
}

/// What a host runs, if it was published here.
fn running(host: &Host, releases: &[Release]) -> Option<ReleaseRef> {
    let runs: Digest = host.observed.as_ref()?.running?;
    releases.iter().find(|release| release.target.digest == runs).map(|release| release.target.clone())
}

fn commonest(targets: &BTreeMap<HostId, TargetSpec>) -> Option<ReleaseRef> {
    let mut counts: BTreeMap<Digest, (usize, &ReleaseRef)> = BTreeMap::new();
    for target in targets.values() {
        let entry = counts.entry(target.release.digest).or_insert((0, &target.release));
        entry.0 = entry.0.saturating_add(1);
    }
    counts.into_values().max_by_key(|(count, _)| *count).map(|(_, release)| release.clone())
}

fn size(number: NonZeroU32) -> NonZeroUsize {
    NonZeroUsize::try_from(number).unwrap_or(NonZeroUsize::MAX)
}

#[cfg(test)]
mod tests {
    use flota_release::Wave;

    use super::*;

    #[test]
    fn a_host_waits_for_its_wave_and_one_that_none_reaches_is_refused() {
        let release = ReleaseRef { digest: Digest::of(b"package"), version: "5.0".into(), size: 1 };
        let terms = |waves: Vec<Wave>| Terms {
            version: "5.0".into(),
            id: "bot".into(),
            platform: "linux".into(),
            runtime: "python".into(),
            sequence: 1,
            released_at: jiff::Timestamp::UNIX_EPOCH,
            security_floor: 0,
            data_floor: 0,
            upgrades_from: Vec::new(),
            waves,
        };
        let (id, name) = (HostId::of_endorsement_key(&Digest::of(b"ek")), "fra-bot-01".parse::<HostName>().unwrap());
        let asked = |waves| signed_waves(&terms(waves), &release, [(&id, &name)]);
        assert_eq!(asked(Vec::new()).unwrap(), [None]);
        let hour = Timestamp::from_micros(0).plus(Duration::from_hours(1));
        assert_eq!(asked(vec![Wave { after_seconds: 3600, permille: 1000 }]).unwrap(), [Some(hour)]);
        let refused = asked(vec![Wave { after_seconds: 0, permille: 0 }]).unwrap_err();
        assert_eq!(refused.code, Code::PackageRefused);
        assert!(refused.sentence.contains("never reach fra-bot-01"), "{}", refused.sentence);
    }
}
