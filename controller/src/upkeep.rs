//! What has to happen when nobody asks: liveness is stored, overdue tasks end, trust that is not renewed fades.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flota_model::Digest;
use flota_model::host::{Host, Trust};
use flota_store::PolicyState;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::blobs::SWEEP_AGE;
use crate::core::Core;
use crate::fault::Fault;
use crate::schedule::Schedule;
use crate::settings::MISSED_FOR_STALE;
use crate::{alerting, archive, checkpoints, health};

/// Liveness is stored in batches this often; a crash loses no more than that much of "last seen".
const INTERVAL: Duration = Duration::from_secs(2);
/// Boot logs and blobs that nobody names any more are removed once in so many rounds: hourly.
const SWEEP_ROUNDS: u32 = 1800;
/// Schedules are looked at once in so many rounds: once in `schedule::ROUND`.
const SCHEDULE_ROUNDS: u32 = 30;

/// What hosts do by schedule.
#[derive(Debug, Default)]
struct Schedules {
    exports: Schedule,
    health: Schedule,
}

/// Keeps things up until told to stop; stores what is left at the end.
pub async fn keep_up(core: Arc<Core>, stopping: CancellationToken) {
    let (mut rounds, mut checkpoint) = (0_u32, 0_u64);
    let mut schedules = Schedules::default();
    loop {
        let stopped = tokio::select! {
            () = stopping.cancelled() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        rounds = rounds.wrapping_add(1);
        if let Err(fault) = round(&core, rounds, (!stopped).then_some(&mut schedules)).await {
            tracing::error!(error = flota_daemon::error_chain::chain(&fault), "upkeep failed; trying again");
        }
        if (stopped || rounds.is_multiple_of(SWEEP_ROUNDS))
            && let Err(fault) = checkpoints::note(&core, &mut checkpoint).await
        {
            tracing::error!(error = flota_daemon::error_chain::chain(&fault), "no checkpoint of the audit log");
        }
        if stopped {
            return;
        }
    }
}

/// `schedules`: none at the end, when nobody is asked for anything any more.
async fn round(core: &Core, number: u32, schedules: Option<&mut Schedules>) -> Result<(), Fault> {
    let seen = core.sessions.take_seen();
    if !seen.is_empty() {
        core.store.seen(&seen).await?;
    }
    let expired = core.store.expire_tasks(core.now()).await?;
    if expired > 0 {
        tracing::warn!(tasks = expired, "tasks ended without a result");
    }
    let mark = core.denied.mark();
    let fleet = core.store.hosts().await?;
    for host in core.denied.replace(mark, &fleet) {
        core.shut_out(&host, "an operator or another controller did it");
    }
    fade_trust(core, &fleet).await?;
    end_windows(core).await?;
    core.policies.reload(&*core.store).await?;
    if let Some(schedules) = schedules
        && number % SCHEDULE_ROUNDS == 1
    {
        archive::keep_schedule(core, &mut schedules.exports).await?;
        health::keep_schedule(core, &mut schedules.health).await?;
    }
    if number.is_multiple_of(SWEEP_ROUNDS) {
        archive::keep_no_longer(core).await?;
        core.store.forget_alerts(core.now().minus(alerting::KEPT).unwrap_or(core.now())).await?;
        core.store.sweep_boot_logs().await?;
        sweep_blobs(core).await?;
    }
    Ok(())
}

/// Blobs that are neither a release nor an export are removed when they are a day old.
async fn sweep_blobs(core: &Core) -> Result<(), Fault> {
    let mut needed: HashSet<Digest> = core.store.exported_blobs().await?.into_iter().collect();
    needed.extend(core.store.releases().await?.iter().map(|release| release.target.digest));
    let blobs = core.blobs.clone();
    let before = SystemTime::now() - SWEEP_AGE;
    match tokio::task::spawn_blocking(move || blobs.sweep(&needed, before)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(removed)) => tracing::info!(blobs = removed, "blobs that nothing refers to were removed"),
        Ok(Err(error)) => tracing::error!(%error, "blobs could not be swept"),
        Err(error) => tracing::error!(%error, "the sweep of blobs ended early"),
    }
    Ok(())
}

/// Policies whose time is over are retired, so that lists and dashboards say what holds.
async fn end_windows(core: &Core) -> Result<(), Fault> {
    for policy in core.store.policies().await? {
        let (PolicyState::Staged { until, .. } | PolicyState::Retiring { until }) = policy.state else { continue };
        if core.now() < until {
            continue;
        }
        let object = format!("policy/{}@{}", policy.name, policy.version);
        let details = json!({ "was": policy.state.as_str(), "until": until });
        let audit = core.audit("policy.expire", object, "ok", &details);
        core.store.set_policy_state(&policy.digest, &[policy.state.as_str()], PolicyState::Retired, &audit).await?;
    }
    Ok(())
}

async fn fade_trust(core: &Core, fleet: &[Host]) -> Result<(), Fault> {
    let patience = core.settings.attest_interval * MISSED_FOR_STALE;
    for host in fleet {
        let last = host.confirmed.as_ref().map_or(host.enrolled_at, |confirmed| confirmed.at);
        if host.trust != Trust::Trusted || core.now().since(last) < patience {
            continue;
        }
        let lease = host.lease_until.map(|until| format!("; its lease ends at {until}")).unwrap_or_default();
        let reason = format!("no quote since {last}{lease}");
        let audit = core.audit("host.stale", format!("host/{}", host.id), "ok", &json!({ "last": last }));
        if core.store.set_trust(&host.id, &[Trust::Trusted], Trust::Stale, &reason, &audit).await? {
            tracing::warn!(host.id = %host.id, %reason, "trust faded");
            core.fleet_changed.notify_one();
        }
    }
    Ok(())
}
