//! `agent.toml`: what the agent must know of its host, checked as a whole before anything is opened or bound.
//!
//! `root` is absolute; every other relative path in the file is below it. Keys are named by the file that holds them.
//! Whatever is wrong is reported at once, each matter with file, line and key, and never with the value.

mod read;
mod reader;
#[cfg(test)]
mod tests;
mod values;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_procedures::health::{BaseUrl, ExchangeId, Mode};
use flota_tpm::{KeyChoice, Tcti};

pub use reader::{BadSetting, Problems};

/// Exit code for settings that cannot be used (`EX_USAGE` of sysexits.h).
pub const EXIT_BAD_SETTINGS: u8 = 64;
/// Longest settings file, in bytes. A real one has two thousand; one beyond this is a wrong path.
pub const MAX_SETTINGS_BYTES: u64 = 1 << 20;

/// Everything that `agent.toml` says, valid. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The installation: `releases/`, `current`, and the bot's data folders.
    pub root: PathBuf,
    /// What the agent itself keeps: journal, identity, downloads. Default `var/flota/agent` below the root.
    pub state_dir: PathBuf,
    /// Whom to connect to.
    pub controller: ControllerSettings,
    /// The TPM, or that there is none.
    pub tpm: TpmSettings,
    /// How to drive the bot.
    pub bot: BotSettings,
    /// What a security export contains.
    pub export: ExportSettings,
    /// How packages are checked.
    pub package: PackageSettings,
    /// The evidence and the licence whose state goes into every quote.
    pub oem: OemSettings,
    /// Which exchange is checked; none if no health check was set up.
    pub health: Option<HealthSettings>,
    /// The pace of an update.
    pub update: UpdateSettings,
}

/// `[controller]`: the two listeners and the CA that vouches for them.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// `https://host:port` of the enrollment listener.
    pub enrollment: String,
    /// `https://host:port` of the fleet listener.
    pub fleet: String,
    /// PEM file with the fleet CA.
    pub ca_file: PathBuf,
}

/// `[tpm]`: where the host's keys are.
#[derive(Debug, Clone)]
pub enum TpmSettings {
    /// `mode = "required"`: in its TPM.
    Required(TpmAccess),
    /// `mode = "none"`: the host has no TPM, libtss2 is never called, and its TLS key is in a file.
    Absent,
}

/// How the TPM is used.
#[derive(Debug, Clone)]
pub struct TpmAccess {
    /// The way to it. Without one, whatever needs the TPM is refused.
    pub tcti: Option<Tcti>,
    /// Which kinds of keys are made where the TPM offers several.
    pub keys: KeyChoice,
    /// The firmware's event log. A host without the file has no log to show.
    pub boot_log: PathBuf,
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
    /// [`crate::update::NOT_NOW`] if that may be so later; with anything else if it will not be. Asking again is fine.
    pub quiesce: ServiceCommand,
    /// Lets the bot trade again; one that trades is left alone.
    pub resume: ServiceCommand,
}

/// A program, its arguments (never through a shell), and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCommand {
    /// The program: absolute, or found in the fixed search path of [`crate::update`].
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Then its whole process group is killed.
    pub timeout: Duration,
}

/// `[export]`: the security export (manual §1).
#[derive(Debug, Clone)]
pub struct ExportSettings {
    /// The audit log.
    pub audit_path: PathBuf,
    /// The alert log.
    pub alerts_path: PathBuf,
    /// Logs whose tails go along.
    pub include_logs: Vec<PathBuf>,
    /// Where bundles are kept.
    pub output_dir: PathBuf,
    /// File with the HMAC key.
    pub key_file: PathBuf,
    /// Name of that key, for the signature.
    pub key_id: Option<String>,
}

/// `[package]`: the package check (manual §2).
#[derive(Debug, Clone)]
pub struct PackageSettings {
    /// File with the HMAC key that every package must be signed with.
    pub key_file: PathBuf,
    /// File with the first root of the release metadata (TUF), which all trust in releases starts from.
    pub release_root: PathBuf,
}

/// `[oem]`: what `check-tpm-status` is given by flags (manual §3). What is not named is not checked.
#[derive(Debug, Clone)]
pub struct OemSettings {
    /// The evidence.
    pub evidence_file: Option<PathBuf>,
    /// The whole fingerprint that the host must have; the licence's if absent.
    pub expected_fingerprint: Option<String>,
    /// File with the public keys of evidence.
    pub keyring: Option<PathBuf>,
    /// The licence.
    pub licence_file: Option<PathBuf>,
    /// File with the keys that prove the licence.
    pub licence_keys: Option<PathBuf>,
    /// The issuer's list of revoked licences.
    pub revocation_list: Option<PathBuf>,
    /// File with the keys that prove that list.
    pub revocation_keys: Option<PathBuf>,
    /// How long a result counts before the files are looked at again.
    pub check_interval: Duration,
}

/// `[health]`: the exchange health check (manual §4).
#[derive(Debug, Clone)]
pub struct HealthSettings {
    /// Which exchange, possibly with the mode: `binance_spot`.
    pub exchange: ExchangeId,
    /// The credentials file.
    pub credentials_file: PathBuf,
    /// Overrides the exchange's own address: a proxy, or a stand-in.
    pub base_url: Option<BaseUrl>,
    /// PEM file of the CA behind `base_url`; the web's CAs if absent.
    pub ca_file: Option<PathBuf>,
    /// Overrides the mode of the credentials file.
    pub mode: Option<Mode>,
}

/// `[update]`: how a new release is tried.
#[derive(Debug, Clone)]
pub struct UpdateSettings {
    /// A release that is not healthy by then is rolled back.
    pub probation: Duration,
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

impl Settings {
    /// Reads and checks a settings file.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = read_bounded(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        Ok(Self::parse(&text, &path.display().to_string())?)
    }

    /// Checks the text of a settings file; `origin` names it in the problems.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Problems> {
        read::settings(text, origin)
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SETTINGS_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SETTINGS_BYTES {
        return Err(std::io::Error::other(format!("it has more than {MAX_SETTINGS_BYTES} bytes")));
    }
    Ok(text)
}
