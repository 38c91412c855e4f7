//! What `agent.toml` may say, key by key.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_tpm::KeyChoice;

use super::reader::{Problems, Reader, Section};
use super::values::{
    TpmMode, absolute_path, argv, attestation_key, base_url, endorsement_key, endpoint, exchange, exchange_check,
    milliseconds, path, paths, paths_below, polls, rate, seconds, sick_start, tcti, text, tpm_mode, trading_mode,
};
use super::{
    BotSettings, ControllerSettings, ExchangeCheck, ExportSettings, HealthSettings, OemSettings, PackageSettings,
    RestCommands, ServiceCommand, Settings, SickStart, TpmAccess, TpmSettings, UpdateSettings,
};

/// Time to start the bot unless told otherwise; exchanges take their time to accept a session.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Time to stop it; an orderly farewell cancels resting orders.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);
/// Time to answer one health question.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to come to rest: orders are cancelled at once, and positions are closed at prices that come.
const QUIESCE_TIMEOUT: Duration = Duration::from_mins(5);
/// Time to trade again.
const RESUME_TIMEOUT: Duration = Duration::from_mins(1);
/// Probation unless told otherwise.
const PROBATION: Duration = Duration::from_mins(2);
/// Where Linux shows the firmware's event log.
const BOOT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";
/// Where the first root of the release metadata is unless told otherwise.
const RELEASE_ROOT: &str = "config/release-root.json";
/// How long a result on evidence and licence counts unless told otherwise: the pace of attestations.
const OEM_INTERVAL: Duration = Duration::from_mins(5);
/// Healthy answers in a row unless told otherwise: one may be luck, three over two seconds rarely are.
const HEALTH_POLLS: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// Pause between two questions unless told otherwise.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn settings(text: &str, origin: &str) -> Result<Settings, Problems> {
    let (mut reader, mut top) = Reader::open(text, origin)?;
    let root = reader.required(&mut top, "root", absolute_path);
    // Without a root the paths below it are still checked for everything else.
    let base = Base(root.clone().unwrap_or_default());
    let state_dir = reader.or(&mut top, "state_dir", path, PathBuf::from("var/flota/agent"));
    let controller = read_section(&mut reader, &mut top, "controller", &base, controller);
    let tpm =
        read_section(&mut reader, &mut top, "tpm", &base, |reader, section, base| Some(tpm(reader, section, base)));
    let bot = read_section(&mut reader, &mut top, "bot", &base, |reader, section, _| bot(reader, section));
    let export = read_section(&mut reader, &mut top, "export", &base, export);
    let package = read_section(&mut reader, &mut top, "package", &base, |reader, section, base| {
        let release_root = reader.or(section, "release_root", path, PathBuf::from(RELEASE_ROOT));
        let key_file = reader.required(section, "key_file", path)?;
        Some(PackageSettings { key_file: base.join(key_file), release_root: base.join(release_root) })
    });
    let oem =
        read_section(&mut reader, &mut top, "oem", &base, |reader, section, base| Some(oem(reader, section, base)));
    let health = read_section(&mut reader, &mut top, "health", &base, |reader, section, base| {
        if section.is_present() { health(reader, section, base).map(Some) } else { Some(None) }
    });
    let update =
        read_section(&mut reader, &mut top, "update", &base, |reader, section, _| Some(update(reader, section)));
    reader.close(top);
    let read = (|| {
        Some(Settings {
            root: root?,
            state_dir: base.join(state_dir),
            controller: controller?,
            tpm: tpm?,
            bot: bot?,
            export: export?,
            package: package?,
            oem: oem?,
            health: health?,
            update: update?,
        })
    })();
    reader.finish(read)
}

/// The folder that relative paths start from.
struct Base(PathBuf);

impl Base {
    fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }
}

fn read_section<'i, T>(
    reader: &mut Reader,
    top: &mut Section<'i>,
    name: &'static str,
    base: &Base,
    read: impl FnOnce(&mut Reader, &mut Section<'i>, &Base) -> Option<T>,
) -> Option<T> {
    let mut section = reader.table(top, name);
    let value = read(reader, &mut section, base);
    reader.close(section);
    value
}

fn controller(reader: &mut Reader, section: &mut Section<'_>, base: &Base) -> Option<ControllerSettings> {
    let enrollment = reader.required(section, "enrollment", endpoint);
    let fleet = reader.required(section, "fleet", endpoint);
    let ca_file = reader.required(section, "ca_file", path);
    Some(ControllerSettings { enrollment: enrollment?, fleet: fleet?, ca_file: base.join(ca_file?) })
}

