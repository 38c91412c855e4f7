//! A real controller, and hosts that are simulated: real connections, real TPM structures, the real update engine; no bots.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use flota_net::dial::dial;
use flota_net::tls;
use flota_proto::v1;
use flota_proto::v1::tokens_client::TokensClient;
use flota_sim::agent::{Observer, Place, Script, loopback_address};
use flota_sim::{Population, SimulatedAgent, SoftTpm};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::bins::Bins;
use crate::controller::{Controller, Network};
use crate::operator::Operator;
use crate::packages::Packages;
use crate::wait;

/// Pause before a host connects again.
const AGAIN: Duration = Duration::from_millis(100);
/// Everything that is waited for takes seconds; this is for a machine that compiles beside it.
const BOUND: Duration = Duration::from_mins(2);
/// Between attestations: none falls into a test that does not ask for it.
const ATTEST_SECONDS: u64 = 3600;
/// The key of packages; nobody checks it here.
const PACKAGE_KEY: &str = "hex:00112233445566778899aabbccddeeff";

/// One host before it is in.
pub struct SimulatedHost {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The address it comes from.
    pub source: IpAddr,
    /// How it behaves.
    pub script: Script,
    /// Who looks on.
    pub observer: Observer,
}

impl SimulatedHost {
    /// `sim-NNN` at an address of its own, without labels, which does what it is asked; nobody looks on.
    pub fn numbered(index: u16) -> Self {
        Self {
            name: format!("sim-{index:03}"),
            labels: Vec::new(),
            source: loopback_address(index),
            script: Script::default(),
            observer: Arc::new(|_| {}),
        }
    }
}

/// The controller and its hosts, which live until this is dropped.
pub struct SimulatedFleet {
    /// The controller.
    pub controller: Controller,
    /// The administrator.
    pub admin: Operator,
    folder: PathBuf,
    place: Place,
    hosts: JoinSet<()>,
}

impl SimulatedFleet {
    /// A controller that trusts the makers of this population, in `folder`.
    pub fn start(folder: &Path, population: &Population, network: Network) -> anyhow::Result<Self> {
        let roots = folder.join("ek-roots.pem");
        std::fs::write(&roots, population.ek_roots())?;
        let bins = Bins::beside_this_program()?;
        let controller = Controller::start_in(network, &bins, &folder.join("controller"), &roots, ATTEST_SECONDS)?;
        let place = Place {
            enrollment: controller.enrollment.clone(),
            fleet: controller.fleet.clone(),
            fleet_ca: tls::certificates(&tls::read_file(&controller.ca_file())?)?,
            source: None,
        };
        let admin = controller.admin()?;
        Ok(Self { controller, admin, folder: folder.to_owned(), place, hosts: JoinSet::new() })
    }

    /// Hosts that enrol, and stay connected whatever becomes of the controller; when this returns they are trusted.
    pub async fn join(&mut self, hosts: Vec<SimulatedHost>, tpms: &[Arc<SoftTpm>]) -> anyhow::Result<()> {
        ensure!(hosts.len() <= tpms.len(), "{} hosts and {} TPMs", hosts.len(), tpms.len());
        let names: Vec<String> = hosts.iter().map(|host| host.name.clone()).collect();
        let mut operator = TokensClient::new(self.channel().await?);
        for (host, tpm) in hosts.into_iter().zip(tpms) {
            let SimulatedHost { name, labels, source, script, observer } = host;
            let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            let request = v1::CreateTokenRequest { host_name: name, labels, ..v1::CreateTokenRequest::default() };
            let token = operator.create(request).await?.into_inner().token;
            let place = Place { source: Some(source), ..self.place.clone() };
            let agent = SimulatedAgent::new(Arc::clone(tpm), place).scripted(script);
            self.hosts.spawn(live(agent, token, observer));
        }
        wait::until_async("every host to be trusted", BOUND, || {
            let listed = self.admin.items(&["host", "list", "--limit", "0"])?;
            let trusted =
                |name: &String| listed.iter().any(|host| host["name"] == name.as_str() && host["trust"] == "trusted");
            Ok(names.iter().all(trusted).then_some(()))
        })
        .await
    }

    /// Signs releases of these versions, and publishes them.
    pub fn publish(&self, versions: &[&str]) -> anyhow::Result<()> {
        let folder = self.folder.join("packages");
        std::fs::create_dir_all(&folder)?;
        let packages = Packages::new(&folder, PACKAGE_KEY);
        let desk = self.controller.desk().to_string_lossy().into_owned();
        for version in versions {
            let package = packages.bot(version, "healthy", 1000)?;
            self.admin.ok(&["release", "sign", &desk, &package.path.to_string_lossy()])?;
        }
        self.admin.ok(&["release", "publish", &desk]).map(drop)
    }

    /// Creates a rollout of `release` with these flags; its id.
    pub fn create(&self, release: &str, flags: &[&str]) -> anyhow::Result<String> {
        let created = self.admin.json(&[&["rollout", "create", "--release", release], flags].concat())?;
        created["id"].as_str().map(str::to_owned).context("the rollout has no id")
    }

    /// Starts a rollout, and does not wait.
    pub fn begin(&self, id: &str) -> anyhow::Result<()> {
        self.admin.ok(&["rollout", "start", id, "--yes", "--no-wait"]).map(drop)
    }

    /// A rollout as it stands.
    pub fn rollout(&self, id: &str) -> anyhow::Result<Value> {
        // The exit code tells the state as well.
        let answer = self.admin.run(&["rollout", "status", id, "-o", "json"])?;
        serde_json::from_str(&answer.stdout).with_context(|| answer.stderr)
    }

    /// Waits until a rollout is in this state.
    pub async fn until_state(&self, id: &str, state: &str) -> anyhow::Result<Value> {
        let waited = wait::until_async(&format!("{id} to be {state}"), BOUND, || {
            let rollout = self.rollout(id)?;
            Ok((rollout["state"] == state).then_some(rollout))
        })
        .await;
        waited.with_context(|| self.rollout(id).map_or_else(|error| format!("{error:#}"), |last| format!("{last:#}")))
    }

    /// What the fleet runs, by host name.
    pub fn versions(&self) -> anyhow::Result<Vec<(String, String)>> {
        let listed = self.admin.items(&["host", "list", "--limit", "0"])?;
        let text = |host: &Value, field: &str| host[field].as_str().unwrap_or_default().to_owned();
        Ok(listed.iter().map(|host| (text(host, "name"), text(host, "version"))).collect())
    }

    async fn channel(&self) -> anyhow::Result<tonic::transport::Channel> {
        let operator = self.controller.dir().join("operators").join("admin");
        let read = |name: &str| tls::read_file(&operator.join(name));
        let ca = tls::read_file(&self.controller.ca_file())?;
        let config = tls::client_config(&ca, &read("cert.pem")?, &read("key.pem")?)?;
        Ok(dial(&self.controller.fleet, config).await?.channel)
    }
}

async fn live(agent: SimulatedAgent, token: String, observer: Observer) {
    let member = loop {
        match agent.enrol(&token).await {
            Ok(member) => break member,
            Err(error) => {
                eprintln!("enrolling again: {error:#}");
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    loop {
        if let Ok(session) = agent.connect(&member, Arc::clone(&observer)).await {
            session.run().await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}
