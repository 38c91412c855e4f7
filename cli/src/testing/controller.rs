//! A stand-in for the controller: real gRPC on a port of its own, answers given by the test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flota_proto::v1;
use flota_proto::v1::put_blob_request::Part;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::PLAIN;
use crate::client::Route;
use crate::invocation::Invocation;
use crate::output::{Format, Out, Style, Talk};

/// What the stand-in does, and what was asked of it.
#[derive(Default)]
pub(crate) struct Script {
    /// The rollout that is shown, and that actions answer with.
    pub(crate) rollout: v1::Rollout,
    /// What each call of `Watch` sends before its stream ends; [`None`] at the end of a list leaves it open.
    pub(crate) watches: VecDeque<Vec<Option<v1::Rollout>>>,
    /// What each call of `Tasks.Status` answers; the last stays.
    pub(crate) tasks: VecDeque<Vec<v1::Task>>,
    /// The archive.
    pub(crate) exports: Vec<v1::Export>,
    /// The blob that is there, or what has arrived of it.
    pub(crate) blob: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) blob_is_complete: bool,
    /// Offsets that uploads started at.
    pub(crate) offsets: Vec<u64>,
    /// Actions on rollouts, by verb.
    pub(crate) actions: Vec<(&'static str, v1::RolloutActionRequest)>,
    /// What calls on hosts fail with.
    pub(crate) refusal: Option<Status>,
}

/// A stand-in that listens until it is dropped.
pub(crate) struct Controller {
    /// Shared with its services.
    pub(crate) script: Arc<Mutex<Script>>,
    address: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Text that was printed.
#[derive(Clone, Default)]
pub(crate) struct Printed(Rc<RefCell<Vec<u8>>>);

impl Printed {
    /// So far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Controller {
    /// Starts listening.
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(script));
        let service = Service(Arc::clone(&script));
        let serving = tonic::transport::Server::builder()
            .add_service(v1::hosts_server::HostsServer::new(service.clone()))
            .add_service(v1::rollouts_server::RolloutsServer::new(service.clone()))
            .add_service(v1::exports_server::ExportsServer::new(service.clone()))
            .add_service(v1::tasks_server::TasksServer::new(service.clone()))
            .add_service(v1::releases_server::ReleasesServer::new(service.clone()))
            .add_service(v1::blobs_server::BlobsServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self { script, address, server }
    }

    /// A command that speaks to it, and what it prints on stdout and stderr.
    pub(crate) fn invocation(&self, format: Format, timeout: Option<Duration>) -> (Invocation, Printed, Printed) {
        self.invocation_on(PLAIN, format, timeout)
    }

    /// The same, with another reader of stdout.
    pub(crate) fn invocation_on(
        &self,
        style: Style,
        format: Format,
        timeout: Option<Duration>,
    ) -> (Invocation, Printed, Printed) {
        let (data, talk) = (Printed::default(), Printed::default());
        let out = Out::new(Box::new(data.clone()), Box::new(talk.clone()), [style, PLAIN], format, Talk::Normal);
        (Invocation::for_test(out, Route::Plain(self.address.clone()), timeout), data, talk)
    }
}

#[derive(Clone)]
struct Service(Arc<Mutex<Script>>);

type Answer<T> = Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    #[expect(clippy::unnecessary_wraps, reason = "it is what its callers answer with")]
    fn act(&self, verb: &'static str, request: Request<v1::RolloutActionRequest>) -> Answer<v1::Rollout> {
        let mut script = self.0.lock().unwrap();
        script.actions.push((verb, request.into_inner()));
        Ok(Response::new(script.rollout.clone()))
    }
}

#[tonic::async_trait]
impl v1::hosts_server::Hosts for Service {
    type PingStream = Messages<v1::PingReply>;

    async fn list(&self, _: Request<v1::ListHostsRequest>) -> Answer<v1::ListHostsResponse> {
        if let Some(refusal) = self.0.lock().unwrap().refusal.clone() {
            return Err(refusal);
        }
        Ok(Response::new(v1::ListHostsResponse { hosts: super::fleet() }))
    }

    async fn show(&self, _: Request<v1::ShowHostRequest>) -> Answer<v1::HostDetail> {
        Ok(Response::new(super::host_detail("fra-bot-07")))
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
}

#[tonic::async_trait]
impl v1::exports_server::Exports for Service {
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
    async fn publish(&self, request: Request<v1::PublishRequest>) -> Answer<v1::Release> {
        let digest = request.into_inner().digest;
        Ok(Response::new(v1::Release {
            digest,
            id: "bot".into(),
            version: "1.4.0".into(),
            platform: "linux".into(),
            ..Default::default()
        }))
    }

    async fn list(&self, _: Request<v1::ListReleasesRequest>) -> Answer<v1::ListReleasesResponse> {
        Ok(Response::new(v1::ListReleasesResponse::default()))
    }
}

#[tonic::async_trait]
impl v1::blobs_server::Blobs for Service {
    type GetStream = Messages<v1::BlobChunk>;

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
