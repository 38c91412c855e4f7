//! `flota-controller run`: from settings to two listeners, and an orderly end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flota_attest::ek_chain::TrustRoots;
use flota_attest::selection::{Bank, Selection};
use flota_daemon::lifecycle::Lifecycle;
use flota_model::Clock;
use flota_store_sqlite::SqliteStore;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::attestation::patience::Patience;
use crate::attestation::readings::Readings;
use crate::attestation::recorder::{self, Recorder};
use crate::blobs::BlobFolder;
use crate::ca::{CaError, FleetCa};
use crate::checkpoints::{AuditKey, AuditKeyError};
use crate::core::{Core, SystemClock};
use crate::denied::Denied;
use crate::enrolment::EnrolmentSessions;
use crate::fault::Fault;
use crate::files::{self, FileError};
use crate::grpc::access::AccessLayer;
use crate::grpc::{enrollment_routes, fleet_routes};
use crate::init::{DATABASE, endpoint};
use crate::listener::{self, ClientCertificate, Connection, ListenerError};
use crate::outbound::Outbound;
use crate::policies::PolicyBook;
use crate::quotas::Quotas;
use crate::rollouts::checks::Checks;
use crate::rollouts::halted::NoWayBack;
use crate::rollouts::join::LeftOut;
use crate::sessions::Sessions;
use crate::settings::{BadSettings, Settings};
use crate::{alerting, escalations, recoveries, rollouts, standing, tickets, upkeep};

