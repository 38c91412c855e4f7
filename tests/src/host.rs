//! A bot host: an installation folder, a TPM, a bot, an agent.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use flota_package::CheckRequest;
use flota_seal::secret::Secret;
use flota_swtpm::Swtpm;
use serde_json::{Value, json};

use crate::bins::Bins;
use crate::clock::ShiftedClock;
use crate::controller::Controller;
use crate::exchange::{Exchange, KEY_ID, SECRET};
use crate::packages::Package;
use crate::process::Process;
use crate::wait;

/// Key of the security exports, as its file holds it.
pub(crate) const AUDIT_KEY: &str = "hex:1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";
/// Key of the packages, as its file holds it.
pub(crate) const PACKAGE_KEY: &str = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A supervisor opens its journal and makes its socket within moments.
const SUPERVISOR_BOUND: Duration = Duration::from_secs(20);

/// One host of the fleet.
#[derive(Debug)]
pub struct BotHost {
    /// Its name.
    pub name: String,
    root: PathBuf,
    config: PathBuf,
    bins: Bins,
    agent: Option<Process>,
    supervisor: Option<Process>,
    bot: Bot,
    tpm: Swtpm,
}

/// The bot runs in a session of its own and would outlive everything, so this stops it at the end.
#[derive(Debug)]
struct Bot {
    program: PathBuf,
    root: PathBuf,
    at_the_end: AtTheEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtTheEnd {
    Stop,
    LeaveRunning,
}

impl BotHost {
    /// Installs a host with a TPM of its own and this release running; it is not enrolled yet.
    pub fn install(
        bins: &Bins,
        dir: &Path,
        name: &str,
        tpm: Swtpm,
        controller: &Controller,
        exchange: &Exchange,
        release: &Package,
    ) -> anyhow::Result<Self> {
        let root = dir.join("bot");
        for folder in ["config", "logs", "secrets", "var", "exports", "releases"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        std::fs::copy(controller.release_root(), root.join("config/release-root.json"))?;
        std::fs::write(root.join("secrets/audit.key"), AUDIT_KEY)?;
        std::fs::write(root.join("secrets/package.key"), PACKAGE_KEY)?;
        let credentials = json!({ "binance": {
            "key_id": KEY_ID, "secret": SECRET,
            "health_check": { "public_symbol": "BTCUSDT", "private_asset": "USDT", "private_min_balance": 10 },
        }});
        std::fs::write(root.join("config/exchanges.json"), credentials.to_string())?;
        let config = dir.join("agent.toml");
        std::fs::write(&config, settings(bins, &root, &tpm, controller, exchange))?;
        let bot = Bot { program: bins.path("flota-stand-in-bot"), root: root.clone(), at_the_end: AtTheEnd::Stop };
        let host =
            Self { name: name.to_owned(), root, config, bins: bins.clone(), agent: None, supervisor: None, bot, tpm };
        host.install_release(release)?;
        host.bot.tell("start")?;
        Ok(host)
    }

    /// Its installation.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its TPM.
    pub fn tpm(&mut self) -> &mut Swtpm {
        &mut self.tpm
    }

    /// The agent's process, if it was started.
    pub fn agent(&mut self) -> Option<&mut Process> {
        self.agent.as_mut()
    }

    /// The supervisor's process, if there is one.
    pub fn supervisor(&self) -> Option<&Process> {
        self.supervisor.as_ref()
    }

    /// Runs a local command of the agent in the installation's folder.
    pub fn agent_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.command(arguments).output().context("running flota-agent")
    }

    /// Starts a local command of the agent, which is killed when that is dropped.
    pub fn start_command(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        Process::start("flota-agent", &mut self.command(arguments), &self.config.with_file_name("command.log"))
    }

    /// Enrols with a token.
    pub fn enroll(&self, token: &str) -> anyhow::Result<Output> {
        let file = self.root.join("var/enrolment.token");
        std::fs::write(&file, token)?;
        let output = self
            .command(&["enroll", "--token-file"])
            .arg(&file)
            .arg("--config")
            .arg(&self.config)
            .output()
            .context("running flota-agent enroll");
        std::fs::remove_file(&file)?;
        output
    }

    /// Enrols as the host that its TPM is known to be, without a token.
    pub fn enroll_again(&self) -> anyhow::Result<Output> {
        self.command(&["enroll", "--config"]).arg(&self.config).output().context("running flota-agent enroll")
    }

