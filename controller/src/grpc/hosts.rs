//! Hosts over the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flota_attest::baseline::Baseline;
use flota_model::host::Host;
use flota_model::{HostId, Selector};
use flota_proto::v1;
use flota_proto::v1::hosts_server::Hosts;
use flota_store::ExportsOf;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::access::principal;
use super::enrolments::host_action;
use super::{select, view};
use crate::core::Core;
use crate::fault::Fault;
use crate::receipts::{self, Taken};
use crate::sessions::Command;
use crate::standing;

/// Entries of each history that a host's page shows.
const HISTORY: u32 = 20;
/// Newest exports looked through for a listing's "last export".
const RECENT_EXPORTS: u32 = 10_000;
/// Answers to a ping are waited for this long unless told otherwise.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait that can be asked for.
const PING_TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// The service.
pub struct HostsService(pub Arc<Core>);

type Replies = Pin<Box<dyn Stream<Item = Result<v1::PingReply, Status>> + Send>>;

#[tonic::async_trait]
impl Hosts for HostsService {
    type PingStream = Replies;

    async fn list(&self, request: Request<v1::ListHostsRequest>) -> Result<Response<v1::ListHostsResponse>, Status> {
        let selector: Selector = request.into_inner().selector.parse().map_err(Fault::bad)?;
        let extras = extras(&self.0).await?;
        let hosts = self.0.store.hosts().await.map_err(Fault::from)?;
        let chosen = hosts.iter().filter(|host| selector.matches(&host.name, &host.labels));
        let hosts = chosen.map(|host| view::host(host, self.0.sessions.is_connected(&host.id), &extras)).collect();
        Ok(Response::new(v1::ListHostsResponse { hosts }))
    }

    async fn show(&self, request: Request<v1::ShowHostRequest>) -> Result<Response<v1::HostDetail>, Status> {
        let core = &self.0;
        let hosts = core.store.hosts().await.map_err(Fault::from)?;
        let host = select::find(&hosts, &request.into_inner().host)?;
        Ok(Response::new(detail(core, host).await?))
    }

    async fn decommission(&self, request: Request<v1::HostActionRequest>) -> Result<Response<v1::Host>, Status> {
        let (actor, host, reason) = host_action(&self.0, request).await?;
        standing::decommission(&self.0, &actor, &host, &reason).await?;
        Ok(Response::new(shown(&self.0, &host.id).await?))
    }

    async fn take_receipt(
        &self,
        request: Request<v1::TakeReceiptRequest>,
    ) -> Result<Response<v1::TakeReceiptResponse>, Status> {
        let actor = principal(&request)?.actor();
        let Taken { host, receipt, news } = receipts::take(&self.0, &actor, &request.into_inner().document).await?;
        Ok(Response::new(v1::TakeReceiptResponse {
            host: Some(shown(&self.0, &host.id).await?),
            news,
            made_at: receipt.made_at.to_string(),
            export_sha256: receipt.export.map(|digest| digest.to_string()).unwrap_or_default(),
        }))
    }

    async fn ping(&self, request: Request<v1::PingRequest>) -> Result<Response<Replies>, Status> {
        let v1::PingRequest { selector, timeout_ms } = request.into_inner();
        let selection = select::Selection { selector: &selector, names: &[], all: selector.is_empty() };
        let hosts = select::hosts(&self.0, selection).await?;
        let timeout = match timeout_ms {
            0 => PING_TIMEOUT,
            ms => Duration::from_millis(u64::from(ms)).min(PING_TIMEOUT_MAX),
        };
        let replies: FuturesUnordered<_> =
            hosts.into_iter().map(|host| ping(Arc::clone(&self.0), host, timeout).map(Ok)).collect();
        Ok(Response::new(Box::pin(replies)))
    }
}