fn tpm(reader: &mut Reader, section: &mut Section<'_>, base: &Base) -> TpmSettings {
    let mode = reader.or(section, "mode", tpm_mode, TpmMode::Required);
    // Checked in any case: a setting that is wrong is wrong as well where it is not used.
    let access = TpmAccess {
        tcti: reader.optional(section, "tcti", tcti),
        keys: KeyChoice {
            endorsement: reader.or(section, "endorsement_key", endorsement_key, None),
            attestation: reader.or(section, "attestation_key", attestation_key, None),
        },
        boot_log: base.join(reader.or(section, "boot_log", path, PathBuf::from(BOOT_LOG))),
    };
    match mode {
        TpmMode::Required => TpmSettings::Required(access),
        TpmMode::None => TpmSettings::Absent,
    }
}

fn oem(reader: &mut Reader, section: &mut Section<'_>, base: &Base) -> OemSettings {
    let mut file = |reader: &mut Reader, key| reader.optional(section, key, path).map(|path| base.join(path));
    OemSettings {
        evidence_file: file(reader, "evidence_file"),
        keyring: file(reader, "keyring"),
        licence_file: file(reader, "licence_file"),
        licence_keys: file(reader, "licence_keys"),
        revocation_list: file(reader, "revocation_list"),
        revocation_keys: file(reader, "revocation_keys"),
        expected_fingerprint: reader.optional(section, "expected_fingerprint", text),
        check_interval: reader.or(section, "check_interval_seconds", seconds, OEM_INTERVAL),
    }
}

fn bot(reader: &mut Reader, section: &mut Section<'_>) -> Option<BotSettings> {
    let start = command(reader, section, "start", "start_timeout_seconds", START_TIMEOUT);
    let stop = command(reader, section, "stop", "stop_timeout_seconds", STOP_TIMEOUT);
    let health = command(reader, section, "health", "health_timeout_seconds", HEALTH_TIMEOUT);
    let rest = if section.has("quiesce") || section.has("resume") {
        // One without the other would leave a bot at rest, or never bring it there.
        let quiesce = command(reader, section, "quiesce", "quiesce_timeout_seconds", QUIESCE_TIMEOUT);
        let resume = command(reader, section, "resume", "resume_timeout_seconds", RESUME_TIMEOUT);
        Some(RestCommands { quiesce: quiesce?, resume: resume? })
    } else {
        None
    };
    Some(BotSettings { start: start?, stop: stop?, health: health?, rest })
}

fn command(
    reader: &mut Reader,
    section: &mut Section<'_>,
    key: &'static str,
    timeout_key: &'static str,
    default: Duration,
) -> Option<ServiceCommand> {
    let argv = reader.required(section, key, argv);
    let timeout = reader.or(section, timeout_key, seconds, default);
    let (program, arguments) = argv?;
    Some(ServiceCommand { program, arguments, timeout })
}

fn export(reader: &mut Reader, section: &mut Section<'_>, base: &Base) -> Option<ExportSettings> {
    // The manual's own paths (procedures §1).
    let audit_path = reader.or(section, "audit_path", path, PathBuf::from("logs/security_admin.log"));
    let alerts_path = reader.or(section, "alerts_path", path, PathBuf::from("logs/security_alerts.log"));
    let default_logs = vec![PathBuf::from("logs/trading_controller.log")];
    let include_logs = reader.or(section, "include_logs", paths, default_logs);
    let output_dir = reader.or(section, "output_dir", path, PathBuf::from("exports/security"));
    let key_file = reader.required(section, "key_file", path);
    let key_id = reader.optional(section, "key_id", text);
    Some(ExportSettings {
        audit_path: base.join(audit_path),
        alerts_path: base.join(alerts_path),
        include_logs: include_logs.iter().map(|log| base.join(log)).collect(),
        output_dir: base.join(output_dir),
        key_file: base.join(key_file?),
        key_id,
    })
}

fn health(reader: &mut Reader, section: &mut Section<'_>, base: &Base) -> Option<HealthSettings> {
    let exchange = reader.required(section, "exchange", exchange);
    let credentials_file = reader.or(section, "credentials_file", path, PathBuf::from("config/exchanges.json"));
    let base_url = reader.optional(section, "base_url", base_url);
    let ca_file = reader.optional(section, "ca_file", path).map(|file| base.join(file));
    let mode = reader.optional(section, "mode", trading_mode);
    let credentials_file = base.join(credentials_file);
    Some(HealthSettings { exchange: exchange?, credentials_file, base_url, ca_file, mode })
}

fn update(reader: &mut Reader, section: &mut Section<'_>) -> UpdateSettings {
    UpdateSettings {
        probation: reader.or(section, "probation_seconds", seconds, PROBATION),
        health_polls: reader.or(section, "health_polls", polls, HEALTH_POLLS),
        health_interval: reader.or(section, "health_interval_ms", milliseconds, HEALTH_INTERVAL),
        exchange_check: reader.or(section, "probation_exchange_check", exchange_check, ExchangeCheck::Required),
        sick_start: reader.or(section, "allow_unhealthy_start", sick_start, SickStart::Refused),
        rate: reader.optional(section, "max_kib_per_second", rate),
        snapshot: reader.or(section, "snapshot", paths_below, Vec::new()),
    }
}