    /// Sets keys of a table of the agent's settings; the table is there, or is added at the end.
    pub fn configure(&self, table: &str, lines: &str) -> anyhow::Result<()> {
        let (text, head) = (std::fs::read_to_string(&self.config)?, format!("[{table}]\n"));
        let changed = if text.contains(&head) {
            text.replacen(&head, &format!("{head}{lines}\n"), 1)
        } else {
            format!("{text}\n{head}{lines}\n")
        };
        std::fs::write(&self.config, changed).context("writing agent.toml")
    }

    /// Has the agent connect somewhere else than to this endpoint.
    pub fn redirect(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.config)?;
        ensure!(text.contains(from), "the settings do not name {from}");
        std::fs::write(&self.config, text.replace(from, to)).context("writing agent.toml")
    }

    /// Ends the agent in order and starts it again.
    pub fn restart_agent(&mut self) -> anyhow::Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.stop()?;
        }
        self.start_agent()
    }

    /// Starts the agent.
    pub fn start_agent(&mut self) -> anyhow::Result<()> {
        self.start_agent_with(None)
    }

    /// Starts the agent again with a clock that can be moved.
    pub fn restart_agent_with_clock(&mut self, clock: &ShiftedClock) -> anyhow::Result<()> {
        if let Some(agent) = &mut self.agent {
            agent.stop()?;
        }
        self.start_agent_with(Some(clock))
    }

    fn start_agent_with(&mut self, clock: Option<&ShiftedClock>) -> anyhow::Result<()> {
        let log = self.config.with_file_name("agent.log");
        let mut command = self.command(&["run", "--config"]);
        command.arg(&self.config);
        if let Some(clock) = clock {
            clock.give(&mut command);
        }
        self.agent = Some(Process::start("flota-agent", &mut command, &log)?);
        Ok(())
    }

    /// Gives the updates of this host to a supervisor, a process of its own, and starts that. `agent_user` is who the agent
    /// runs as.
    pub fn supervise(&mut self, agent_user: u32) -> anyhow::Result<()> {
        let socket = self.socket().display().to_string();
        self.configure("supervisor", &format!("agent_user = \"{agent_user}\"\nsocket = {socket:?}"))?;
        self.start_supervisor()
    }

    /// Where the supervisor is spoken to.
    pub fn socket(&self) -> PathBuf {
        self.config.with_file_name("supervisor.sock")
    }

    /// Starts the supervisor, and waits until it can be spoken to.
    pub fn start_supervisor(&mut self) -> anyhow::Result<()> {
        let log = self.config.with_file_name("supervisor.log");
        let mut command = Command::new(self.bins.path("flota-supervisor"));
        command.arg("--config").arg(&self.config);
        let mut supervisor = Process::start("flota-supervisor", &mut command, &log)?;
        let socket = self.socket();
        wait::until("the supervisor", SUPERVISOR_BOUND, || {
            supervisor.check_alive()?;
            Ok(std::os::unix::net::UnixStream::connect(&socket).is_ok().then_some(()))
        })?;
        self.supervisor = Some(supervisor);
        Ok(())
    }

    /// Runs a supervisor that has a reason not to run, and returns what it says.
    pub fn supervisor_refusal(&self) -> anyhow::Result<String> {
        let mut command = Command::new(self.bins.path("flota-supervisor"));
        let output = command.arg("--config").arg(&self.config).output()?;
        ensure!(!output.status.success(), "the supervisor ran, and ended in order");
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// SIGKILL for the supervisor; the bot goes on.
    pub fn kill_supervisor(&mut self) -> anyhow::Result<()> {
        self.supervisor.as_mut().map_or(Ok(()), Process::kill)
    }

    /// Everything the supervisor logged.
    pub fn supervisor_log(&self) -> String {
        std::fs::read_to_string(self.config.with_file_name("supervisor.log")).unwrap_or_default()
    }

    /// SIGKILL for the agent; the bot goes on.
    pub fn kill_agent(&mut self) -> anyhow::Result<()> {
        self.agent.as_mut().map_or(Ok(()), Process::kill)
    }

    /// What the bot says of itself, and its exit code: 0 healthy, 1 sick, 2 not running.
    pub fn bot_health(&self) -> anyhow::Result<(i32, Value)> {
        let output = Command::new(&self.bot.program).arg("health").arg("--root").arg(&self.root).output()?;
        let answer = serde_json::from_slice(&output.stdout).context("the bot's health is no JSON")?;
        Ok((output.status.code().unwrap_or(-1), answer))
    }

    /// Gives the bot something that it cannot close now, or takes it away.
    pub fn set_busy(&self, busy: bool) -> anyhow::Result<()> {
        let file = self.root.join("var/bot/busy");
        if busy { std::fs::write(file, "") } else { std::fs::remove_file(file) }.context("var/bot/busy")
    }

    /// Starts the bot, as a machine does when it boots.
    pub fn start_bot(&self) -> anyhow::Result<()> {
        self.bot.tell("start")
    }

    /// Stops the bot, as a machine does when it goes down.
    pub fn stop_bot(&self) -> anyhow::Result<()> {
        self.bot.tell("stop")
    }

    /// Version of the bot that runs.
    pub fn bot_version(&self) -> anyhow::Result<String> {
        let (_, health) = self.bot_health()?;
        Ok(health.get("version").and_then(Value::as_str).unwrap_or("none").to_owned())
    }

    /// The release that `current` names: the digest of its package.
    pub fn current(&self) -> anyhow::Result<String> {
        let target = std::fs::read_link(self.root.join("current"))?;
        Ok(target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
    }

    /// Everything the agent logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_file_name("agent.log")).unwrap_or_default()
    }

    /// Leaves agent, bot and TPM running.
    pub fn detach(mut self) {
        for process in [self.agent.take(), self.supervisor.take()].into_iter().flatten() {
            process.detach();
        }
        self.bot.at_the_end = AtTheEnd::LeaveRunning;
        self.tpm.detach();
    }

    /// Ends the bot; agent and TPM end when this is dropped.
    pub fn shut_down(&mut self) -> anyhow::Result<()> {
        for mut process in [self.agent.take(), self.supervisor.take()].into_iter().flatten() {
            process.stop()?;
        }
        self.bot.tell("stop")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.bins.path("flota-agent"));
        command.args(arguments).current_dir(&self.root).env("TSS2_LOG", "all+none");
        command
    }

    /// Lays a release out as Flota has it: `releases/<digest>` and `current`.
    fn install_release(&self, release: &Package) -> anyhow::Result<()> {
        let key = Secret::decode(PACKAGE_KEY, "the package key")?;
        let mut request = CheckRequest::new(&release.path, jiff::Timestamp::now());
        request.key = Some(&key);
        let report = flota_package::check(&request)?;
        let checked = report.checked_package().context("the package is not clean")?;
        let slot = self.root.join("releases").join(&release.digest);
        flota_package::unpack(&release.path, &checked, &slot)?;
        std::os::unix::fs::symlink(Path::new("releases").join(&release.digest), self.root.join("current"))?;
        Ok(())
    }
}

