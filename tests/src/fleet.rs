//! A whole fleet in one folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use flota_swtpm::Swtpm;
use serde_json::Value;

use crate::bins::Bins;
use crate::controller::Controller;
use crate::exchange::Exchange;
use crate::host::{BotHost, PACKAGE_KEY};
use crate::operator::Operator;
use crate::packages::{Package, Packages};
use crate::wait;

/// A host that runs an agent is connected and attested within seconds.
const READY_BOUND: Duration = Duration::from_mins(1);

/// What kind of fleet.
#[derive(Debug, Clone, Copy)]
pub struct FleetOptions {
    /// How many hosts.
    pub hosts: usize,
    /// Seconds between two attestations of a host.
    pub attest_seconds: u64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { hosts: 1, attest_seconds: 60 }
    }
}

/// Controller, exchange and hosts.
#[derive(Debug)]
pub struct Fleet {
    /// Where everything is.
    pub dir: PathBuf,
    /// Where the programs are.
    pub bins: Bins,
    /// The exchange simulator.
    pub exchange: Exchange,
    /// The controller.
    pub controller: Controller,
    /// The administrator.
    pub admin: Operator,
    /// Makes packages.
    pub packages: Packages,
    /// The release that every host begins with.
    pub first_release: Package,
    /// The hosts.
    pub hosts: Vec<BotHost>,
}

impl Fleet {
    /// Starts controller, exchange, and hosts with TPM and bot. Nobody is enrolled yet.
    pub fn install(bins: &Bins, dir: &Path, options: FleetOptions) -> anyhow::Result<Self> {
        let tpms = manufacture(dir, options.hosts.max(1))?;
        let roots = tpms.first().context("no TPM")?.ca_bundle_path();
        let exchange = Exchange::start(bins, &dir.join("exchange"))?;
        let controller = Controller::start(bins, &dir.join("controller"), &roots, options.attest_seconds)?;
        let admin = controller.admin()?;
        let package_dir = dir.join("packages");
        std::fs::create_dir_all(&package_dir)?;
        let packages = Packages::new(&package_dir, PACKAGE_KEY);
        let first_release = packages.bot("4.11.3", "healthy", 64 * 1024)?;
        let mut hosts = Vec::new();
        for (index, tpm) in tpms.into_iter().take(options.hosts).enumerate() {
            let name = format!("fra-bot-{:02}", index.saturating_add(1));
            let host_dir = dir.join("hosts").join(&name);
            hosts.push(BotHost::install(bins, &host_dir, &name, tpm, &controller, &exchange, &first_release)?);
        }
        Ok(Self {
            dir: dir.to_owned(),
            bins: bins.clone(),
            exchange,
            controller,
            admin,
            packages,
            first_release,
            hosts,
        })
    }

    /// A fleet whose hosts are enrolled, connected and attested.
    pub fn start(bins: &Bins, dir: &Path, options: FleetOptions) -> anyhow::Result<Self> {
        let mut fleet = Self::install(bins, dir, options)?;
        fleet.enroll_all()?;
        fleet.start_agents()?;
        fleet.wait_until_trusted(options.hosts)?;
        Ok(fleet)
    }

    /// A token for a host.
    pub fn token(&self, name: &str) -> anyhow::Result<String> {
        let created = self.admin.json(&["token", "create", name, "--label", "venue=binance", "--label", "env=demo"])?;
        created.get("token").and_then(Value::as_str).map(str::to_owned).context("the answer holds no token")
    }

    /// Enrols every host.
    pub fn enroll_all(&self) -> anyhow::Result<()> {
        for host in &self.hosts {
            let output = host.enroll(&self.token(&host.name)?)?;
            ensure!(output.status.success(), "{}: {}", host.name, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Gives the updates of every host to a supervisor.
    pub fn start_supervisors(&mut self) -> anyhow::Result<()> {
        let user = rustix::process::geteuid().as_raw();
        self.hosts.iter_mut().try_for_each(|host| host.supervise(user))
    }

    /// Starts every agent.
    pub fn start_agents(&mut self) -> anyhow::Result<()> {
        self.hosts.iter_mut().try_for_each(BotHost::start_agent)
    }

    /// Waits until so many hosts are connected and trusted.
    pub fn wait_until_trusted(&mut self, count: usize) -> anyhow::Result<()> {
        let (admin, hosts) = (&self.admin, &mut self.hosts);
        wait::until("trusted hosts", READY_BOUND, || {
            for host in hosts.iter_mut() {
                host.agent().map_or(Ok(()), crate::Process::check_alive)?;
            }
            let listed = admin.items(&["host", "list", "--limit", "0"])?;
            let ready =
                listed.iter().filter(|host| text(host, "trust") == "trusted" && text(host, "liveness") == "connected");
            Ok((ready.count() >= count).then_some(()))
        })
    }

    /// A host as the controller lists it.
    pub fn listed(&self, name: &str) -> anyhow::Result<Value> {
        let listed = self.admin.items(&["host", "list", "--limit", "0"])?;
        listed.into_iter().find(|host| text(host, "name") == name).with_context(|| format!("{name} is not listed"))
    }

    /// Waits until a host is listed as this asks for.
    pub fn wait_for(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(what, READY_BOUND, || {
            last = self.listed(name)?;
            Ok(holds(&last).then(|| last.clone()))
        });
        let log = || self.hosts.iter().find(|host| host.name == name).map(BotHost::log).unwrap_or_default();
        found.with_context(|| format!("{last:#}\n{}", log()))
    }

    /// Signs a package as a release, and publishes that.
    pub fn publish(&self, package: &Package) -> anyhow::Result<()> {
        let desk = self.controller.desk().to_string_lossy();
        self.admin.ok(&["release", "sign", &desk, &package.path.to_string_lossy()])?;
        self.admin.ok(&["release", "publish", &desk]).map(drop)
    }

    /// Ends everything in order.
    pub fn shut_down(&mut self) -> anyhow::Result<()> {
        self.hosts.iter_mut().try_for_each(BotHost::shut_down)?;
        self.controller.stop()
    }

    /// Leaves everything running.
    pub fn detach(self) {
        self.exchange.detach();
        self.controller.detach();
        self.hosts.into_iter().for_each(BotHost::detach);
    }
}

/// A field of a document, or nothing.
pub(crate) fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Manufactures TPMs at once: each takes a second, most of it waiting.
fn manufacture(dir: &Path, count: usize) -> anyhow::Result<Vec<Swtpm>> {
    let ca = dir.join("tpm-ca");
    std::thread::scope(|scope| {
        let makers: Vec<_> = (1..=count)
            .map(|number| {
                let (ca, dir) = (ca.clone(), dir.join("hosts").join(format!("fra-bot-{number:02}")).join("tpm"));
                scope.spawn(move || {
                    std::fs::create_dir_all(&dir)?;
                    Ok(Swtpm::start_with_ca(&dir, &ca)?)
                })
            })
            .collect();
        makers.into_iter().map(|maker| maker.join().map_err(|_| anyhow::anyhow!("making a TPM panicked"))?).collect()
    })
}
