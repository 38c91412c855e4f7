//! What operators ask of a controller, answered by the script.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use flota_proto::v1;
use flota_proto::v1::put_blob_request::Part;
use serde::Serialize;
use tonic::{Request, Response, Status, Streaming};

use super::Script;

/// All services, over one script.
#[derive(Clone)]
pub(super) struct Service(pub(super) Arc<Mutex<Script>>);

/// What a method ends with.
pub(super) type Answer<T> = Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    #[expect(clippy::unnecessary_wraps, reason = "it is what its callers answer with")]
    fn act(&self, verb: &'static str, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        let mut script = self.0.lock().unwrap();
        script.actions.push((verb, request.into_inner()));
        Ok(Response::new(script.rollout.clone()))
    }

    /// Notes a decision, and refuses it if the script says so.
    pub(super) fn decide<T: Serialize>(&self, method: &'static str, request: &Request<T>) -> Result<(), Status> {
        let mut script = self.0.lock().unwrap();
        script.calls.push((method, serde_json::to_value(request.get_ref()).unwrap()));
        match script.refusals.iter().position(|(refused, _)| *refused == method) {
            Some(index) => Err(script.refusals.remove(index).1),
            None => Ok(()),
        }
    }
}

/// The host of that name or id, as the controller finds it.
pub(super) fn host(text: &str) -> Result<v1::Host, Status> {
    let found = super::super::fleet().into_iter().find(|host| host.name == text || host.id == text);
    found.ok_or_else(|| {
        let mut status = Status::not_found(format!("there is no host `{text}`"));
        status.metadata_mut().insert(flota_proto::CODE_HEADER, "FLT-0301".parse().unwrap());
        status
    })
}

#[tonic::async_trait]
impl v1::hosts_server::Hosts for Service {
    type PingStream = Messages<v1::PingReply>;

    async fn list(&self, request: Request<v1::ListHostsRequest>) -> Answer<v1::ListHostsResponse> {
        if let Some(refusal) = self.0.lock().unwrap().refusal.clone() {
            return Err(refusal);
        }
        let selector: flota_model::Selector = request.into_inner().selector.parse().unwrap();
        let mut hosts = super::super::fleet();
        hosts.retain(|host| {
            let labels = host.labels.clone().try_into().unwrap();
            selector.matches(&host.name.parse().unwrap(), &labels)
        });
        Ok(Response::new(v1::ListHostsResponse { hosts }))
    }

    async fn show(&self, request: Request<v1::ShowHostRequest>) -> Answer<v1::HostDetail> {
        let name = host(&request.into_inner().host)?.name;
        Ok(Response::new(super::super::trust::measured_detail(&name)))
    }

    async fn decommission(&self, request: Request<v1::HostActionRequest>) -> Answer<v1::Host> {
        self.decide("Hosts.Decommission", &request)?;
        let trust = "retired".into();
        Ok(Response::new(v1::Host { trust, ..host(&request.into_inner().host)? }))
    }

    async fn take_receipt(&self, request: Request<v1::TakeReceiptRequest>) -> Answer<v1::TakeReceiptResponse> {
        self.decide("Hosts.TakeReceipt", &request)?;
        let host = Some(host("fra-bot-01")?);
        let made_at = "2026-09-14T12:00:00Z".into();
        Ok(Response::new(v1::TakeReceiptResponse { host, news: true, made_at, export_sha256: "ab".repeat(32) }))
    }

    async fn ping(&self, request: Request<v1::PingRequest>) -> Answer<Self::PingStream> {
        let name = request.into_inner().selector;
        let reply =
            v1::PingReply { answered: name.ends_with('1'), name, round_trip_us: 900, ..v1::PingReply::default() };
        Ok(Response::new(Box::pin(futures_util::stream::iter([Ok(reply)]))))
    }
}

#[tonic::async_trait]
impl v1::rollouts_server::Rollouts for Service {
    type WatchStream = Messages<v1::Rollout>;

    async fn create(&self, _: Request<v1::CreateRolloutRequest>) -> Answer<v1::Rollout> {
        Ok(Response::new(self.0.lock().unwrap().rollout.clone()))
    }