impl Bot {
    fn tell(&self, verb: &str) -> anyhow::Result<()> {
        let output = Command::new(&self.program).arg(verb).arg("--root").arg(&self.root).output()?;
        ensure!(output.status.success(), "the bot does not {verb}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        if self.at_the_end == AtTheEnd::Stop
            && let Err(error) = self.tell("stop")
        {
            eprintln!("{}: {error}", self.root.display());
        }
    }
}

fn settings(bins: &Bins, root: &Path, tpm: &Swtpm, controller: &Controller, exchange: &Exchange) -> String {
    let (bot, root) = (bins.path("flota-stand-in-bot").display().to_string(), root.display().to_string());
    let verb = |verb: &str| format!("[{bot:?}, {verb:?}, \"--root\", {root:?}]");
    let path = |path: &Path| path.display().to_string();
    format!(
        "root = {root:?}\n\n\
         [controller]\nenrollment = {:?}\nfleet = {:?}\nca_file = {:?}\n\n\
         [tpm]\ntcti = {:?}\n\n\
         [bot]\nstart = {}\nstop = {}\nhealth = {}\nquiesce = {}\nresume = {}\n\n\
         [export]\nkey_file = \"secrets/audit.key\"\nkey_id = \"audit-1\"\n\n\
         [package]\nkey_file = \"secrets/package.key\"\n\n\
         [health]\nexchange = \"binance_spot\"\nbase_url = {:?}\nca_file = {:?}\n\n\
         [update]\nprobation_seconds = 3\nhealth_polls = 3\nhealth_interval_ms = 200\n",
        controller.enrollment,
        controller.fleet,
        path(&controller.ca_file()),
        tpm.tcti(),
        verb("start"),
        verb("stop"),
        verb("health"),
        verb("quiesce"),
        verb("resume"),
        exchange.base_url,
        path(&exchange.ca_file),
    )
}
