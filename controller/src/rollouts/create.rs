//! Makes rollouts: which hosts, in which waves, from what to what.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};

use flota_model::budget::Budget;
use flota_model::host::Host;
use flota_model::release::{Release, ReleaseRef};
use flota_model::rollout::{
    Gates, HealthGate, IntentVerb, LateJoiners, OnHalt, PauseAfter, RolloutIntent, RolloutSpec, TargetSpec, Urgency,
};
use flota_model::update::Direction;
use flota_model::{Digest, HostId, HostName, RolloutId, Timestamp};
use flota_planner::{Canaries, WaveSizes, assign_waves};
use flota_proto::v1;
use flota_release::Terms;
use serde_json::json;

use super::pacing;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::select;
use crate::releases::{check_signed, signed};
use crate::settings::{MAX_APPROVALS, Ticket};

/// Tries for a free number: each failure means that somebody else created a rollout at the same moment.
const MAX_TRIES: usize = 8;
/// Persons who must agree to an emergency beside its author's word.
const EMERGENCY_APPROVALS: u32 = 2;
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;
/// In the place of a selector that selects all.
pub(super) const ALL_HOSTS: &str = "all hosts";
/// Share of a wave's ended hosts that must have succeeded when nothing was said: one of fifty may fail.
const DEFAULT_MIN_SUCCESS: u32 = 98;
/// Share of a wave that must have ended when nothing was said: a wave of which half is away proves nothing.
const DEFAULT_MIN_COVERAGE: u32 = 50;

/// A rollout of one release to the selected hosts.
pub async fn forward(core: &Core, actor: &str, request: &v1::CreateRolloutRequest) -> Result<RolloutId, Fault> {
    let draft = draft(core, actor, request).await?;
    enter(core, actor, draft).await
}

/// A rollout to one host, for what is not asked for as one.
pub struct OneHost<'a> {
    /// Which.
    pub host: &'a HostName,
    /// What it brings.
    pub release: &'a ReleaseRef,
    /// Change ticket.
    pub ticket: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// A draft of it. Whoever makes it asks for the health check.
pub async fn for_one_host(core: &Core, actor: &str, wish: &OneHost<'_>) -> Result<RolloutId, Fault> {
    let OneHost { host, release, ticket, reason } = *wish;
    let request = v1::CreateRolloutRequest {
        release: release.digest.to_string(),
        selector: format!("host={host}"),
        ticket: ticket.to_owned(),
        reason: reason.to_owned(),
        no_health_check: true,
        pause_after: PauseAfter::Nothing.to_string(),
        on_halt: OnHalt::Wait.to_string(),
        ..v1::CreateRolloutRequest::default()
    };
    forward(core, actor, &request).await
}

