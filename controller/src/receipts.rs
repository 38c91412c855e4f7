//! Receipts of updates that were made without this controller: claims, as reports over a session are, carried by a person.

use flota_model::host::Host;
use flota_model::receipt::{Receipt, SealedReceipt};
use flota_seal::p256;
use serde_json::json;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::access::is_its_key;

/// Largest receipt, in bytes; a real one has two thousand.
const MAX_RECEIPT_BYTES: usize = 64 << 10;

/// What came of a receipt.
pub struct Taken {
    /// Whose it is, as it was known before.
    pub host: Host,
    /// What it says.
    pub receipt: Receipt,
    /// Whether the controller knew less.
    pub news: bool,
}

/// Believes of a receipt what is believed of a report: that this host says so. The same one again changes nothing.
pub async fn take(core: &Core, actor: &str, document: &str) -> Result<Taken, Fault> {
    let refused = |sentence: &str| Fault::new(Code::EvidenceRefused, sentence);
    if document.len() > MAX_RECEIPT_BYTES {
        return Err(Fault::new(Code::TooMuch, "a receipt has a few thousand bytes; this is something else"));
    }
    let unreadable = |_| Fault::new(Code::BadRequest, "this is no receipt: flota-agent update receipt FILE writes one");
    let sealed: SealedReceipt = serde_json::from_str(document).map_err(unreadable)?;
    let receipt: Receipt = serde_json::from_str(&sealed.receipt).map_err(unreadable)?;
    let host = core.store.host(&receipt.host).await?;
    let host = host.ok_or_else(|| Fault::not_found("host", receipt.host.as_str()))?;
    if !host.trust.admits_connection() {
        let sentence = format!("{} is {}: nothing is taken from it", host.name, host.trust.as_str());
        return Err(Fault::new(Code::WrongState, sentence));
    }
    let (Ok(key), Ok(signature)) = (hex::decode(&sealed.public_key), hex::decode(&sealed.signature)) else {
        return Err(refused("the receipt's key or signature is no hex"));
    };
    if !is_its_key(core, &host, &key).await? {
        return Err(refused("the receipt is signed by another key than the one that the host enrolled with last"));
    }
    p256::verify(&key, &SealedReceipt::message(&sealed.receipt), &signature)
        .map_err(|_| refused("the receipt was changed after it was signed"))?;
    let report = &receipt.report;
    let details = json!({
        "by": actor, "made_at": receipt.made_at, "rollout": receipt.rollout, "export": receipt.export,
        "phase": report.phase, "generation": report.generation, "running": report.running,
        "version": report.version, "detail": report.detail,
    });
    let audit = core.audit_by(actor, "host.receipt", format!("host/{}", host.id), report.phase.as_str(), &details);
    let news = core.store.report(&host.id, report, &audit).await?;
    if news {
        core.fleet_changed.notify_one();
    }
    Ok(Taken { host, receipt, news })
}
