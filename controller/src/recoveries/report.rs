//! Step 6: what SRE is told, signed.

use flota_model::evidence::{DocumentKind, SealedDocument};
use flota_store::RecoveryRecord;
use serde_json::json;

use crate::core::Core;

/// The report as things are now; of a recovery that goes on too.
pub fn seal(core: &Core, record: &RecoveryRecord) -> SealedDocument {
    let recovery = &record.recovery;
    let ended = recovery.ended.as_ref().map(|(end, at)| json!({ "how": end, "at": at }));
    let document = json!({
        "format": DocumentKind::Recovery.format(), "made_at": core.now(), "recovery": record.id,
        "state": recovery.state(), "host": recovery.host, "onto": recovery.onto, "release": recovery.release,
        "release_from": recovery.release_from, "begun_by": recovery.begun_by, "begun_at": recovery.begun_at,
        "reason": recovery.reason, "ticket": recovery.ticket, "rollout": recovery.rollout, "steps": recovery.steps,
        "ended": ended,
    });
    core.audit_key.seal_document(DocumentKind::Recovery, document.to_string())
}
