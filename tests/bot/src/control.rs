//! What the host's service commands do to a bot from outside: start, stop, health.

use std::fs::{self, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::root::{Behaviour, POLL, Phase, Root, State};

/// Longest wait for a start, beyond the warm-up the release asks for. A loaded test machine needs seconds to start a
/// process; a hang must still end.
const START_PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for an orderly stop. The bot's farewell is two small files.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for the kernel to take a killed process down.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Longest excerpt of a dead bot's output in an error, in bytes.
const OUTPUT_EXCERPT: usize = 2000;

/// What `start` did.
pub(crate) enum Started {
    /// A bot was started and is up.
    Now(State),
    /// One was running before.
    Already,
}

/// What `stop` did.
pub(crate) enum Stopped {
    /// The bot obeyed SIGTERM.
    Gracefully,
    /// It did not, and was killed.
    Killed,
    /// None ran.
    WasNotRunning,
}

/// The answer of `health`.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Health {
    Healthy(Vitals),
    Sick(Vitals),
    Starting(Vitals),
    NotRunning,
}

/// The running bot, by its own account.
#[derive(Serialize)]
pub(crate) struct Vitals {
    version: String,
    pid: u32,
    behaviour: Behaviour,
    trade_epoch: u64,
    /// It takes no new orders.
    resting: bool,
}

/// Starts a detached bot and waits until it is up.
pub(crate) async fn start(root: &Root) -> Result<Started> {
    if root.is_taken()? {
        return Ok(Started::Already);
    }
    // Read here too, so that a root without a usable release is refused before a process is made.
    let patience = root.release()?.warm_up() + START_PATIENCE;
    root.rest(false)?;
    let mut child = spawn(root)?;
    let deadline = Instant::now() + patience;
    loop {
        if let Some(state) = root.state()?
            && state.pid == child.id()
            && state.phase == Phase::Up
        {
            return Ok(Started::Now(state));
        }
        if let Some(status) = child.try_wait().context("waiting for the bot")? {
            if status.code() == Some(crate::ALREADY_RUNNING.into()) {
                return Ok(Started::Already);
            }
            bail!("the bot ended while it was starting: {status}; it said: {}", last_words(root));
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            bail!("the bot was not up after {} s and was killed; it said: {}", patience.as_secs(), last_words(root));
        }
        sleep(POLL).await;
    }
}

/// Brings the bot to rest; false: not now.
pub(crate) fn quiesce(root: &Root) -> Result<bool> {
    if root.is_busy() {
        return Ok(false);
    }
    root.rest(true)?;
    Ok(true)
}

/// Lets the bot trade again.
pub(crate) fn resume(root: &Root) -> Result<()> {
    root.rest(false)
}

/// Stops the bot of this root, whatever it takes.
pub(crate) async fn stop(root: &Root) -> Result<Stopped> {
    let deadline = Instant::now() + STOP_PATIENCE;
    let mut asked = None;
    while root.is_taken()? {
        // The lock is taken an instant before the pid is published; the file may also be that of a bot long dead.
        if let Some(pid) = root.pid()?.filter(|pid| asked != Some(*pid) && is_bot(*pid)) {
            signal(pid, Signal::TERM)?;
            asked = Some(pid);
        }
        if Instant::now() >= deadline {
            kill(root).await?;
            return Ok(Stopped::Killed);
        }
        sleep(POLL).await;
    }
    root.remove_pid()?;
    Ok(if asked.is_some() { Stopped::Gracefully } else { Stopped::WasNotRunning })
}

/// Reports on the bot of this root.
pub(crate) fn health(root: &Root) -> Result<Health> {
    if !root.is_taken()? {
        return Ok(Health::NotRunning);
    }
    let (Some(state), Some(pid)) = (root.state()?, root.pid()?) else {
        return Ok(Health::NotRunning);
    };
    let State { version, behaviour, pid: written_by, started_at: _, trade_epoch, phase } = state;
    let vitals = Vitals { version, pid, behaviour, trade_epoch, resting: root.is_resting() };
    Ok(match (phase, behaviour) {
        // The state of an earlier process: the one that holds the lock has not written its own yet.
        _ if written_by != pid => Health::Starting(vitals),
        (Phase::Starting | Phase::Stopped, _) => Health::Starting(vitals),
        (Phase::Up, Behaviour::Sick) => Health::Sick(vitals),
        (Phase::Up, Behaviour::Healthy | Behaviour::Crash | Behaviour::SlowStart) => Health::Healthy(vitals),
    })
}

fn spawn(root: &Root) -> Result<Child> {
    let output = root.output();
    let log = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&output)
        .with_context(|| format!("opening {}", output.display()))?;
    Command::new(std::env::current_exe().context("finding this program")?)
        .args(["run", "--own-session", "--root"])
        .arg(root.path())
        .current_dir(root.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("sharing the output file")?)
        .stderr(log)
        .spawn()
        .context("starting the bot process")
}

async fn kill(root: &Root) -> Result<()> {
    let Some(pid) = root.pid()?.filter(|pid| is_bot(*pid)) else {
        bail!("a bot holds the lock, and bot.pid does not name it: stop it by hand");
    };
    signal(pid, Signal::KILL)?;
    let deadline = Instant::now() + KILL_PATIENCE;
    while root.is_taken()? {
        if Instant::now() >= deadline {
            bail!("process {pid} holds the lock {} s after SIGKILL", KILL_PATIENCE.as_secs());
        }
        sleep(POLL).await;
    }
    root.remove_pid()
}

/// Whether the process is one of ours: a stale pid file may name a number that the kernel has given to another program.
fn is_bot(pid: u32) -> bool {
    let ours = std::env::current_exe().ok();
    let theirs = fs::read_link(format!("/proc/{pid}/exe")).ok();
    match (ours.as_deref().and_then(|path| path.file_name()), theirs.as_deref().and_then(|path| path.file_name())) {
        // A replaced program reads "name (deleted)".
        (Some(ours), Some(theirs)) => theirs.to_string_lossy().starts_with(&*ours.to_string_lossy()),
        _ => false,
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        bail!("bot.pid holds {pid}, which is no process id");
    };
    match kill_process(target, signal) {
        // Gone between the look and the signal: that is what was wanted.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("signalling process {pid}")),
    }
}

fn last_words(root: &Root) -> String {
    let output = fs::read(root.output()).unwrap_or_default();
    let tail = output.len().saturating_sub(OUTPUT_EXCERPT);
    match String::from_utf8_lossy(output.get(tail..).unwrap_or_default()).trim() {
        "" => "nothing".to_owned(),
        words => words.to_owned(),
    }
}