/// An idle connection is probed this often: a host whose cable was cut is noticed soon.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// A connection to the Enrollment listener is ended after this: an enrolment takes seconds.
const ENROLLMENT_AGE: Duration = Duration::from_mins(2);
/// A call of an enrolment, its request included, and what is left of one when its connection ends, are given up after this:
/// else requests that never end would hold every connection (CVE-2023-38200).
const ENROLLMENT_CALL: Duration = Duration::from_secs(30);
/// Streams that one connection may have open: a session, a transfer, some questions.
const STREAMS: u32 = 64;
/// Searches of the archive that go on at the same time: each is a core and a disk.
const SEARCHES: usize = 2;
/// Exports whose signatures are checked at the same time: each is a core, and some of them a few dozen MiB.
const CHECKED_EXPORTS: usize = 2;
/// Flow-control windows, in bytes: they bound what a slow receiver can make the controller hold.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Why the controller does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// Its CA.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Its files.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key of its audit log.
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    /// Its database.
    #[error("opening the database")]
    Store(#[from] flota_store::StoreError),
    /// Its listeners.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// The TPM vendors' roots.
    #[error("reading the TPM vendors' roots")]
    EkRoots(#[from] flota_attest::ek_chain::TrustRootsError),
    /// The PCRs to quote.
    #[error("choosing the PCRs to quote")]
    Selection(#[from] flota_attest::selection::SelectionError),
    /// Shutting out the hosts whose endorsement keys are revoked.
    #[error("shutting out hosts whose endorsement keys are revoked: {0}")]
    Revoked(#[from] Fault),
    /// TLS to other people's services.
    #[error("preparing for other services: {0}")]
    Outbound(#[source] Fault),
    /// Signal handlers.
    #[error("waiting for signals")]
    Signals(#[source] io::Error),
}

/// Runs until a signal comes.
pub async fn run(data_dir: &Path) -> Result<(), RunError> {
    let settings = Settings::load(data_dir)?;
    let (core, verdicts) = assemble(settings).await?;
    let core = Arc::new(core);
    core.denied.replace(core.denied.mark(), &core.store.hosts().await?);
    core.policies.reload(&*core.store).await?;
    standing::quarantine_revoked(&core).await?;
    let issued = core.ca.issue_server(&server_names(&core.settings), core.now())?;
    let enrollment_tls = listener::server_config(&core, &issued, ClientCertificate::NotAsked)?;
    let fleet_tls = listener::server_config(&core, &issued, ClientCertificate::Required)?;
    let (enrollment, enrollment_address) = listener::bind(core.settings.enrollment_listen).await?;
    let (fleet, fleet_address) = listener::bind(core.settings.fleet_listen).await?;

    let lifecycle = Lifecycle::new();
    serve(&lifecycle, &core, enrollment, enrollment_tls, enrollment_routes(&core), Gate::Open);
    serve(&lifecycle, &core, fleet, fleet_tls, fleet_routes(&core).add_standard().await, Gate::Table);
    let store = Arc::clone(&core.store);
    lifecycle.spawn_vital("verdicts", recorder::keep_recording(store, verdicts, lifecycle.stopping()));
    lifecycle.spawn_vital("escalations", escalations::keep_delivering(Arc::clone(&core), lifecycle.stopping()));
    lifecycle.spawn_vital("alerts", alerting::keep_looking(Arc::clone(&core), lifecycle.stopping()));
    lifecycle.spawn_vital("receivers", alerting::keep_telling(Arc::clone(&core), lifecycle.stopping()));
    lifecycle.spawn_vital("tickets", tickets::keep_noting(Arc::clone(&core), lifecycle.stopping()));
    lifecycle.spawn_vital("recoveries", recoveries::keep_recovering(Arc::clone(&core), lifecycle.stopping()));
    lifecycle.spawn_vital("rollouts", rollouts::keep_stepping(Arc::clone(&core), lifecycle.stopping()));
    lifecycle.spawn_vital("upkeep", upkeep::keep_up(Arc::clone(&core), lifecycle.stopping()));
    announce(&core.settings, enrollment_address, fleet_address)?;
    tracing::info!(enrollment = %enrollment_address, fleet = %fleet_address, "controller runs");
    lifecycle.run_until_stopped().await.map_err(RunError::Signals)
}

async fn assemble(settings: Settings) -> Result<(Core, recorder::Queue), RunError> {
    let store = SqliteStore::open(&settings.data_dir.join(DATABASE)).await?;
    let roots = files::read_text(&settings.ek_roots)?;
    let (recorder, verdicts) = Recorder::new();
    let core = Core {
        store: Arc::new(store),
        blobs: BlobFolder::open(&settings.data_dir.join("blobs"))?,
        ca: FleetCa::load(&settings.data_dir)?,
        audit_key: AuditKey::open(&settings.data_dir)?,
        ek_roots: TrustRoots::from_pem(roots.as_bytes())?,
        selection: Selection::new(Bank::Sha256, settings.pcrs.iter().copied())?,
        outbound: Outbound::new().map_err(RunError::Outbound)?,
        sessions: Sessions::default(),
        denied: Denied::default(),
        policies: PolicyBook::default(),
        patience: Patience::default(),
        readings: Readings::default(),
        recorder,
        quotas: Quotas::new(settings.upload_bytes_per_day),
        enrolments: EnrolmentSessions::default(),
        checks: Checks::default(),
        no_way_back: NoWayBack::default(),
        left_out: LeftOut::default(),
        forecasts: Arc::new(Semaphore::new(1)),
        searches: Arc::new(Semaphore::new(SEARCHES)),
        checked_exports: Semaphore::new(CHECKED_EXPORTS),
        fleet_changed: Notify::new(),
        rollouts_changed: watch::Sender::new(0),
        planning: tokio::sync::Mutex::new(()),
        recovering: tokio::sync::Mutex::new(()),
        releases: tokio::sync::Mutex::new(()),
        listening_since: SystemClock.now(),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        settings,
    };
    Ok((core, verdicts))
}

/// Whether requests of a listener go through the access table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Enrollment: nobody has an identity yet; the service itself is the check.
    Open,
    /// Fleet.
    Table,
}

fn serve(
    lifecycle: &Lifecycle,
    core: &Arc<Core>,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    routes: Routes,
    gate: Gate,
) {
    let (sender, connections) = listener::channel();
    let limits = match gate {
        Gate::Open => listener::ENROLLMENT,
        Gate::Table => listener::FLEET,
    };
    lifecycle.spawn_vital("accept", listener::accept(listener, tls, sender, limits, lifecycle.stopping()));
    let (stopping, core) = (lifecycle.stopping(), Arc::clone(core));
    lifecycle.spawn_vital("serve", async move {
        let served = match gate {
            Gate::Open => {
                server()
                    .timeout(ENROLLMENT_CALL)
                    .max_connection_age(ENROLLMENT_AGE)
                    .max_connection_age_grace(ENROLLMENT_CALL)
                    .add_routes(routes)
                    .serve_with_incoming(incoming(connections, stopping))
                    .await
            }
            Gate::Table => {
                let server = server().layer(AccessLayer(core));
                let mut server = server;
                server.add_routes(routes).serve_with_incoming(incoming(connections, stopping)).await
            }
        };
        if let Err(error) = served {
            tracing::error!(error = flota_daemon::error_chain::chain(&error), "serving failed");
        }
    });
}

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

/// Connections until the process stops; then the stream ends, and with it the server, its streams included.
fn incoming(
    connections: mpsc::Receiver<io::Result<Connection>>,
    stopping: tokio_util::sync::CancellationToken,
) -> impl tokio_stream::Stream<Item = io::Result<Connection>> {
    futures_util::StreamExt::take_until(ReceiverStream::new(connections), stopping.cancelled_owned())
}

/// Certificates are for the configured names and for this machine itself.
fn server_names(settings: &Settings) -> Vec<String> {
    let mut names = settings.names.clone();
    for name in ["localhost", "127.0.0.1", "::1"] {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Writes where the controller listens, since ports may have been left to the system.
fn announce(settings: &Settings, enrollment: SocketAddr, fleet: SocketAddr) -> Result<(), FileError> {
    let text = json!({
        "enrollment": endpoint(settings, enrollment.port()),
        "fleet": endpoint(settings, fleet.port()),
    });
    files::replace(&settings.addresses_file, 0o644, format!("{text:#}\n").as_bytes())
}

/// gRPC health and reflection.
trait StandardServices {
    async fn add_standard(self) -> Self;
}

impl StandardServices for Routes {
    async fn add_standard(self) -> Self {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let routes = self.add_service(health);
        match tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(flota_proto::DESCRIPTORS)
            .build_v1()
        {
            Ok(reflection) => routes.add_service(reflection),
            Err(error) => {
                tracing::error!(%error, "reflection is off: the descriptors are not readable");
                routes
            }
        }
    }
}
