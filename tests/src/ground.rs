//! A controller and some TPMs of one vendor, without hosts: for tests that are the host themselves.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flota_swtpm::Swtpm;
use flota_tpm::{KeyChoice, Tpm};
use serde_json::Value;

use crate::bins::Bins;
use crate::client;
use crate::controller::Controller;
use crate::operator::Operator;

/// Controller and TPMs in one folder.
#[derive(Debug)]
pub struct Ground {
    dir: PathBuf,
    /// The controller, which trusts the TPMs' vendor.
    pub controller: Controller,
    /// The administrator.
    pub admin: Operator,
    /// The TPMs.
    pub tpms: Vec<Swtpm>,
}

impl Ground {
    /// Makes so many TPMs and a controller that asks its hosts for a quote that often.
    pub fn new(bins: &Bins, dir: &Path, tpms: usize, attest_seconds: u64) -> anyhow::Result<Self> {
        let tpms = manufacture(dir, tpms)?;
        let roots = tpms.first().context("no TPM")?.ca_bundle_path();
        Self::with_roots(bins, dir, tpms, &roots, attest_seconds)
    }

    /// The same with one TPM, and a controller that knows its vendor's root and not the CA under it.
    pub fn trusting_roots_alone(bins: &Bins, dir: &Path, attest_seconds: u64) -> anyhow::Result<Self> {
        const END: &str = "-----END CERTIFICATE-----\n";
        let tpms = manufacture(dir, 1)?;
        let bundle = tpms.first().context("no TPM")?.ca_pem()?;
        let root = bundle.split_inclusive(END).next().context("no root")?;
        let roots = dir.join("roots.pem");
        std::fs::write(&roots, root)?;
        Self::with_roots(bins, dir, tpms, &roots, attest_seconds)
    }

    fn with_roots(
        bins: &Bins,
        dir: &Path,
        tpms: Vec<Swtpm>,
        roots: &Path,
        attest_seconds: u64,
    ) -> anyhow::Result<Self> {
        let controller = Controller::start(bins, &dir.join("controller"), roots, attest_seconds)?;
        let admin = controller.admin()?;
        Ok(Self { dir: dir.to_owned(), controller, admin, tpms })
    }

    /// Opens the first keys of a TPM.
    pub fn open(&self, tpm: usize) -> anyhow::Result<Tpm> {
        self.open_set(tpm, "first")
    }

    /// Opens a set of keys of a TPM, made when it is named for the first time. One set at a time.
    pub fn open_set(&self, tpm: usize, set: &str) -> anyhow::Result<Tpm> {
        let swtpm = self.tpms.get(tpm).context("no such TPM")?;
        client::open_tpm(swtpm, &self.dir.join(format!("keys-{tpm}-{set}")), KeyChoice::default())
    }

    /// A token for a host of this name.
    pub fn token(&self, name: &str) -> anyhow::Result<String> {
        let created = self.admin.json(&["token", "create", name])?;
        created.get("token").and_then(Value::as_str).map(str::to_owned).context("the answer holds no token")
    }

    /// Every host, as the controller lists it.
    pub fn hosts(&self) -> anyhow::Result<Vec<Value>> {
        self.admin.items(&["host", "list", "--limit", "0"])
    }

    /// What the controller says of how far it trusts a host.
    pub fn trust(&self, name: &str) -> anyhow::Result<String> {
        let hosts = self.hosts()?;
        let host = hosts.iter().find(|host| crate::fleet::text(host, "name") == name);
        Ok(crate::fleet::text(host.context("the host is not listed")?, "trust").to_owned())
    }

    /// Entries of the audit log about one kind of action, newest first.
    pub fn audit(&self, action: &str) -> anyhow::Result<Vec<Value>> {
        self.admin.items(&["audit", "list", "--action", action, "--limit", "500"])
    }
}

fn manufacture(dir: &Path, count: usize) -> anyhow::Result<Vec<Swtpm>> {
    let ca = dir.join("tpm-ca");
    let make = |number: usize| Swtpm::start_with_ca(&dir.join(format!("tpm-{number}")), &ca);
    Ok((0..count).map(make).collect::<Result<Vec<_>, _>>()?)
}
