//! `agent.toml`: what the agent must know of its host, checked as a whole before anything is opened or bound.
//!
//! `root` is absolute; every other relative path in the file is below it. Keys are named by the file that holds them.
//! Whatever is wrong is reported at once, each matter with file, line and key, and never with the value.

mod read;
#[cfg(test)]
mod tests;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flota_procedures::health::{BaseUrl, ExchangeId, Mode};
use flota_tpm::{KeyChoice, Tcti};

use flota_updater::settings::read_bounded;
pub use flota_updater::settings::{BadSetting, Problems, SettingsError, UpdaterSettings};

/// Exit code for settings that cannot be used (`EX_USAGE` of sysexits.h).
pub const EXIT_BAD_SETTINGS: u8 = 64;

/// Everything that `agent.toml` says, valid. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The installation: `releases/`, `current`, and the bot's data folders.
    pub root: PathBuf,
    /// What the agent itself keeps: identity, downloads. Default `var/flota/agent` below the root.
    pub state_dir: PathBuf,
    /// Whom to connect to.
    pub controller: ControllerSettings,
    /// The TPM, or that there is none.
    pub tpm: TpmSettings,
    /// What a security export contains.
    pub export: ExportSettings,
    /// The evidence and the licence whose state goes into every quote.
    pub oem: OemSettings,
    /// Which exchange is checked; none if no health check was set up.
    pub health: Option<HealthSettings>,
    /// What the updater must know.
    pub updater: Arc<UpdaterSettings>,
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

impl Settings {
    /// Reads and checks a settings file.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        Ok(Self::parse(&read_bounded(path)?, &path.display().to_string())?)
    }

    /// Checks the text of a settings file; `origin` names it in the problems.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Problems> {
        read::settings(text, origin)
    }
}
