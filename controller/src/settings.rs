//! `controller.toml`: read once, before anything is bound. Every problem is reported with file and key, never a value.

mod alerts;
mod outside;
mod rules;
mod tickets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_attest::ek_policy::EkPolicy;
use flota_model::Digest;
use flota_model::market::Market;
use serde::Deserialize;

pub use alerts::{AlertSettings, Receiver, ReceiverFormat, RuleWish};
pub use outside::Webhook;
pub use rules::{ExportRules, MAX_APPROVALS, RolloutRules, Ticket};
pub use tickets::{TicketSettings, TicketSystemKind};

/// Name of the settings file in the data folder.
pub const FILE_NAME: &str = "controller.toml";

/// PCRs asked for when the settings name none: firmware, its configuration, boot loader, secure boot (TCG PC Client
/// Platform Firmware Profile §3.3.4).
const DEFAULT_PCRS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// Attestations that may be missed before a host is `stale`.
pub const MISSED_FOR_STALE: u32 = 2;
/// Attestations that may be missed before a host's lease ends, and with it all new work.
const MISSED_FOR_LEASE: u32 = 3;
/// Shortest lease: an interval of seconds, as in tests, must not make a lease that one slow quote outlives.
const MIN_LEASE: Duration = Duration::from_secs(10);
/// MiB that a host may upload in a day when the settings say nothing: four of the largest exports.
const DEFAULT_UPLOAD_MIB: u64 = 4096;
/// Most that the settings may say, in MiB: a tebibyte.
const MAX_UPLOAD_MIB: u64 = 1 << 20;
/// Longest interval between attestations, in seconds: a host's lease ends after three missed ones.
const MAX_INTERVAL_SECONDS: u64 = 24 * 60 * 60;

/// Settings that are whole and valid.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of database, CA and blobs.
    pub data_dir: PathBuf,
    /// Where hosts enrol.
    pub enrollment_listen: SocketAddr,
    /// Where enrolled hosts and operators connect.
    pub fleet_listen: SocketAddr,
    /// DNS names and addresses under which the controller is reached.
    pub names: Vec<String>,
    /// PEM file of the TPM vendors' root certificates that are trusted.
    pub ek_roots: PathBuf,
    /// Which of their TPMs may enrol.
    pub ek_policy: EkPolicy,
    /// PCRs of the SHA-256 bank that quotes cover.
    pub pcrs: Vec<u8>,
    /// Time between heartbeats of a host.
    pub heartbeat: Duration,
    /// Time between attestations of a host.
    pub attest_interval: Duration,
    /// Whether a host to which no active policy applies fails; else it is held to its own first quote.
    pub policy_required: bool,
    /// Whether tokens may admit hosts without a TPM.
    pub allow_software_keys: bool,
    /// Bytes that one host may upload in a day.
    pub upload_bytes_per_day: u64,
    /// Where escalations are sent; none: nowhere.
    pub webhook: Option<Webhook>,
    /// What every rollout must have.
    pub rollouts: RolloutRules,
    /// When hosts export, and how long that is kept.
    pub exports: ExportRules,
    /// How often every host checks its exchanges without being asked; none: on demand and after updates.
    pub health_every: Option<Duration>,
    /// How people are told what they did not ask for.
    pub alerts: AlertSettings,
    /// Where rollouts that name a ticket are noted; none: nowhere.
    pub tickets: Option<TicketSettings>,
    /// When markets trade, by name.
    pub markets: BTreeMap<String, Market>,
    /// Where the bound addresses are written, for scripts that let the system choose ports.
    pub addresses_file: PathBuf,
}

impl Settings {
    /// How long a host may be given new work after a pass.
    pub fn lease(&self) -> Duration {
        (self.attest_interval * MISSED_FOR_LEASE).max(MIN_LEASE)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fragment {
    enrollment_listen: Option<String>,
    fleet_listen: Option<String>,
    names: Option<Vec<String>>,
    ek_roots: Option<PathBuf>,
    ek_manufacturers: BTreeSet<String>,
    ek_models: BTreeSet<String>,
    ek_revoked: Vec<String>,
    pcrs: Option<Vec<u8>>,
    heartbeat_seconds: Option<u64>,
    attest_interval_seconds: Option<u64>,
    attestation_policy_required: Option<bool>,
    allow_software_keys: Option<bool>,
    upload_mib_per_host_and_day: Option<u64>,
    webhook_url: Option<String>,
    webhook_key_file: Option<PathBuf>,
    export_every_hours: Option<u64>,
    health_every_minutes: Option<u64>,
    export_keep_days: Option<u64>,
    export_keys_file: Option<PathBuf>,
    rollout_approvals: Option<u32>,
    rollout_ticket_required: Option<bool>,
    alerts: alerts::AlertsFragment,
    tickets: Option<tickets::TicketsFragment>,
    markets: BTreeMap<String, rules::MarketFragment>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// No file.
    #[error("reading {}: was `flota-controller init` run for this folder?", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, or a key that does not exist.
    #[error("{} is not usable", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Keys with values that cannot be.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Values {
        /// Which file.
        path: PathBuf,
        /// One sentence a key.
        problems: Vec<String>,
    },
}

impl Settings {
    /// Reads `controller.toml` in `data_dir`.
    pub fn load(data_dir: &Path) -> Result<Self, BadSettings> {
        let path = data_dir.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).map_err(|source| BadSettings::Read { path: path.clone(), source })?;
        let fragment: Fragment = toml::from_str(&text)
            .map_err(|source| BadSettings::Syntax { path: path.clone(), source: Box::new(source) })?;
        validate(data_dir, fragment).map_err(|problems| BadSettings::Values { path, problems })
    }
}

