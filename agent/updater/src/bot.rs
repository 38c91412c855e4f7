//! The bot, driven by the three commands that the settings name. No shell, no inherited environment, no endless wait.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use flota_daemon::error_chain::chain;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::settings::{BotSettings, ServiceCommand};

/// What `quiesce` exits with when the bot cannot come to rest now and may later (sysexits.h, EX_TEMPFAIL).
pub const NOT_NOW: i32 = 75;

/// Where programs are looked for that the settings name without a path. Fixed, because the agent's own variables, which
/// may hold keys, are not passed on.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The bot of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Bot {
    settings: BotSettings,
    root: PathBuf,
    logs: PathBuf,
}

/// Why a service command did not do what it is for. What it printed is in a file of the state folder, not here: it is
/// not ours, and may hold anything.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The program cannot be started: it is not there, or may not be run.
    #[error("running the bot's {verb} command")]
    Spawn {
        /// `start`, `stop`, `health`, `quiesce`, `resume` or `self_test`.
        verb: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("the bot's {verb} command ended with {status}; what it printed is in {}", output.display())]
    Failed {
        /// `start`, `stop`, `health`, `quiesce`, `resume` or `self_test`.
        verb: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: PathBuf,
    },
    /// This very program is not the one that should run.
    #[error("the program that runs is not the one that should: {0}")]
    NotCurrent(String),
    /// It did not end in time, and was killed with all that it started.
    #[error("the bot's {verb} command took more than {} s", after.as_secs())]
    Timeout {
        /// `start`, `stop`, `health`, `quiesce`, `resume` or `self_test`.
        verb: &'static str,
        /// Its limit.
        after: Duration,
    },
}

impl BotError {
    /// Whether the same command may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Failed { status, .. } => status.code() == Some(NOT_NOW),
            Self::Timeout { .. } => true,
            Self::Spawn { .. } | Self::NotCurrent(_) => false,
        }
    }
}

impl Bot {
    /// The bot of `root`; what its commands print goes to files in `logs`.
    pub(crate) fn new(settings: &BotSettings, root: &Path, logs: &Path) -> Self {
        Self { settings: settings.clone(), root: root.to_owned(), logs: logs.to_owned() }
    }

    /// Starts what `current` names.
    pub(crate) async fn start(&self) -> Result<(), BotError> {
        self.run("start", &self.settings.start).await
    }

    /// Stops the bot; fine if none runs.
    pub(crate) async fn stop(&self) -> Result<(), BotError> {
        self.run("stop", &self.settings.stop).await
    }

    /// Asks whether the bot is healthy.
    pub(crate) async fn health(&self) -> Result<(), BotError> {
        self.run("health", &self.settings.health).await
    }

    /// Asks the bot to come to rest; one that cannot is stopped as it is.
    pub(crate) async fn quiesce(&self) -> Result<(), BotError> {
        match &self.settings.rest {
            Some(rest) => self.run("quiesce", &rest.quiesce).await,
            None => Ok(()),
        }
    }

    /// Lets the bot trade again. One that does not do so when asked is started anew.
    pub(crate) async fn resume(&self) -> Result<(), BotError> {
        let Some(rest) = &self.settings.rest else { return Ok(()) };
        let Err(error) = self.run("resume", &rest.resume).await else { return Ok(()) };
        tracing::warn!(error = chain(&error), "the bot does not trade again; starting it anew");
        self.stop().await?;
        self.start().await
    }

    async fn run(&self, verb: &'static str, command: &ServiceCommand) -> Result<(), BotError> {
        run_command(verb, command, &self.root, &self.logs, &[("FLOTA_ROOT", &self.root)]).await
    }
}

/// Runs a command of the settings in this folder, with these variables and no others of ours.
pub(crate) async fn run_command(
    verb: &'static str,
    command: &ServiceCommand,
    folder: &Path,
    logs: &Path,
    variables: &[(&str, &Path)],
) -> Result<(), BotError> {
    let ServiceCommand { program, arguments, timeout } = command;
    let spawn_failed = |source| BotError::Spawn { verb, source };
    let output = logs.join(format!("bot.{verb}.log"));
    // A file, not a pipe: a bot that the command leaves behind may hold it open for ever.
    let log = File::create(&output).map_err(spawn_failed)?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LANG", "C.UTF-8")
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(spawn_failed)?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(spawn_failed)?;
    let mut group = Group::of(child);
    match tokio::time::timeout(*timeout, group.child.wait()).await {
        Ok(ended) => {
            group.leader = None;
            match ended.map_err(spawn_failed)? {
                status if status.success() => Ok(()),
                status => Err(BotError::Failed { verb, status, output }),
            }
        }
        Err(_) => Err(BotError::Timeout { verb, after: *timeout }),
    }
}

/// A command and all that it started; killed when dropped before it has ended.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child, leader }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // Gone already is fine; tokio reaps the child.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot(root: &Path, health: &[&str]) -> Bot {
        let command = |argv: &[&str]| ServiceCommand {
            program: argv[0].to_owned(),
            arguments: argv[1..].iter().map(|word| (*word).to_owned()).collect(),
            timeout: Duration::from_millis(300),
        };
        let settings =
            BotSettings { start: command(&["env"]), stop: command(&["true"]), health: command(health), rest: None };
        Bot::new(&settings, root, root)
    }

    #[tokio::test]
    async fn an_exit_code_is_the_answer() {
        let root = tempfile::tempdir().unwrap();
        bot(root.path(), &["true"]).health().await.unwrap();
        let refused = bot(root.path(), &["false"]).health().await.unwrap_err();
        assert!(matches!(refused, BotError::Failed { verb: "health", .. }), "{refused}");
        let absent = bot(root.path(), &["no-such-program"]).health().await.unwrap_err();
        assert!(matches!(absent, BotError::Spawn { .. }), "{absent}");
    }

    #[tokio::test]
    async fn what_hangs_is_killed_with_its_children() {
        let root = tempfile::tempdir().unwrap();
        // `timeout` runs `sleep` as its child, in its own group when in the foreground.
        let hung = bot(root.path(), &["timeout", "--foreground", "31557", "sleep", "31556"]);
        assert!(matches!(hung.health().await, Err(BotError::Timeout { verb: "health", .. })));
        let still_there = || {
            std::fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x0031556\0"))
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while still_there() {
            assert!(std::time::Instant::now() < deadline, "the child outlived its group");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_agents_variables_stay_with_the_agent() {
        let root = tempfile::tempdir().unwrap();
        bot(root.path(), &["true"]).start().await.unwrap();
        let printed = std::fs::read_to_string(root.path().join("bot.start.log")).unwrap();
        let mut names: Vec<_> = printed.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["FLOTA_ROOT", "LANG", "PATH"]);
    }
}
