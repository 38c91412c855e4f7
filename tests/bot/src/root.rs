//! The files of one installation that the bot reads and owns, and nothing else of it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a starting bot waits for the lock: `health` and `stop` probe it for an instant, and such a probe must not
/// look like a second bot.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// Pace of every wait on a file or a process in this program.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// Root folder of an installation. The path is absolute, because a detached bot changes its working directory.
pub(crate) struct Root(PathBuf);

/// `current/bot.json`: what the installed release is and how it shall behave.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// Version the release claims, for example `4.12.0`.
    pub(crate) version: String,
    /// What it does once started.
    pub(crate) behaviour: Behaviour,
    /// Time from start to up for `slow_start`, in milliseconds.
    #[serde(default)]
    slow_start_ms: u64,
}

/// The ways a release can behave.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behaviour {
    /// Runs and says so.
    Healthy,
    /// Runs, and its health check says that it is unwell.
    Sick,
    /// Comes up and dies a moment later.
    Crash,
    /// Healthy, after `slow_start_ms`.
    SlowStart,
}

/// `var/bot/state.json`: the bot's own account of itself. It outlives the process, because the trade epoch does.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: String,
    pub(crate) behaviour: Behaviour,
    pub(crate) pid: u32,
    pub(crate) started_at: Timestamp,
    /// Counts the starts of a bot in this root: two bots that ever shared one would have fought over the same orders.
    pub(crate) trade_epoch: u64,
    pub(crate) phase: Phase,
}

/// How far the process that wrote the state had come.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Starting,
    Up,
    Stopped,
}

impl Root {
    /// Opens an existing root folder and creates the folders in it that the bot owns.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let root = Self(fs::canonicalize(path).with_context(|| format!("opening the root folder {}", path.display()))?);
        for folder in [root.own(""), root.logs()] {
            fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        Ok(root)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Where a detached bot's stdout and stderr go.
    pub(crate) fn output(&self) -> PathBuf {
        self.own("bot.out")
    }

    pub(crate) fn release(&self) -> Result<Release> {
        let path = self.0.join("current/bot.json");
        read_json(&path)?.with_context(|| format!("no release is installed: {} does not exist", path.display()))
    }

    /// Whether it has something open that it cannot close now: a test says so by the file `var/bot/busy`.
    pub(crate) fn is_busy(&self) -> bool {
        self.own("busy").exists()
    }

    /// Whether the bot takes no new orders.
    pub(crate) fn is_resting(&self) -> bool {
        self.own("resting").exists()
    }

    /// Takes no new orders from now on, or takes them again.
    pub(crate) fn rest(&self, resting: bool) -> Result<()> {
        if resting {
            return self.replace("resting", b"");
        }
        match fs::remove_file(self.own("resting")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("removing the sign of rest"),
            _ => Ok(()),
        }
    }

    pub(crate) fn state(&self) -> Result<Option<State>> {
        read_json(&self.own("state.json"))
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        self.replace("state.json", &serde_json::to_vec(state)?)
    }

    pub(crate) fn pid(&self) -> Result<Option<u32>> {
        read_json(&self.own("bot.pid"))
    }

    pub(crate) fn write_pid(&self, pid: u32) -> Result<()> {
        self.replace("bot.pid", format!("{pid}\n").as_bytes())
    }

    pub(crate) fn remove_pid(&self) -> Result<()> {
        let path = self.own("bot.pid");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Takes the lock that makes its holder the only bot of this root; `None` if another holds it.
    pub(crate) async fn lock(&self) -> Result<Option<File>> {
        let file = self.lock_file()?;
        let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(POLL).await;
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error).context("locking var/bot/lock"),
            }
        }
    }

    /// Whether a bot runs here. The lock answers, not the pid file: a killed bot leaves the file, never the lock.
    pub(crate) fn is_taken(&self) -> Result<bool> {
        match self.lock_file()?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error).context("probing var/bot/lock"),
        }
    }

    fn lock_file(&self) -> Result<File> {
        let path = self.own("lock");
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))
    }

    fn own(&self, name: &str) -> PathBuf {
        self.0.join("var/bot").join(name)
    }

    /// Replaces a file of `var/bot` so that a reader, or a crash, sees the old content or the new one.
    fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let (target, temporary) = (self.own(name), self.own(&format!(".{name}.new")));
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, &target)?;
            File::open(self.own(""))?.sync_all()
        };
        write().with_context(|| format!("writing {}", target.display()))
    }
}

impl Release {
    /// Time between the start of the process and the moment it is up.
    pub(crate) fn warm_up(&self) -> Duration {
        match self.behaviour {
            Behaviour::SlowStart => Duration::from_millis(self.slow_start_ms),
            Behaviour::Healthy | Behaviour::Sick | Behaviour::Crash => Duration::ZERO,
        }
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => bail!(anyhow::Error::new(error).context(format!("reading {}", path.display()))),
    };
    serde_json::from_slice(&text).map(Some).with_context(|| format!("reading {}", path.display()))
}
