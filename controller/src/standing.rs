//! What operators do to a host's standing: let it in, shut it out, let it in again, take it out for ever.

use flota_model::host::{Host, KeyStorage, Trust};
use flota_model::{Digest, HostId};
use flota_store::NewEscalation;
use serde_json::json;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::sessions::Command;

/// A person lets a host in that awaited it.
pub async fn approve(core: &Core, actor: &str, host: &Host, reason: &str) -> Result<(), Fault> {
    let audit = entry(core, actor, "enrolment.approve", host, reason);
    if !core.store.approve_enrolment(&host.id, &audit).await? {
        return Err(
            Fault::new(Code::WrongState, format!("{} awaits no approval", host.name)).fix("flota enrolment list")
        );
    }
    let _connected = core.sessions.ask(&host.id, Command::Look);
    core.fleet_changed.notify_one();
    Ok(())
}

/// A person does not let a host in.
pub async fn deny(core: &Core, actor: &str, host: &Host, reason: &str) -> Result<(), Fault> {
    if !host.awaits_approval {
        return Err(Fault::new(Code::WrongState, format!("{} awaits no approval", host.name))
            .fix("to take out a host that is in: flota host decommission"));
    }
    move_to(core, actor, "enrolment.deny", host, &[Trust::Pending, Trust::Unattested], Trust::Retired, reason).await
}

/// Shuts a host out until it is cleared.
pub async fn quarantine(core: &Core, actor: &str, host: &Host, reason: &str) -> Result<(), Fault> {
    let from: Vec<Trust> =
        Trust::ALL.into_iter().filter(|trust| !matches!(trust, Trust::Quarantined | Trust::Retired)).collect();
    move_to(core, actor, "host.quarantine", host, &from, Trust::Quarantined, reason).await?;
    let escalation =
        NewEscalation { kind: "quarantined".into(), summary: format!("{actor} quarantined {}: {reason}", host.name) };
    let audit = core.audit("escalation.open", format!("host/{}", host.id), "ok", &json!({ "kind": "quarantined" }));
    core.store.escalate(&host.id, &escalation, &audit).await?;
    Ok(())
}

/// Shuts out the hosts whose endorsement key the settings name as revoked.
pub async fn quarantine_revoked(core: &Core) -> Result<(), Fault> {
    for key in &core.settings.ek_policy.revoked {
        let host = HostId::of_endorsement_key(&Digest::from_bytes(*key));
        let Some(host) = core.store.host(&host).await? else { continue };
        if host.trust.admits_connection() {
            quarantine(core, "controller", &host, "its endorsement key is revoked (ek_revoked)").await?;
        }
    }
    Ok(())
}

/// Lets a host in again that was shut out. It is stale, without a lease, until a quote has passed; a host without a TPM
/// has none to pass and is what it was.
pub async fn clear(core: &Core, actor: &str, host: &Host, reason: &str) -> Result<(), Fault> {
    let from = [Trust::Quarantined, Trust::Untrusted];
    let to = if host.key_storage == KeyStorage::File { Trust::Unattested } else { Trust::Stale };
    let audit = entry(core, actor, "host.clear", host, reason);
    if !core.store.set_trust(&host.id, &from, to, &format!("cleared: {reason}"), &audit).await? {
        return Err(wrong_state(host, "cleared"));
    }
    core.denied.remove(&host.id);
    core.fleet_changed.notify_one();
    Ok(())
}

/// Takes a host out for ever.
pub async fn decommission(core: &Core, actor: &str, host: &Host, reason: &str) -> Result<(), Fault> {
    let from: Vec<Trust> = Trust::ALL.into_iter().filter(|trust| *trust != Trust::Retired).collect();
    move_to(core, actor, "host.decommission", host, &from, Trust::Retired, reason).await
}

async fn move_to(
    core: &Core,
    actor: &str,
    action: &str,
    host: &Host,
    from: &[Trust],
    to: Trust,
    reason: &str,
) -> Result<(), Fault> {
    let audit = entry(core, actor, action, host, reason);
    if !core.store.set_trust(&host.id, from, to, reason, &audit).await? {
        return Err(wrong_state(host, to.as_str()));
    }
    core.shut_out(&host.id, reason);
    core.fleet_changed.notify_one();
    Ok(())
}

fn entry(core: &Core, actor: &str, action: &str, host: &Host, reason: &str) -> flota_model::audit::AuditEntry {
    core.audit_by(actor, action, format!("host/{}", host.id), "ok", &json!({ "reason": reason, "was": host.trust }))
}

fn wrong_state(host: &Host, wanted: &str) -> Fault {
    Fault::new(Code::WrongState, format!("{} is {} and cannot become {wanted}", host.name, host.trust))
        .fix("flota host show")
}