    async fn list(&self, _: Request<v1::ListRolloutsRequest>) -> Answer<v1::ListRolloutsResponse> {
        let rollouts = vec![self.0.lock().unwrap().rollout.clone()];
        Ok(Response::new(v1::ListRolloutsResponse { rollouts }))
    }

    async fn show(&self, _: Request<v1::ShowRolloutRequest>) -> Answer<v1::Rollout> {
        Ok(Response::new(self.0.lock().unwrap().rollout.clone()))
    }

    async fn watch(&self, _: Request<v1::ShowRolloutRequest>) -> Answer<Self::WatchStream> {
        let next = self.0.lock().unwrap().watches.pop_front();
        let rollouts = next.ok_or_else(|| Status::unavailable("nothing is left to watch"))?;
        let messages = futures_util::stream::iter(rollouts);
        Ok(Response::new(Box::pin(futures_util::StreamExt::then(messages, |rollout| async move {
            match rollout {
                Some(rollout) => Ok(rollout),
                None => std::future::pending().await,
            }
        }))))
    }

    async fn start(&self, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        self.act("start", request)
    }

    async fn pause(&self, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        self.act("pause", request)
    }

    async fn resume(&self, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        self.act("resume", request)
    }

    async fn abort(&self, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        self.act("abort", request)
    }

    async fn rollback(&self, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        self.act("rollback", request)
    }

    async fn approve(&self, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        self.act("approve", request)
    }

    async fn simulate(&self, request: Request<v1::SimulateRolloutRequest>) -> Answer<v1::Forecast> {
        self.decide("Rollouts.Simulate", &request)?;
        let rollout = Some(self.0.lock().unwrap().rollout.clone());
        Ok(Response::new(v1::Forecast { rollout, ..super::super::forecast() }))
    }

    async fn documents(&self, request: Request<v1::RolloutDocumentsRequest>) -> Answer<v1::RolloutDocuments> {
        self.decide("Rollouts.Documents", &request)?;
        Ok(Response::new(v1::RolloutDocuments::default()))
    }

    async fn amend(&self, request: Request<v1::AmendRolloutRequest>) -> Answer<v1::Rollout> {
        self.decide("Rollouts.Amend", &request)?;
        Ok(Response::new(self.0.lock().unwrap().rollout.clone()))
    }

    async fn retry(&self, request: Request<v1::RolloutHostsRequest>) -> Answer<v1::Rollout> {
        self.decide("Rollouts.Retry", &request)?;
        Ok(Response::new(self.0.lock().unwrap().rollout.clone()))
    }

    async fn skip(&self, request: Request<v1::RolloutHostsRequest>) -> Answer<v1::Rollout> {
        self.decide("Rollouts.Skip", &request)?;
        Ok(Response::new(self.0.lock().unwrap().rollout.clone()))
    }
}

#[tonic::async_trait]
impl v1::freezes_server::Freezes for Service {
    async fn create(&self, request: Request<v1::CreateFreezeRequest>) -> Answer<v1::Freeze> {
        self.decide("Freezes.Create", &request)?;
        let v1::CreateFreezeRequest { selector, from, until, reason, all_hosts: _ } = request.into_inner();
        let (created_by, state) = ("ola".into(), "holds".into());
        Ok(Response::new(v1::Freeze { id: 4, selector, from, until, reason, created_by, state }))
    }

    async fn list(&self, _: Request<v1::ListFreezesRequest>) -> Answer<v1::ListFreezesResponse> {
        let freeze = v1::Freeze { id: 4, state: "holds".into(), ..v1::Freeze::default() };
        Ok(Response::new(v1::ListFreezesResponse { freezes: vec![freeze] }))
    }

    async fn end(&self, request: Request<v1::EndFreezeRequest>) -> Answer<v1::Freeze> {
        self.decide("Freezes.End", &request)?;
        Ok(Response::new(v1::Freeze { id: request.into_inner().id, state: "over".into(), ..v1::Freeze::default() }))
    }
}

#[tonic::async_trait]
impl v1::recoveries_server::Recoveries for Service {
    async fn plan(&self, _: Request<v1::RunRecoveryRequest>) -> Answer<v1::Recovery> {
        Ok(Response::new(super::super::recovery()))
    }

    async fn run(&self, request: Request<v1::RunRecoveryRequest>) -> Answer<v1::Recovery> {
        self.decide("Recoveries.Run", &request)?;
        Ok(Response::new(super::super::recovery()))
    }