fn validate(data_dir: &Path, fragment: Fragment) -> Result<Settings, Vec<String>> {
    let Fragment {
        enrollment_listen,
        fleet_listen,
        names,
        ek_roots,
        ek_manufacturers: manufacturers,
        ek_models: models,
        ek_revoked,
        pcrs,
        heartbeat_seconds,
        attest_interval_seconds,
        attestation_policy_required,
        allow_software_keys,
        upload_mib_per_host_and_day,
        webhook_url,
        webhook_key_file,
        export_every_hours,
        health_every_minutes,
        export_keep_days,
        export_keys_file,
        rollout_approvals,
        rollout_ticket_required,
        alerts,
        tickets,
        markets,
    } = fragment;
    let mut problems = Vec::new();
    let mut address = |key: &str, text: Option<String>, default: &str| {
        let parsed = text.as_deref().unwrap_or(default).parse::<SocketAddr>();
        parsed.unwrap_or_else(|_| {
            problems.push(format!("`{key}` is not an address and port, as in 0.0.0.0:7443"));
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    };
    let enrollment_listen = address("enrollment_listen", enrollment_listen, "0.0.0.0:7442");
    let fleet_listen = address("fleet_listen", fleet_listen, "0.0.0.0:7443");
    let names = names.unwrap_or_default();
    if names.is_empty() {
        problems
            .push("`names` is empty: give the DNS names or addresses under which hosts reach the controller".into());
    }
    let revoked = ek_revoked.iter().map(|text| text.parse::<Digest>().map(|digest| *digest.as_bytes()));
    let revoked = revoked.collect::<Result<BTreeSet<_>, _>>().unwrap_or_else(|error| {
        problems.push(format!("`ek_revoked` lists SHA-256 digests of endorsement keys, in hex: {error}"));
        BTreeSet::new()
    });
    let pcrs = pcrs.unwrap_or_else(|| DEFAULT_PCRS.to_vec());
    if pcrs.is_empty() || pcrs.iter().any(|index| *index > 23) {
        problems.push("`pcrs` must name at least one PCR, each from 0 to 23".into());
    }
    let heartbeat = heartbeat_seconds.unwrap_or(30);
    let attest = attest_interval_seconds.unwrap_or(300);
    for (key, value) in [("heartbeat_seconds", heartbeat), ("attest_interval_seconds", attest)] {
        if !(1..=MAX_INTERVAL_SECONDS).contains(&value) {
            problems.push(format!("`{key}` must be from 1 to {MAX_INTERVAL_SECONDS}"));
        }
    }
    let upload_mib = upload_mib_per_host_and_day.unwrap_or(DEFAULT_UPLOAD_MIB);
    if !(1..=MAX_UPLOAD_MIB).contains(&upload_mib) {
        problems.push(format!("`upload_mib_per_host_and_day` must be from 1 to {MAX_UPLOAD_MIB}"));
    }
    let webhook = outside::webhook(data_dir, webhook_url, webhook_key_file).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let health_every = rules::health(health_every_minutes, &mut problems);
    let exports = rules::exports(export_every_hours, export_keep_days, &mut problems);
    let exports = ExportRules { keys_file: export_keys_file.map(|file| data_dir.join(file)), ..exports };
    let rollouts = rules::rollouts(rollout_approvals, rollout_ticket_required, &mut problems);
    let alerts = alerts::alerts(data_dir, alerts, &mut problems);
    let tickets = tickets.map(|fragment| tickets::tickets(data_dir, fragment, &mut problems));
    let markets = rules::calendar(markets).unwrap_or_else(|more| {
        problems.extend(more);
        BTreeMap::new()
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Settings {
        data_dir: data_dir.to_owned(),
        enrollment_listen,
        fleet_listen,
        names,
        ek_roots: data_dir.join(ek_roots.unwrap_or_else(|| PathBuf::from("ek-roots.pem"))),
        ek_policy: EkPolicy { manufacturers, models, revoked },
        pcrs,
        heartbeat: Duration::from_secs(heartbeat),
        attest_interval: Duration::from_secs(attest),
        policy_required: attestation_policy_required.unwrap_or(false),
        allow_software_keys: allow_software_keys.unwrap_or(false),
        upload_bytes_per_day: upload_mib.saturating_mul(1 << 20),
        webhook,
        exports,
        health_every,
        rollouts,
        alerts,
        tickets,
        markets,
        addresses_file: data_dir.join("addresses.json"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Vec<String>> {
        validate(Path::new("/data"), toml::from_str(text).unwrap())
    }

    #[test]
    fn every_problem_is_reported_at_once_and_no_value() {
        let problems =
            parse("fleet_listen = 'secret'\npcrs = [24]\nheartbeat_seconds = 0\nek_revoked = ['secret']").unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(!problems.join(" ").contains("secret"));
    }

    #[test]
    fn names_are_enough() {
        let settings = parse("names = ['controller.example']").unwrap();
        assert_eq!(settings.fleet_listen.port(), 7443);
        assert_eq!(settings.pcrs, DEFAULT_PCRS);
    }
}
