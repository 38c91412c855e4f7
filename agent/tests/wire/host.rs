//! A host: an installation, a TPM or none, and the program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use flota_swtpm::Swtpm;
use serde_json::Value;

use super::controller::{BOUND, Controller};

/// The line of an enrolment token.
pub(crate) const TOKEN: &str = "flt_0123456789ab_5ecre7-half";

pub(crate) struct Host {
    folder: tempfile::TempDir,
    pub(crate) tpm: Option<Swtpm>,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }
}

impl Host {
    /// A machine with a TPM.
    pub(crate) fn with_tpm() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tpm = Swtpm::start(&folder.path().join("tpm")).unwrap();
        Self { folder, tpm: Some(tpm) }.furnished()
    }

    /// A machine without one.
    pub(crate) fn without_tpm() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), tpm: None }.furnished()
    }

    fn furnished(self) -> Self {
        for folder in ["logs", "secrets", "var/flota", "releases"] {
            fs::create_dir_all(self.root().join(folder)).unwrap();
        }
        fs::write(self.root().join("token"), TOKEN).unwrap();
        self
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("bot")
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.root().join("var/flota/agent").join(name)
    }

    /// The roots of this TPM's vendor, PEM.
    pub(crate) fn ek_roots(&self) -> String {
        self.tpm.as_ref().map(|tpm| tpm.ca_pem().unwrap()).unwrap_or_default()
    }

    /// Writes the settings. `tpm` goes into `[tpm]` beside the way to it, `more` behind everything.
    pub(crate) fn set_up(&self, controller: &Controller, tpm: &str, more: &str) {
        let (root, ca_file) = (self.root().display().to_string(), self.root().join("ca.pem").display().to_string());
        fs::write(&ca_file, &controller.ca.pem).unwrap();
        let tcti = self.tpm.as_ref().map(|tpm| format!("tcti = {:?}\n", tpm.tcti())).unwrap_or_default();
        let text = format!(
            "root = {root:?}\n[controller]\nenrollment = {:?}\nfleet = {:?}\nca_file = {ca_file:?}\n[tpm]\n{tcti}{tpm}\n\
             [bot]\nstart = [\"true\"]\nstop = [\"true\"]\nhealth = [\"true\"]\n\
             [export]\nkey_file = \"secrets/audit.key\"\n[package]\nkey_file = \"secrets/package.key\"\n{more}",
            controller.enrollment, controller.fleet,
        );
        fs::write(self.root().join("agent.toml"), text).unwrap();
    }

    /// Runs a command in the installation.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Enrols with the token.
    pub(crate) fn enroll(&self) -> Ran {
        self.run(&["enroll", "--config", "agent.toml", "--token-file", "token"])
    }

    /// Starts the daemon.
    pub(crate) fn start(&self) -> Daemon {
        let mut child = self.command(&["run", "--config", "agent.toml"]).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Daemon { child, log, seen: Vec::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flota-agent"));
        command.args(arguments).current_dir(self.root()).env_clear().env("TSS2_LOG", "all+none");
        command.stdin(Stdio::null());
        command
    }
}

/// The agent as a daemon. It ends with this.
pub(crate) struct Daemon {
    child: Child,
    log: mpsc::Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Daemon {
    /// Waits for a line of the log with this in it, from where the last wait ended.
    pub(crate) fn says(&mut self, part: &str) {
        let deadline = Instant::now() + BOUND;
        loop {
            let line = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let Ok(line) = line else { panic!("the log does not say {part:?}: {:#?}", self.seen) };
            let found = line.contains(part);
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    /// How many lines so far have this in them.
    pub(crate) fn said(&self, part: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(part)).count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The mode of a file, as of `chmod`.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