async fn ping(core: Arc<Core>, host: Host, timeout: Duration) -> v1::PingReply {
    let started = monotonic();
    let (answered, answer) = oneshot::channel();
    let asked = core.sessions.ask(&host.id, Command::Ping { answered });
    let answered = asked && matches!(tokio::time::timeout(timeout, answer).await, Ok(Ok(())));
    let round_trip_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    v1::PingReply { host_id: host.id.to_string(), name: host.name.to_string(), answered, round_trip_us }
}

/// Durations are measured by the monotonic clock; it decides nothing.
fn monotonic() -> Instant {
    Instant::now()
}

/// A host as it is now.
pub async fn shown(core: &Core, id: &HostId) -> Result<v1::Host, Fault> {
    let host = core.store.host(id).await?.ok_or_else(|| Fault::not_found("host", id.as_str()))?;
    Ok(view::host(&host, core.sessions.is_connected(id), &extras(core).await?))
}

/// Newest health and exports of all hosts.
pub async fn extras(core: &Core) -> Result<view::Extras, Fault> {
    let health = core.store.health(None).await?;
    let mut exports = std::collections::BTreeMap::new();
    for export in core.store.exports(ExportsOf::ALL, RECENT_EXPORTS).await? {
        exports.entry(export.host.to_string()).or_insert(export);
    }
    Ok(view::Extras { health: health.into_iter().map(|health| (health.host.to_string(), health)).collect(), exports })
}

async fn detail(core: &Core, host: &Host) -> Result<v1::HostDetail, Fault> {
    let extras = extras(core).await?;
    let (keys, certificate_expires_at) = core.store.host_keys(&host.id).await?.unzip();
    let measurements = core.store.measurements(&host.id).await?;
    let boot_log = measurements.as_ref().and_then(|known| known.quoted_log);
    let pcrs = measurements.map(|known| pcr_states(&known.baseline_json, &known.quoted_json)).unwrap_or_default();
    let attestations = core.store.attestations(&host.id, HISTORY).await?;
    let events = core.store.audit(Some(&format!("host/{}", host.id)), None, HISTORY).await?;
    let exports = core.store.exports(ExportsOf::host(&host.id), HISTORY).await?;
    let report = extras.health.get(host.id.as_str()).map(|health| health.report_json.clone());
    Ok(v1::HostDetail {
        host: Some(view::host(host, core.sessions.is_connected(&host.id), &extras)),
        ek_fingerprint: keys.as_ref().map(|keys| keys.ek_spki_sha256.to_string()).unwrap_or_default(),
        tpm_manufacturer: keys.map(|keys| keys.tpm_manufacturer).unwrap_or_default(),
        enrolled_at: host.enrolled_at.to_string(),
        certificate_expires_at: view::time(certificate_expires_at),
        pcrs,
        attestations: attestations
            .into_iter()
            .map(|record| v1::AttestationRecord {
                at: record.at.to_string(),
                verdict: record.verdict.as_str().to_owned(),
                reasons: record.reasons,
            })
            .collect(),
        events: events.iter().map(view::audit).collect(),
        exports: exports.iter().map(view::export).collect(),
        health_report_json: report.unwrap_or_default(),
        boot_log_sha256: boot_log.map(|digest| digest.to_string()).unwrap_or_default(),
    })
}

/// Baseline and newest quote side by side; what cannot be read is shown as missing.
fn pcr_states(baseline: &str, quoted: &str) -> Vec<v1::PcrState> {
    let parse = |json: &str| serde_json::from_str::<Baseline>(json).ok();
    let (baseline, quoted) = (parse(baseline), parse(quoted));
    let value = |document: &Option<Baseline>, index: u8| {
        document.as_ref().and_then(|document| document.pcrs().get(&index)).map(hex::encode).unwrap_or_default()
    };
    let indices = baseline.iter().chain(&quoted).flat_map(|document| document.pcrs().keys().copied());
    let indices: std::collections::BTreeSet<u8> = indices.collect();
    indices
        .into_iter()
        .map(|index| v1::PcrState {
            index: u32::from(index),
            baseline: value(&baseline, index),
            quoted: value(&quoted, index),
        })
        .collect()
}
