//! What `agent.toml` may say, key by key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flota_tpm::KeyChoice;
use flota_updater::settings::values::{path, paths, seconds, text};
use flota_updater::settings::{Base, Problems, Reader, Section, table};

use super::values::{
    TpmMode, attestation_key, base_url, endorsement_key, endpoint, exchange, tcti, tpm_mode, trading_mode,
};
use super::{ControllerSettings, ExportSettings, HealthSettings, OemSettings, Settings, TpmAccess, TpmSettings};

/// Where Linux shows the firmware's event log.
const BOOT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";
/// How long a result on evidence and licence counts unless told otherwise: the pace of attestations.
const OEM_INTERVAL: Duration = Duration::from_mins(5);
pub(super) fn settings(text: &str, origin: &str) -> Result<Settings, Problems> {
    let (mut reader, mut top) = Reader::open(text, origin)?;
    let (updater, base) = flota_updater::settings::read(&mut reader, &mut top);
    let controller = table(&mut reader, &mut top, "controller", &base, controller);
    let tpm = table(&mut reader, &mut top, "tpm", &base, |reader, section, base| Some(tpm(reader, section, base)));
    let export = table(&mut reader, &mut top, "export", &base, export);
    let oem = table(&mut reader, &mut top, "oem", &base, |reader, section, base| Some(oem(reader, section, base)));
    let health = table(&mut reader, &mut top, "health", &base, |reader, section, base| {
        if section.is_present() { health(reader, section, base).map(Some) } else { Some(None) }
    });
    reader.close(top);
    let read = (|| {
        let updater = updater?;
        Some(Settings {
            root: updater.root.clone(),
            state_dir: updater.agent_dir.clone(),
            controller: controller?,
            tpm: tpm?,
            export: export?,
            oem: oem?,
            health: health?,
            updater: Arc::new(updater),
        })
    })();
    reader.finish(read)
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