/// What would be created: number 0, and nothing is stored.
pub async fn draft(core: &Core, actor: &str, request: &v1::CreateRolloutRequest) -> Result<RolloutSpec, Fault> {
    let urgency = urgency(request)?;
    let ticket = required_ticket(core, &request.ticket)?;
    let deadline = pacing::deadline(core, &request.deadline)?;
    let releases = core.store.releases().await?;
    let release = find_release(&releases, &request.release)?.target.clone();
    let terms = check_signed(core, &release).await?;
    check_expiry(core, &release, deadline).await?;
    let selection = select::Selection { selector: &request.selector, names: &[], all: request.all_hosts };
    let hosts = select::hosts(core, selection).await?;
    let budgets = pacing::budgets(core, &request.budgets).await?;
    let canary = NonZeroU32::new(request.canary).unwrap_or(NonZeroU32::MIN);
    let canaries = if request.canary_in_each_wave { Canaries::OfEachWave } else { Canaries::OfTheRollout };
    let sizes = WaveSizes { canary: size(canary), wave: NonZeroU32::new(request.wave_size).map(size), canaries };
    let (waves, names) = assign_waves(hosts.len(), sizes);
    let widest = u32::try_from(hosts.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let wave_size = NonZeroU32::new(request.wave_size).unwrap_or(widest);
    let members = hosts.iter().zip(waves).map(|(host, wave)| {
        let target = target(host, wave, Offer { release: &release, terms: &terms, releases: &releases }, &budgets)?;
        Ok((host.id.clone(), target))
    });
    Ok(RolloutSpec {
        id: RolloutId::new(0),
        release: release.clone(),
        direction: Direction::Forward,
        selector: if request.selector.is_empty() { ALL_HOSTS.into() } else { request.selector.clone() },
        targets: members.collect::<Result<_, Fault>>()?,
        waves: names,
        max_in_flight: NonZeroU32::new(request.max_in_flight).unwrap_or(wave_size),
        budgets,
        windows: pacing::windows(&request.windows)?,
        markets: pacing::markets(core, &request.markets)?,
        max_failures: NonZeroU32::new(request.max_failures).unwrap_or(NonZeroU32::MIN),
        gates: gates(request)?,
        bake: pacing::bake(request.bake_seconds)?,
        pause_after: request.pause_after.parse().map_err(Fault::bad)?,
        on_halt: request.on_halt.parse().map_err(Fault::bad)?,
        deadline,
        urgency,
        late_joiners: if request.late_joiners { LateJoiners::LastWave } else { LateJoiners::LeftOut },
        approvals: approvals(core, request, urgency)?,
        supersedes: superseded(core, &request.supersedes).await?,
        ticket,
        rollback_of: None,
        created_by: actor.to_owned(),
        created_at: core.now(),
        reason: request.reason.chars().take(MAX_REASON).collect(),
        amended_by: BTreeSet::new(),
    })
}

/// An emergency goes through windows, markets and freezes; so it says why, and two other persons must agree.
/// The gates that were asked for; zero means the default.
fn gates(request: &v1::CreateRolloutRequest) -> Result<Gates, Fault> {
    let or = |number: u32, default: u32| if number == 0 { default } else { number };
    let rate = Some(request.max_failure_rate).filter(|rate| *rate > 0).map(pacing::percent).transpose()?;
    Ok(Gates {
        max_failure_rate: rate,
        min_success: pacing::percent(or(request.min_success, DEFAULT_MIN_SUCCESS))?,
        min_sample: NonZeroU32::new(request.min_sample).unwrap_or(NonZeroU32::MIN),
        min_coverage: pacing::percent(or(request.min_coverage, DEFAULT_MIN_COVERAGE))?,
        health: if request.no_health_check { HealthGate::NotAsked } else { HealthGate::Asked },
    })
}

fn urgency(request: &v1::CreateRolloutRequest) -> Result<Urgency, Fault> {
    match (request.emergency, request.reason.trim()) {
        (false, _) => Ok(Urgency::Normal),
        (true, "") => Err(Fault::new(Code::BadRequest, "an emergency needs a reason").fix("--reason TEXT")),
        (true, _) => Ok(Urgency::Emergency),
    }
}

/// A ticket that may be named, and is where the settings ask for one.
pub fn required_ticket(core: &Core, text: &str) -> Result<String, Fault> {
    let ticket = pacing::ticket(text)?;
    if ticket.trim().is_empty() && core.settings.rollouts.ticket == Ticket::Required {
        return Err(Fault::new(Code::BadRequest, "on this controller every rollout names its change ticket")
            .fix("--ticket TICKET"));
    }
    Ok(ticket)
}

/// The most that settings, author and urgency ask for.
fn approvals(core: &Core, request: &v1::CreateRolloutRequest, urgency: Urgency) -> Result<u32, Fault> {
    if request.approvals > MAX_APPROVALS {
        return Err(Fault::new(Code::BadRequest, format!("{MAX_APPROVALS} approvals at most")));
    }
    let urgent = if urgency == Urgency::Emergency { EMERGENCY_APPROVALS } else { 0 };
    Ok(request.approvals.max(core.settings.rollouts.approvals).max(urgent))
}

async fn superseded(core: &Core, text: &str) -> Result<Option<RolloutId>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let id: RolloutId = text.parse().map_err(Fault::bad)?;
    match core.store.rollout(id).await? {
        None => Err(Fault::not_found("rollout", text).fix("flota rollout list")),
        Some(other) if other.finished_at.is_some() => {
            Err(Fault::new(Code::WrongState, format!("{id} is over: there is nothing to take the place of")))
        }
        Some(_) => Ok(Some(id)),
    }
}

/// No rollout is to run longer than hosts believe its release.
pub(super) async fn check_expiry(core: &Core, release: &ReleaseRef, deadline: Option<Timestamp>) -> Result<(), Fault> {
    let Some(deadline) = deadline else { return Ok(()) };
    let expiry = signed(core).await?.first_expiry();
    match expiry.map(|expiry| (expiry.role, Timestamp::from_micros(expiry.at.as_microsecond()))) {
        Some((role, at)) if at < deadline => {
            let version = &release.version;
            let sentence =
                format!("release {version} is valid until {at} (role {}), the deadline is {deadline}", role.name());
            Err(Fault::new(Code::WrongState, sentence).fix("an earlier deadline, or flota release sign DIR --extend"))
        }
        _ => Ok(()),
    }
}

