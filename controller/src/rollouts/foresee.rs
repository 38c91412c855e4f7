//! How a rollout would go: the planner's forecast over the fleet of now, with how long hosts took before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flota_model::Timestamp;
use flota_model::rollout::{RAN_ALREADY, RolloutPlan, RolloutSpec, TargetState};
use flota_model::update::Direction;
use flota_planner::{Assumptions, Begun, Forecast, forecast_while};
use flota_store::RolloutRecord;

use super::snapshot;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::releases::signed;

/// How long a host takes when nothing is known: download, export, switch, probation, quote and check.
const DEFAULT_HOST: Duration = Duration::from_mins(5);
/// No host is taken for quicker.
const LEAST_HOST: Duration = Duration::from_secs(1);
/// Rollouts that are looked at for how long hosts took, the newest.
const LOOKED_AT: usize = 5;
/// How long a play may take: an answer must come before the call is given up.
const LONGEST_PLAY: Duration = Duration::from_secs(10);
/// Longest time that may be assumed.
const MAX_HOST: Duration = Duration::from_hours(24);

/// A forecast, and what it is based on.
pub struct Foreseen {
    /// What the planner says.
    pub forecast: Forecast,
    /// How long a host was assumed to take.
    pub host_takes: Duration,
    /// Where that comes from.
    pub because: String,
    /// What people should know before they approve it.
    pub warnings: Vec<String>,
    /// From when on it was played.
    pub now: Timestamp,
}

/// Plays a rollout that begins now.
pub async fn foresee(
    core: &Core,
    spec: &RolloutSpec,
    begun: Option<&RolloutRecord>,
    host_seconds: u32,
) -> Result<Foreseen, Fault> {
    let alone = Arc::clone(&core.forecasts).acquire_owned().await;
    let hosts = core.store.hosts().await?;
    let fleet = snapshot(core, spec, hosts).await?;
    let now = core.now();
    let (host_takes, because) = match Duration::from_secs(u64::from(host_seconds)) {
        Duration::ZERO => measured(core).await?,
        given if given <= MAX_HOST => (given, "as you said".to_owned()),
        _ => return Err(Fault::new(Code::BadRequest, "a host takes 24 hours at most")),
    };
    // Some thousand looks at a plan of a large fleet take seconds: beside the work, not in its way.
    let (played, spec) = (spec.clone(), spec.clone());
    let begun = begun.and_then(|record| Some((record.intent.clone(), record.plan.as_ref()?.1.clone())));
    let play = move || {
        // Held until the play is over, also when nobody waits for it any more.
        let _alone = alone;
        let played_since = Instant::now();
        let begun = begun.as_ref().map(|(intent, plan)| Begun { intent, plan });
        forecast_while(&played, begun, &fleet, now, Assumptions { host_takes }, &|| {
            played_since.elapsed() < LONGEST_PLAY
        })
    };
    let forecast = tokio::task::spawn_blocking(play).await;
    let forecast = forecast.map_err(|error| Fault::new(Code::Bug, "a forecast was cut off").because(error))?;
    let warnings = warnings(core, &spec, &forecast).await;
    Ok(Foreseen { forecast, host_takes, because, warnings, now })
}

/// The median of what hosts of the newest rollouts took from their start to their confirmation.
async fn measured(core: &Core) -> Result<(Duration, String), Fault> {
    let records = core.store.rollouts().await?;
    let mut took: Vec<Duration> = Vec::new();
    let mut from = Vec::new();
    let forward = |record: &&RolloutRecord| record.spec.direction == Direction::Forward;
    for record in records.iter().filter(forward).filter(|record| record.started_at.is_some()).take(LOOKED_AT) {
        let Some(((_, plan), started)) = record.plan.as_ref().zip(record.started_at) else { continue };
        // It may have waited for its last approval.
        let started = record.approvals.iter().map(|approval| approval.at).chain([started]).max().unwrap_or(started);
        let of_canary: Vec<Duration> = canary(&record.spec, plan).map(|done| done.since(started)).collect();
        if !of_canary.is_empty() {
            from.push(record.spec.id.to_string());
            took.extend(of_canary);
        }
    }
    took.sort_unstable();
    Ok(match took.get(took.len() / 2) {
        Some(median) => ((*median).max(LEAST_HOST), format!("median of the canaries of {}", from.join(", "))),
        None => (DEFAULT_HOST, "assumed: no rollout has ended here yet".to_owned()),
    })
}

/// When hosts of the canary were done: they begin with the rollout, so that says how long they took.
fn canary(spec: &RolloutSpec, plan: &RolloutPlan) -> impl Iterator<Item = Timestamp> {
    let in_canary = |host| spec.targets.get(host).is_some_and(|target| target.wave == 0);
    let done = plan.targets.iter().filter(move |(host, target)| {
        let updated = target.state == TargetState::Committed && !target.reason.text.starts_with(RAN_ALREADY);
        updated && in_canary(*host) && spec.windows.is_empty() && spec.markets.is_empty()
    });
    done.map(|(_, target)| target.since)
}

async fn warnings(core: &Core, spec: &RolloutSpec, forecast: &Forecast) -> Vec<String> {
    let mut warnings = Vec::new();
    let version = &spec.release.version;
    match signed(core).await.ok().and_then(|catalogue| catalogue.first_expiry()) {
        Some(expiry) => {
            let at = Timestamp::from_micros(expiry.at.as_microsecond());
            if forecast.ends.is_none_or(|ends| at < ends) {
                let role = expiry.role.name();
                warnings.push(format!("release {version} is valid until {at} (role {role}), and it may run longer"));
            }
        }
        None => warnings.push(format!("nothing says until when release {version} is valid")),
    }
    if forecast.begins.is_empty() {
        warnings.push("no host would be started".to_owned());
    }
    if let Some((deadline, ends)) = spec.deadline.zip(forecast.ends).filter(|(deadline, ends)| deadline < ends) {
        warnings.push(format!("the deadline {deadline} passes before the last host is done at {ends}"));
    }
    warnings
}
