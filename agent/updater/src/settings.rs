//! What `agent.toml` says for the updater: its own sections, and how every section of that file is read.
//!
//! `root` is absolute; every other relative path in the file is below it. Keys are named by the file that holds them.
//! Whatever is wrong is reported at once, each matter with file, line and key, and never with the value.

mod read;
mod reader;
pub mod values;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use read::{Base, read, table};
pub use reader::{BadSetting, Parse, Problems, Reader, Section};
use serde::{Deserialize, Serialize};

/// Longest settings file, in bytes. A real one has two thousand; one beyond this is a wrong path.
pub const MAX_SETTINGS_BYTES: u64 = 1 << 20;
/// Sections of the same file that are the agent's alone.
const OF_THE_AGENT: [&str; 5] = ["controller", "tpm", "export", "oem", "health"];

/// What the updater must know of its host. All paths are absolute.
#[derive(Debug, Clone)]
pub struct UpdaterSettings {
    /// The installation: `releases/`, `current`, and the bot's data folders.
    pub root: PathBuf,
    /// What the agent keeps. Default `var/flota/agent` below the root.
    pub agent_dir: PathBuf,
    /// What the updater keeps: journal, trust, history, snapshots. The agent's folder, unless `[supervisor]` is there.
    pub state_dir: PathBuf,
    /// Where the updater is spoken to.
    pub socket: PathBuf,
    /// Which process the updater is part of.
    pub home: Home,
    /// How to drive the bot, or whatever is updated; none: it is the program that the updater is part of.
    pub bot: Option<BotSettings>,
    /// How packages are checked.
    pub package: PackageSettings,
    /// The pace of an update.
    pub update: UpdateSettings,
    /// How Flota's own programs are updated; none: they are not.
    pub programs: Option<ProgramsSettings>,
}

/// `[programs]`: Flota's own programs on this host, as releases.
#[derive(Debug, Clone)]
pub struct ProgramsSettings {
    /// `agent/` and `supervisor/`, each with `releases/` and `current`.
    pub root: PathBuf,
    /// How their packages are checked.
    pub package: PackageSettings,
    /// How to drive the agent.
    pub agent: BotSettings,
}

/// What is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The bot.
    Bot,
    /// `flota-agent`.
    Agent,
    /// `flota-supervisor`.
    Supervisor,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bot, Self::Agent, Self::Supervisor];

    /// Its name, as of a folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::Supervisor => "supervisor",
        }
    }

    /// The id that its packages have in their manifests; none: any but those of the others.
    pub const fn package_id(self) -> Option<&'static str> {
        match self {
            Self::Bot => None,
            Self::Agent => Some("flota-agent"),
            Self::Supervisor => Some("flota-supervisor"),
        }
    }
}

/// Which process the updater is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// The agent's. Whoever takes over the agent has the bot.
    Agent,
    /// A supervisor of its own, which has the privileges and no network.
    Supervisor {
        /// The agent's user: its name, or its number.
        agent_user: String,
    },
}

/// `[bot]`: the service commands.
#[derive(Debug, Clone)]
pub struct BotSettings {
    /// Starts the release behind `current`; a bot that runs already is left alone.
    pub start: ServiceCommand,
    /// Stops the bot; nothing to stop is fine.
    pub stop: ServiceCommand,
    /// Exits with 0 if the bot is healthy.
    pub health: ServiceCommand,
    /// How it comes to rest before it is stopped for an update; none: it is stopped as it is.
    pub rest: Option<RestCommands>,
}

/// How a bot comes to rest, and trades again.
#[derive(Debug, Clone)]
pub struct RestCommands {
    /// Exits with 0 once the bot has no resting orders and no positions that nothing protects, and takes no new ones; with
    /// [`crate::NOT_NOW`] if that may be so later; with anything else if it will not be. Asking again is fine.
    pub quiesce: ServiceCommand,
    /// Lets the bot trade again; one that trades is left alone.
    pub resume: ServiceCommand,
}