    async fn list(&self, _: Request<v1::ListRecoveriesRequest>) -> Answer<v1::ListRecoveriesResponse> {
        Ok(Response::new(v1::ListRecoveriesResponse { recoveries: vec![super::super::recovery()] }))
    }

    async fn status(&self, _: Request<v1::RecoveryStatusRequest>) -> Answer<v1::Recovery> {
        Ok(Response::new(super::super::recovery()))
    }

    async fn abort(&self, request: Request<v1::AbortRecoveryRequest>) -> Answer<v1::Recovery> {
        self.decide("Recoveries.Abort", &request)?;
        Ok(Response::new(v1::Recovery { state: "aborted".into(), ..super::super::recovery() }))
    }
}

#[tonic::async_trait]
impl v1::silences_server::Silences for Service {
    async fn create(&self, request: Request<v1::CreateSilenceRequest>) -> Answer<v1::Silence> {
        self.decide("Silences.Create", &request)?;
        let v1::CreateSilenceRequest { selector, rule, from, until, reason, all_hosts: _ } = request.into_inner();
        let silence =
            v1::Silence { id: 3, selector, rule, from, until, reason, state: "holds".into(), ..Default::default() };
        Ok(Response::new(silence))
    }

    async fn list(&self, _: Request<v1::ListSilencesRequest>) -> Answer<v1::ListSilencesResponse> {
        let silence = v1::Silence { id: 3, state: "holds".into(), ..v1::Silence::default() };
        Ok(Response::new(v1::ListSilencesResponse { silences: vec![silence] }))
    }

    async fn end(&self, request: Request<v1::EndSilenceRequest>) -> Answer<v1::Silence> {
        self.decide("Silences.End", &request)?;
        Ok(Response::new(v1::Silence { id: request.into_inner().id, state: "over".into(), ..v1::Silence::default() }))
    }
}

#[tonic::async_trait]
impl v1::alerts_server::Alerts for Service {
    async fn list(&self, _: Request<v1::ListAlertsRequest>) -> Answer<v1::ListAlertsResponse> {
        let alert = v1::Alert {
            id: 12,
            state: "firing".into(),
            severity: "critical".into(),
            summary: "kraken is unavailable to 14 of 14 hosts".into(),
            command: "flota health show --by exchange".into(),
            ..v1::Alert::default()
        };
        Ok(Response::new(v1::ListAlertsResponse { alerts: vec![alert], receivers: Vec::new() }))
    }
}

#[tonic::async_trait]
impl v1::exports_server::Exports for Service {
    type SearchStream = Messages<v1::SearchHit>;

    async fn search(&self, request: Request<v1::SearchExportsRequest>) -> Answer<Self::SearchStream> {
        self.decide("Exports.Search", &request)?;
        let hit = v1::SearchHit {
            host_name: "fra-bot-01".into(),
            source: "audit".into(),
            entry_json: r#"{"actor":"ops-2","event":"profile.update"}"#.into(),
            ..v1::SearchHit::default()
        };
        let sum = v1::SearchHit { exports: 2, hits: 1, cut: true, ..v1::SearchHit::default() };
        Ok(Response::new(Box::pin(futures_util::stream::iter([Ok(hit), Ok(sum)]))))
    }

    async fn hold(&self, request: Request<v1::HoldExportsRequest>) -> Answer<v1::ExportHold> {
        self.decide("Exports.Hold", &request)?;
        let v1::HoldExportsRequest { selector, reason, .. } = request.into_inner();
        Ok(Response::new(v1::ExportHold { id: 3, selector, reason, hosts: 2, ..v1::ExportHold::default() }))
    }

    async fn holds(&self, _: Request<v1::ListHoldsRequest>) -> Answer<v1::ListHoldsResponse> {
        let hold = v1::ExportHold { id: 3, reason: "case 7".into(), ..v1::ExportHold::default() };
        Ok(Response::new(v1::ListHoldsResponse { holds: vec![hold] }))
    }

    async fn release(&self, request: Request<v1::ReleaseHoldRequest>) -> Answer<v1::ExportHold> {
        self.decide("Exports.Release", &request)?;
        let (id, released_by) = (request.into_inner().id, "ola".into());
        Ok(Response::new(v1::ExportHold { id, released_by, ..v1::ExportHold::default() }))
    }