/// What is brought to a host.
#[derive(Clone, Copy)]
pub(super) struct Offer<'a> {
    pub(super) release: &'a ReleaseRef,
    pub(super) terms: &'a Terms,
    /// All that are known, to tell what the host runs.
    pub(super) releases: &'a [Release],
}

/// A host's part in a rollout.
pub(super) fn target(host: &Host, wave: usize, offer: Offer<'_>, budgets: &[Budget]) -> Result<TargetSpec, Fault> {
    Ok(TargetSpec {
        name: host.name.clone(),
        wave,
        release: offer.release.clone(),
        previous: running(host, offer.releases),
        groups: budgets.iter().map(|budget| group(host, budget)).collect(),
        not_before: signed_wave(offer.terms, offer.release, &host.id, &host.name)?,
    })
}

/// The group of a host in a budget.
fn group(host: &Host, budget: &Budget) -> String {
    host.labels.value(&budget.wish.label).unwrap_or_default().to_owned()
}

/// When the release's own waves reach a host. One that they never reach would refuse for ever.
fn signed_wave(terms: &Terms, release: &ReleaseRef, id: &HostId, name: &HostName) -> Result<Option<Timestamp>, Fault> {
    if terms.waves.is_empty() {
        return Ok(None);
    }
    let from = terms.admits_from(id.as_str(), release.digest.as_bytes()).ok_or_else(|| {
        let sentence = format!("the signed waves of {} never reach {name}: it would refuse", release.version);
        Fault::new(Code::PackageRefused, sentence).fix("leave that host out, or sign a release with wider waves")
    })?;
    Ok(Some(Timestamp::from_micros(from.as_microsecond())))
}

/// Stores it under the next number.
pub(super) async fn enter(core: &Core, actor: &str, draft: RolloutSpec) -> Result<RolloutId, Fault> {
    let intent = RolloutIntent::new(IntentVerb::Draft);
    for _ in 0..MAX_TRIES {
        let spec = RolloutSpec { id: core.store.next_rollout_id().await?, ..draft.clone() };
        let details = json!({
            "spec": digest(&spec)?, "release": spec.release, "selector": spec.selector, "hosts": spec.targets.len(),
            "waves": spec.waves, "budgets": wishes(&spec),
            "windows": spec.windows, "ticket": spec.ticket, "rollback_of": spec.rollback_of,
            "urgency": spec.urgency, "approvals": spec.approvals, "deadline": spec.deadline,
            "supersedes": spec.supersedes, "reason": spec.reason,
        });
        let audit = core.audit_by(actor, "rollout.create", format!("rollout/{}", spec.id), "ok", &details);
        if core.store.create_rollout(&spec, &intent, &audit).await? {
            return Ok(spec.id);
        }
    }
    Err(Fault::new(Code::Changed, "others create rollouts at the same moment").fix("try again"))
}

/// What approvals of a specification are bound to, and what the audit log names it by: the digest of its text.
pub(super) fn digest(spec: &RolloutSpec) -> Result<Digest, Fault> {
    let text = serde_json::to_vec(spec)
        .map_err(|error| Fault::new(Code::Bug, "a specification could not be written").because(error))?;
    Ok(Digest::of(&text))
}

/// What was asked for, for people and the audit log.
pub fn wishes(spec: &RolloutSpec) -> Vec<String> {
    spec.budgets.iter().map(|budget| budget.wish.to_string()).collect()
}

/// A release by version, digest, or a prefix of a digest that no other has.
pub fn find_release<'a>(releases: &'a [Release], text: &str) -> Result<&'a Release, Fault> {
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

fn size(number: NonZeroU32) -> NonZeroUsize {
    NonZeroUsize::try_from(number).unwrap_or(NonZeroUsize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let asked = |waves| signed_wave(&terms(waves), &release, &id, &name);
        assert_eq!(asked(Vec::new()).unwrap(), None);
        let hour = Timestamp::from_micros(0).plus(Duration::from_hours(1));
        assert_eq!(asked(vec![Wave { after_seconds: 3600, permille: 1000 }]).unwrap(), Some(hour));
        let refused = asked(vec![Wave { after_seconds: 0, permille: 0 }]).unwrap_err();
        assert_eq!(refused.code, Code::PackageRefused);
        assert!(refused.sentence.contains("never reach fra-bot-01"), "{}", refused.sentence);
    }
}