/// A program, its arguments (never through a shell), and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCommand {
    /// The program: absolute, or found in the fixed [search path](crate::SEARCH_PATH).
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Then its whole process group is killed.
    pub timeout: Duration,
}

/// `[package]`: the package check (manual §2).
#[derive(Debug, Clone)]
pub struct PackageSettings {
    /// File with the HMAC key that every package must be signed with.
    pub key_file: PathBuf,
    /// File with the first root of the release metadata (TUF), which all trust in releases starts from.
    pub release_root: PathBuf,
    /// What is in them.
    pub component: Component,
}

/// `[update]`: how a new release is tried.
#[derive(Debug, Clone)]
pub struct UpdateSettings {
    /// A release that is not healthy by then is rolled back.
    pub probation: Duration,
    /// One that is healthy must stay so for that long; none: it is committed at once.
    pub soak: Option<Duration>,
    /// So many healthy answers in a row are proof.
    pub health_polls: NonZeroU32,
    /// Pause between two questions.
    pub health_interval: Duration,
    /// Whether the exchange must answer before a release is committed.
    pub exchange_check: ExchangeCheck,
    /// Whether an update may start while the bot is unhealthy.
    pub sick_start: SickStart,
    /// Bytes a second that a package may take of the network; none: as fast as it goes.
    pub rate: Option<NonZeroU64>,
    /// Files and folders, by their path below the root, that are copied before a release is tried; none: nothing is.
    pub snapshot: Vec<PathBuf>,
    /// Run in the folder of a release before it is tried, without a network; none: nothing is.
    pub self_test: Option<ServiceCommand>,
}

/// Whether probation includes the exchange health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeCheck {
    /// It does, where `[health]` is set up.
    Required,
    /// It does not.
    Skipped,
}

/// What preflight makes of a bot that is unhealthy before its update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SickStart {
    /// The update is refused: its own failure could not be told from the one that was there.
    Refused,
    /// The update goes on: it may be the cure.
    Allowed,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("reading the settings file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What the file says cannot be used.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

impl UpdaterSettings {
    /// Reads and checks the updater's sections of a settings file; the others are the agent's to check.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        Ok(Self::parse(&read_bounded(path)?, &path.display().to_string())?)
    }

    /// Checks the text of a settings file; `origin` names it in the problems.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Problems> {
        let (mut reader, mut top) = Reader::open(text, origin)?;
        let (settings, _) = read(&mut reader, &mut top);
        for section in OF_THE_AGENT {
            reader.leave(&mut top, section);
        }
        reader.close(top);
        reader.finish(settings)
    }

    /// The settings of one thing that is updated; none if it is not, here.
    pub fn of(&self, component: Component) -> Option<Self> {
        if component == Component::Bot {
            return Some(self.clone());
        }
        // Without a supervisor there is nobody to switch them.
        let programs = self.programs.as_ref().filter(|_| self.home != Home::Agent)?;
        let update = UpdateSettings {
            exchange_check: ExchangeCheck::Skipped,
            sick_start: SickStart::Allowed,
            snapshot: Vec::new(),
            self_test: None,
            ..self.update.clone()
        };
        Some(Self {
            root: programs.root.join(component.name()),
            state_dir: self.state_dir.join(component.name()),
            package: PackageSettings { component, ..programs.package.clone() },
            bot: (component == Component::Agent).then(|| programs.agent.clone()),
            update,
            ..self.clone()
        })
    }

    /// Where packages arrive: the agent brings them.
    pub fn downloads(&self) -> PathBuf {
        self.agent_dir.join("downloads")
    }
}

/// Reads a settings file.
pub fn read_bounded(path: &Path) -> Result<String, SettingsError> {
    use std::io::Read as _;
    let failed = |source| SettingsError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_SETTINGS_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_SETTINGS_BYTES {
        return Err(failed(std::io::Error::other(format!("it has more than {MAX_SETTINGS_BYTES} bytes"))));
    }
    Ok(text)
}