    async fn run(&self, _: Request<v1::RunTaskRequest>) -> Answer<v1::TasksResponse> {
        let tasks = self.0.lock().unwrap().tasks.front().cloned().unwrap_or_default();
        Ok(Response::new(v1::TasksResponse { tasks }))
    }

    async fn list(&self, _: Request<v1::ListExportsRequest>) -> Answer<v1::ListExportsResponse> {
        Ok(Response::new(v1::ListExportsResponse { exports: self.0.lock().unwrap().exports.clone() }))
    }
}

#[tonic::async_trait]
impl v1::tasks_server::Tasks for Service {
    async fn status(&self, _: Request<v1::TaskStatusRequest>) -> Answer<v1::TasksResponse> {
        let mut script = self.0.lock().unwrap();
        if script.tasks.len() > 1 {
            script.tasks.pop_front();
        }
        let tasks = script.tasks.front().cloned().unwrap_or_default();
        Ok(Response::new(v1::TasksResponse { tasks }))
    }
}

#[tonic::async_trait]
impl v1::releases_server::Releases for Service {
    async fn publish(&self, request: Request<v1::PublishRequest>) -> Answer<v1::PublishResponse> {
        let files = request.into_inner().metadata;
        assert!(files.iter().any(|file| file.name == "timestamp.json"), "{files:?}");
        let release = v1::Release {
            digest: "0".repeat(64),
            id: "bot".into(),
            version: "1.4.0".into(),
            platform: "linux".into(),
            ..Default::default()
        };
        Ok(Response::new(v1::PublishResponse {
            published: vec![release],
            expires_at: "2026-12-01T00:00:00Z".into(),
            expires_role: "timestamp".into(),
            ..Default::default()
        }))
    }

    async fn metadata(&self, _: Request<v1::MetadataRequest>) -> Answer<v1::MetadataFile> {
        Err(Status::not_found("there is none"))
    }

    async fn list(&self, _: Request<v1::ListReleasesRequest>) -> Answer<v1::ListReleasesResponse> {
        Ok(Response::new(v1::ListReleasesResponse::default()))
    }
}

#[tonic::async_trait]
impl v1::blobs_server::Blobs for Service {
    type GetStream = Messages<v1::BlobChunk>;
    type IndexStream = Messages<v1::BlobChunk>;
    type PiecesStream = Messages<v1::BlobChunk>;

    async fn index(&self, _: Request<v1::IndexRequest>) -> Answer<Self::IndexStream> {
        Err(Status::permission_denied("this is for hosts"))
    }

    async fn pieces(&self, _: Request<v1::PiecesRequest>) -> Answer<Self::PiecesStream> {
        Err(Status::permission_denied("this is for hosts"))
    }

    async fn get(&self, _: Request<v1::GetBlobRequest>) -> Answer<Self::GetStream> {
        let blob = self.0.lock().unwrap().blob.clone();
        let chunks: Vec<_> = blob.chunks(7).map(|chunk| Ok(v1::BlobChunk { data: chunk.to_vec() })).collect();
        Ok(Response::new(Box::pin(futures_util::stream::iter(chunks))))
    }

    async fn stat(&self, _: Request<v1::StatBlobRequest>) -> Answer<v1::StatBlobResponse> {
        let script = self.0.lock().unwrap();
        let received_bytes = script.blob.len() as u64;
        Ok(Response::new(v1::StatBlobResponse { complete: script.blob_is_complete, received_bytes }))
    }

    async fn put(&self, request: Request<Streaming<v1::PutBlobRequest>>) -> Answer<v1::PutBlobResponse> {
        let mut parts = request.into_inner();
        while let Some(part) = parts.message().await? {
            let mut script = self.0.lock().unwrap();
            match part.part {
                Some(Part::Header(header)) => script.offsets.push(header.offset),
                Some(Part::Data(data)) => script.blob.extend(data),
                None => return Err(Status::invalid_argument("an empty part")),
            }
        }
        self.0.lock().unwrap().blob_is_complete = true;
        Ok(Response::new(v1::PutBlobResponse::default()))
    }
}
