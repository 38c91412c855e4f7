//! What is updated, as something that is started and stopped: a bot by its commands, or this very program.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::bot::{Bot, BotError};
use crate::settings::UpdaterSettings;
use crate::slots::CURRENT;

/// What is updated.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    /// By the commands of the settings.
    Commands(Box<Bot>),
    /// The program that asks.
    Own(Own),
}

/// This very program. It is started anew by ending: whatever keeps it running starts what `current` names
/// ([`crate::boot`]).
#[derive(Debug, Clone)]
pub(crate) struct Own {
    root: PathBuf,
    stopping: CancellationToken,
}

impl Service {
    pub(crate) fn of(settings: &UpdaterSettings, stopping: CancellationToken) -> Self {
        match &settings.bot {
            Some(bot) => Self::Commands(Box::new(Bot::new(bot, &settings.root, &settings.state_dir))),
            None => Self::Own(Own { root: settings.root.clone(), stopping }),
        }
    }

    /// Starts what `current` names.
    pub(crate) async fn start(&self) -> Result<(), BotError> {
        match self {
            Self::Commands(bot) => bot.start().await,
            Self::Own(own) => own.become_current().await,
        }
    }

    /// Stops it; fine if it does not run. This program is stopped by its start.
    pub(crate) async fn stop(&self) -> Result<(), BotError> {
        match self {
            Self::Commands(bot) => bot.stop().await,
            Self::Own(_) => Ok(()),
        }
    }

    /// Asks whether it is healthy. That this program asks at all says that it is; it must be the right one.
    pub(crate) async fn health(&self) -> Result<(), BotError> {
        match self {
            Self::Commands(bot) => bot.health().await,
            Self::Own(own) => match is_current(&own.root) {
                Ok(true) => Ok(()),
                Ok(false) => Err(BotError::NotCurrent("it is to be started anew".to_owned())),
                Err(error) => Err(BotError::NotCurrent(error.to_string())),
            },
        }
    }

    /// Asks a bot to come to rest.
    pub(crate) async fn quiesce(&self) -> Result<(), BotError> {
        match self {
            Self::Commands(bot) => bot.quiesce().await,
            Self::Own(_) => Ok(()),
        }
    }

    /// Lets a bot trade again.
    pub(crate) async fn resume(&self) -> Result<(), BotError> {
        match self {
            Self::Commands(bot) => bot.resume().await,
            Self::Own(_) => Ok(()),
        }
    }
}

impl Own {
    /// Ends the program unless it is the right one already.
    async fn become_current(&self) -> Result<(), BotError> {
        if is_current(&self.root).map_err(|error| BotError::NotCurrent(error.to_string()))? {
            return Ok(());
        }
        tracing::info!(root = %self.root.display(), "ending, to be started anew as what `current` names");
        self.stopping.cancel();
        // The next life goes on from here.
        std::future::pending().await
    }
}

/// Whether the program that runs is what `current` names, or the installed one where it names nothing.
pub(crate) fn is_current(root: &Path) -> io::Result<bool> {
    is_named(root, &std::env::current_exe()?)
}

/// The same of another program.
pub(crate) fn is_named(root: &Path, program: &Path) -> io::Result<bool> {
    match fs::canonicalize(root.join(CURRENT)) {
        Ok(folder) => Ok(program.starts_with(folder)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(!program.starts_with(fs::canonicalize(root)?)),
        Err(error) => Err(error),
    }
}
