//! The exchange simulator as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::bins::Bins;
use crate::process::Process;
use crate::wait;

const START_BOUND: Duration = Duration::from_secs(30);

/// The API key that the hosts trade with.
pub(crate) const KEY_ID: &str = "demo-key";
/// Its secret, known to the simulator and to the hosts' credential files.
pub(crate) const SECRET: &str = "demo-secret-of-a-simulated-exchange";

/// A stand-in for Binance spot.
#[derive(Debug)]
pub struct Exchange {
    process: Process,
    /// Where it listens.
    pub base_url: String,
    /// The CA of its certificate.
    pub ca_file: PathBuf,
}

impl Exchange {
    /// Starts it.
    pub fn start(bins: &Bins, dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (ca_file, accounts, log) = (dir.join("ca.pem"), dir.join("accounts.json"), dir.join("exchange.log"));
        let account = json!([{ "key_id": KEY_ID, "secret": SECRET, "balances": { "USDT": "1000.0" } }]);
        std::fs::write(&accounts, account.to_string())?;
        let mut command = Command::new(bins.path("flota-exchange-sim"));
        command.arg("--ca-file").arg(&ca_file).arg("--accounts").arg(&accounts).args(["--listen", "127.0.0.1:0"]);
        let mut process = Process::start("flota-exchange-sim", &mut command, &log)?;
        let ready = wait::until("the exchange simulator", START_BOUND, || {
            process.check_alive()?;
            Ok(process.output().lines().find_map(|line| serde_json::from_str::<Value>(line).ok()))
        })?;
        let base_url = ready.get("base_url").and_then(Value::as_str).context("the simulator names no base_url")?;
        Ok(Self { base_url: base_url.to_owned(), ca_file, process })
    }

    /// Gives the simulator an order, as its README has them: `{"mode":"fail"}`.
    pub fn order(&self, order: &Value) -> anyhow::Result<()> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--cacert"])
            .arg(&self.ca_file)
            .args(["--header", "content-type: application/json", "--data", &order.to_string()])
            .arg(format!("{}/control", self.base_url))
            .output()
            .context("running curl")?;
        ensure!(output.status.success(), "the simulator refused: {}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Leaves it running.
    pub fn detach(self) {
        self.process.detach();
    }
}
