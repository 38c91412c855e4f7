//! Child processes that never outlive their owner unless told to.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Time for an orderly end; the programs themselves take ten seconds at most.
const STOP_BOUND: Duration = Duration::from_secs(15);

/// A running program with its output in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Option<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts it; stdout and stderr are appended to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(log).with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child: Some(child), log: log.to_owned() })
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Everything it has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails with its last words if it has ended.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { anyhow::bail!("{} was stopped", self.name) };
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended with {status}:\n{}", self.name, last_lines(&self.output())),
        }
    }

    /// SIGKILL, as a power cut or an impatient person does it.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(mut child) = self.child.take() else { return Ok(None) };
        signal(&child, Signal::TERM)?;
        let status = wait::until("an orderly end", STOP_BOUND, || Ok(child.try_wait()?));
        if status.is_err() {
            child.kill()?;
            child.wait()?;
        }
        status.map(Some)
    }

    /// Stops the process where it stands; [`Process::thaw`] lets it go on.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.child.as_ref().map_or(Ok(()), |child| signal(child, Signal::STOP))
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.child.as_ref().map_or(Ok(()), |child| signal(child, Signal::CONT))
    }

    /// Leaves it running after this program's end.
    pub fn detach(mut self) {
        self.child = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill and its status is taken.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

fn signal(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id out of range")?;
    Ok(kill_process(pid, signal)?)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
