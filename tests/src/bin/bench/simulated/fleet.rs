//! A controller that trusts the simulated hosts' manufacturer, and connections to it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use flota_net::dial::dial;
use flota_net::tls;
use flota_sim::Population;
use flota_sim::agent::Place;
use flota_tests::{Controller, Operator};
use tonic::transport::Channel;

use crate::ground::Ground;

/// Seconds between two attestations of a host: none falls into a measurement that does not ask for it.
const ATTEST_SECONDS: u64 = 3600;
/// Between heartbeats, as a controller has it unless told otherwise. The harness sets 2, which a thousand hosts feel.
const HEARTBEAT: (&str, &str) = ("heartbeat_seconds = 2\n", "heartbeat_seconds = 30\n");
/// What [`SimFleet::attest_every_second`] changes.
const INTERVAL: (&str, &str) = ("attest_interval_seconds = 3600\n", "attest_interval_seconds = 1\n");

/// The controller.
pub(crate) struct SimFleet {
    controller: Controller,
    place: Place,
    operator: PathBuf,
}

/// Starts it on SQLite in a folder of its own.
pub(crate) fn start(ground: &Ground, population: &Population) -> anyhow::Result<SimFleet> {
    let folder = ground.fleet();
    let roots = folder.join("ek-roots.pem");
    std::fs::write(&roots, population.ek_roots())?;
    let mut controller = Controller::start(&ground.bins, &folder.join("controller"), &roots, ATTEST_SECONDS)?;
    restart_with(&mut controller, HEARTBEAT)?;
    let place = Place {
        enrollment: controller.enrollment.clone(),
        fleet: controller.fleet.clone(),
        fleet_ca: tls::certificates(&tls::read_file(&controller.ca_file())?)?,
        source: None,
    };
    let operator = controller.dir().join("operators").join("admin");
    Ok(SimFleet { controller, place, operator })
}

impl SimFleet {
    /// Where it is, for a host with this address.
    pub(crate) fn place(&self, source: IpAddr) -> Place {
        Place { source: Some(source), ..self.place.clone() }
    }

    /// A connection of its own for an operator.
    pub(crate) async fn operator(&self) -> anyhow::Result<Channel> {
        let read = |name: &str| tls::read_file(&self.operator.join(name));
        let config =
            tls::client_config(&tls::read_file(&self.controller.ca_file())?, &read("cert.pem")?, &read("key.pem")?)?;
        Ok(dial(&self.controller.fleet, config).await?.channel)
    }

    /// The administrator's command.
    pub(crate) fn admin(&self) -> anyhow::Result<Operator> {
        self.controller.admin()
    }

    /// Where releases are signed.
    pub(crate) fn desk(&self) -> &Path {
        self.controller.desk()
    }

    /// The controller's process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.controller.process().pid().context("the controller does not run")
    }

    /// Starts it again with another interval. All sessions end.
    pub(crate) fn attest_every_second(&mut self) -> anyhow::Result<()> {
        restart_with(&mut self.controller, INTERVAL)
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.controller.stop()
    }
}

fn restart_with(controller: &mut Controller, (line, other): (&str, &str)) -> anyhow::Result<()> {
    let settings = controller.dir().join("controller.toml");
    let text = std::fs::read_to_string(&settings)?;
    ensure!(text.contains(line), "the settings do not hold {line:?}");
    controller.stop()?;
    std::fs::write(&settings, text.replace(line, other))?;
    controller.restart()
}
