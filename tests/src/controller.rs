//! A real controller in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::bins::Bins;
use crate::clock::ShiftedClock;
use crate::operator::Operator;
use crate::process::Process;
use crate::wait;

/// A controller starts in well under a second; this is for a machine that compiles beside it.
const START_BOUND: Duration = Duration::from_secs(30);

/// The first root, in the folder in which releases are signed.
const FIRST_ROOT: &str = "metadata/1.root.json";

/// The controller of a fleet.
#[derive(Debug)]
pub struct Controller {
    bins: Bins,
    dir: PathBuf,
    desk: PathBuf,
    network: Network,
    process: Process,
    /// Where hosts enrol.
    pub enrollment: String,
    /// Where hosts and operators connect.
    pub fleet: String,
}

/// Where a controller is reached, and how it gets there.
#[derive(Debug, Clone)]
pub struct Network {
    /// The address that it listens on.
    pub address: String,
    /// What it is started with, as in `ip netns exec NAME`; empty: nothing.
    pub enter: Vec<String>,
}

impl Network {
    /// This machine alone.
    pub fn loopback() -> Self {
        Self { address: "127.0.0.1".to_owned(), enter: Vec::new() }
    }
}

impl Controller {
    /// Makes a controller and starts it. Ports are chosen by the system once, and kept from then on.
    pub fn start(bins: &Bins, dir: &Path, ek_roots: &Path, attest_seconds: u64) -> anyhow::Result<Self> {
        Self::start_in(Network::loopback(), bins, dir, ek_roots, attest_seconds)
    }

    /// The same, elsewhere.
    pub fn start_in(
        network: Network,
        bins: &Bins,
        dir: &Path,
        ek_roots: &Path,
        attest_seconds: u64,
    ) -> anyhow::Result<Self> {
        let listen = format!("{}:0", network.address);
        let desk = dir.with_file_name("signed-releases");
        let output = Command::new(bins.path("flota")).args(["release", "init"]).arg(&desk).output()?;
        ensure!(output.status.success(), "flota release init: {}", String::from_utf8_lossy(&output.stderr));
        let output = Command::new(bins.path("flota-controller"))
            .arg("init")
            .arg("--data-dir")
            .arg(dir)
            .args(["--fleet", "demo", "--name", &network.address])
            .args(["--enrollment-listen", &listen, "--fleet-listen", &listen])
            .arg("--ek-roots")
            .arg(ek_roots)
            .arg("--release-root")
            .arg(desk.join(FIRST_ROOT))
            .output()?;
        ensure!(output.status.success(), "flota-controller init: {}", String::from_utf8_lossy(&output.stderr));
        let settings = dir.join("controller.toml");
        let text = std::fs::read_to_string(&settings)?;
        std::fs::write(
            &settings,
            format!("{text}heartbeat_seconds = 2\nattest_interval_seconds = {attest_seconds}\n"),
        )?;
        let (process, addresses) = launch(bins, dir, &network, None)?;
        let address = |key: &str| {
            addresses.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no {key} address"))
        };
        let (enrollment, fleet) = (address("enrollment")?, address("fleet")?);
        keep_ports(&settings, &network.address, &enrollment, &fleet)?;
        Ok(Self { bins: bins.clone(), dir: dir.to_owned(), desk, network, process, enrollment, fleet })
    }

    /// The folder in which its releases are signed.
    pub fn desk(&self) -> &Path {
        &self.desk
    }

    /// The root that trust in its releases starts from.
    pub fn release_root(&self) -> PathBuf {
        self.desk.join(FIRST_ROOT)
    }

    /// Its fleet CA.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Its data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// SIGTERM.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.stop().map(drop)
    }

    /// Starts it again, on the same ports.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        (self.process, _) = launch(&self.bins, &self.dir, &self.network, None)?;
        Ok(())
    }

    /// Adds lines to its settings and starts it again.
    pub fn configure(&mut self, lines: &str) -> anyhow::Result<()> {
        self.stop()?;
        let settings = self.dir.join("controller.toml");
        let text = std::fs::read_to_string(&settings)?;
        std::fs::write(&settings, format!("{text}{lines}\n"))?;
        self.restart()
    }

    /// Starts it again with a clock that can be moved.
    pub fn restart_with_clock(&mut self, clock: &ShiftedClock) -> anyhow::Result<()> {
        self.stop()?;
        (self.process, _) = launch(&self.bins, &self.dir, &self.network, Some(clock))?;
        Ok(())
    }

    /// Adds an operator and gives the way to act as it.
    pub fn operator(&self, name: &str, role: &str) -> anyhow::Result<Operator> {
        let output = Command::new(self.bins.path("flota-controller"))
            .args(["operator", "add", name, "--role", role, "--data-dir"])
            .arg(&self.dir)
            .output()?;
        ensure!(output.status.success(), "operator add: {}", String::from_utf8_lossy(&output.stderr));
        self.context(name)
    }

    /// The administrator that `init` made.
    pub fn admin(&self) -> anyhow::Result<Operator> {
        self.context("admin")
    }

    /// Leaves it running.
    pub fn detach(self) {
        self.process.detach();
    }

    fn context(&self, name: &str) -> anyhow::Result<Operator> {
        let folder = self.dir.join("operators").join(name);
        let text = format!(
            "current = \"demo\"\n\n[contexts.demo]\nendpoint = \"{}\"\nca_file = \"ca.pem\"\ncert_file = \"cert.pem\"\n\
             key_file = \"key.pem\"\n",
            self.fleet
        );
        std::fs::write(folder.join("contexts.toml"), text)?;
        Ok(Operator::new(&self.bins, folder.join("contexts.toml")))
    }
}

fn launch(
    bins: &Bins,
    dir: &Path,
    network: &Network,
    clock: Option<&ShiftedClock>,
) -> anyhow::Result<(Process, Value)> {
    let addresses = dir.join("addresses.json");
    if addresses.exists() {
        std::fs::remove_file(&addresses)?;
    }
    let program = bins.path("flota-controller");
    let mut command = match network.enter.split_first() {
        Some((enter, arguments)) => {
            let mut command = Command::new(enter);
            command.args(arguments).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.arg("run").arg("--data-dir").arg(dir);
    if let Some(clock) = clock {
        clock.give(&mut command);
    }
    let mut process = Process::start("flota-controller", &mut command, &dir.join("controller.log"))?;
    let text = wait::until("the controller's addresses", START_BOUND, || {
        process.check_alive()?;
        Ok(std::fs::read_to_string(&addresses).ok())
    })?;
    Ok((process, serde_json::from_str(&text)?))
}

fn keep_ports(settings: &Path, listen: &str, enrollment: &str, fleet: &str) -> anyhow::Result<()> {
    let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
    let mut text = std::fs::read_to_string(settings)?;
    for (key, address) in [("enrollment_listen", enrollment), ("fleet_listen", fleet)] {
        let (chosen, kept) = (format!("{key} = \"{listen}:0\""), format!("{key} = \"{listen}:{}\"", port(address)));
        text = text.replace(&chosen, &kept);
    }
    Ok(std::fs::write(settings, text)?)
}
