//! What has to happen when nobody asks: liveness is stored, overdue tasks end, trust that is not renewed fades.

use std::sync::Arc;
use std::time::Duration;

use flota_model::host::Trust;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::Fault;

/// Liveness is stored in batches this often; a crash loses no more than that much of "last seen".
const INTERVAL: Duration = Duration::from_secs(2);
/// Attestations that may be missed before a host is `stale`.
const MISSED_ATTESTATIONS: u32 = 3;

/// Keeps things up until told to stop; stores what is left at the end.
pub async fn keep_up(core: Arc<Core>, stopping: CancellationToken) {
    loop {
        let stopped = tokio::select! {
            () = stopping.cancelled() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        if let Err(fault) = round(&core).await {
            tracing::error!(error = flota_daemon::error_chain::chain(&fault), "upkeep failed; trying again");
        }
        if stopped {
            return;
        }
    }
}

async fn round(core: &Core) -> Result<(), Fault> {
    let seen = core.sessions.take_seen();
    if !seen.is_empty() {
        core.store.seen(&seen).await?;
    }
    let expired = core.store.expire_tasks(core.now()).await?;
    if expired > 0 {
        tracing::warn!(tasks = expired, "tasks ended without a result");
    }
    fade_trust(core).await
}

async fn fade_trust(core: &Core) -> Result<(), Fault> {
    let patience = core.settings.attest_interval * MISSED_ATTESTATIONS;
    for host in core.store.hosts().await? {
        let last = host.confirmed.as_ref().map_or(host.enrolled_at, |confirmed| confirmed.at);
        if host.trust != Trust::Trusted || core.now().since(last) < patience {
            continue;
        }
        let reason = format!("no quote since {last}");
        let audit = core.audit("host.stale", format!("host/{}", host.id), "ok", &json!({ "last": last }));
        if core.store.set_trust(&host.id, &[Trust::Trusted], Trust::Stale, &reason, &audit).await? {
            tracing::warn!(host.id = %host.id, %reason, "trust faded");
            core.fleet_changed.notify_one();
        }
    }
    Ok(())
}
