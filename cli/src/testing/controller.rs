//! A stand-in for the controller: real gRPC on a port of its own, answers given by the test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser as _;
use flota_proto::v1;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;

use super::PLAIN;
use crate::args::Cli;
use crate::client::Route;
use crate::commands;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::{Format, Out, Style, Talk};

mod services;
mod trust;

use services::Service;

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
    /// Policies with their documents, by name, the newest first.
    pub(crate) policies: Vec<v1::PolicyDetail>,
    /// How policies differ; none: there is no active one to compare with.
    pub(crate) diff: Option<v1::DiffPoliciesResponse>,
    /// Hosts that wait for approval.
    pub(crate) enrolments: Vec<v1::PendingEnrolment>,
    /// What is open and what was.
    pub(crate) escalations: Vec<v1::Escalation>,
    /// Enrolment tokens.
    pub(crate) tokens: Vec<v1::Token>,
    /// Decisions, as they arrived: service and method, and the request.
    pub(crate) calls: Vec<(&'static str, serde_json::Value)>,
    /// What the next call of a method fails with.
    pub(crate) refusals: Vec<(&'static str, Status)>,
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

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How.
    pub(crate) ended: Result<Exit, Failure>,
    /// On stdout.
    pub(crate) data: String,
    /// On stderr, without the failure.
    pub(crate) talk: String,
}

impl Ran {
    /// The exit code, and the failure's text or what was said.
    pub(crate) fn told(&self) -> (Exit, String) {
        match &self.ended {
            Ok(exit) => (*exit, format!("{}{}", self.data, self.talk)),
            Err(failure) => (failure.exit(), failure.render(PLAIN).unwrap()),
        }
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
            .add_service(v1::freezes_server::FreezesServer::new(service.clone()))
            .add_service(v1::recoveries_server::RecoveriesServer::new(service.clone()))
            .add_service(v1::silences_server::SilencesServer::new(service.clone()))
            .add_service(v1::alerts_server::AlertsServer::new(service.clone()))
            .add_service(v1::exports_server::ExportsServer::new(service.clone()))
            .add_service(v1::tasks_server::TasksServer::new(service.clone()))
            .add_service(v1::releases_server::ReleasesServer::new(service.clone()))
            .add_service(v1::blobs_server::BlobsServer::new(service.clone()))
            .add_service(v1::tokens_server::TokensServer::new(service.clone()))
            .add_service(v1::attestation_server::AttestationServer::new(service.clone()))
            .add_service(v1::enrolments_server::EnrolmentsServer::new(service.clone()))
            .add_service(v1::policies_server::PoliciesServer::new(service.clone()))
            .add_service(v1::escalations_server::EscalationsServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self { script, address, server }
    }

    /// The decisions that arrived.
    pub(crate) fn calls(&self) -> Vec<(&'static str, serde_json::Value)> {
        self.script.lock().unwrap().calls.clone()
    }

    /// Runs a command line, given in words, with a person who types these answers, or with nobody there.
    pub(crate) async fn run(&self, words: &[&str], format: Format, answers: Option<&[&str]>) -> Ran {
        let cli = Cli::try_parse_from(std::iter::once(&"flota").chain(words)).unwrap();
        let (invocation, data, talk) = self.invocation(format, Some(Duration::from_secs(20)));
        let invocation = match answers {
            Some(answers) => invocation.typing(answers),
            None => invocation,
        };
        let ended = commands::run(&invocation, cli.command).await;
        Ran { ended, data: data.text(), talk: talk.text() }
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
