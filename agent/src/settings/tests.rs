use flota_tpm::EndorsementKind;
use flota_updater::settings::{ExchangeCheck, Home, SickStart};

use super::*;

const SMALLEST: &str = r#"
root = "/opt/bot"
[controller]
enrollment = "https://controller:7443"
fleet = "https://controller:7444"
ca_file = "/etc/flota/ca.pem"
[bot]
start = ["systemctl", "start", "bot"]
stop = ["systemctl", "stop", "bot"]
health = ["/usr/bin/bot-health"]
[export]
key_file = "secrets/audit.key"
[package]
key_file = "secrets/package.key"
"#;

fn problems(text: &str) -> Vec<String> {
    Settings::parse(text, "agent.toml").unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_file_takes_the_manuals_paths_below_the_root() {
    let settings = Settings::parse(SMALLEST, "agent.toml").unwrap();
    assert_eq!(settings.state_dir, Path::new("/opt/bot/var/flota/agent"));
    assert_eq!(settings.export.audit_path, Path::new("/opt/bot/logs/security_admin.log"));
    assert_eq!(settings.export.key_file, Path::new("/opt/bot/secrets/audit.key"));
    assert_eq!(settings.controller.ca_file, Path::new("/etc/flota/ca.pem"));
    assert_eq!(settings.updater.bot.as_ref().unwrap().start.arguments, ["start", "bot"]);
    let TpmSettings::Required(tpm) = settings.tpm else { panic!("a TPM is required unless told otherwise") };
    assert!(tpm.tcti.is_none() && tpm.keys == KeyChoice::default() && settings.health.is_none());
    assert_eq!(tpm.boot_log, Path::new("/sys/kernel/security/tpm0/binary_bios_measurements"));
    assert!(settings.oem.evidence_file.is_none() && settings.oem.licence_file.is_none());
    assert_eq!(settings.oem.check_interval, Duration::from_mins(5));
    assert_eq!(settings.updater.update.exchange_check, ExchangeCheck::Required);
    assert_eq!(settings.updater.update.health_polls.get(), 3);
}

#[test]
fn every_setting_is_read() {
    let text = format!(
        "state_dir = \"/var/lib/flota\"\n{SMALLEST}\n[tpm]\ntcti = \"device:/dev/tpmrm0\"\n\
         endorsement_key = \"p384\"\nattestation_key = \"auto\"\nboot_log = \"var/boot.log\"\n\
         [oem]\nevidence_file = \"var/evidence.json\"\nexpected_fingerprint = \"ab\"\nkeyring = \"/etc/ring.json\"\n\
         licence_file = \"license.json\"\nlicence_keys = \"keys.json\"\nrevocation_list = \"revoked.json\"\n\
         revocation_keys = \"revocation.key\"\ncheck_interval_seconds = 60\n\
         [health]\nexchange = \"binance_spot\"\nmode = \"spot\"\nbase_url = \"https://127.0.0.1:1\"\nca_file = \"ca.pem\"\n\
         [update]\nprobation_seconds = 5\nhealth_polls = 2\nhealth_interval_ms = 50\n\
         probation_exchange_check = false\nallow_unhealthy_start = true\n"
    );
    let settings = Settings::parse(&text, "agent.toml").unwrap();
    assert_eq!(settings.state_dir, Path::new("/var/lib/flota"));
    let TpmSettings::Required(tpm) = settings.tpm else { panic!("the mode is the default") };
    assert_eq!(tpm.tcti.unwrap().to_string(), "device:/dev/tpmrm0");
    assert_eq!(tpm.keys, KeyChoice { endorsement: Some(EndorsementKind::P384), attestation: None });
    assert_eq!(tpm.boot_log, Path::new("/opt/bot/var/boot.log"));
    let oem = settings.oem;
    assert_eq!(oem.evidence_file.unwrap(), Path::new("/opt/bot/var/evidence.json"));
    assert_eq!((oem.expected_fingerprint.as_deref(), oem.keyring.unwrap()), (Some("ab"), "/etc/ring.json".into()));
    assert_eq!(oem.licence_file.unwrap(), Path::new("/opt/bot/license.json"));
    assert_eq!(oem.licence_keys.unwrap(), Path::new("/opt/bot/keys.json"));
    assert_eq!(oem.revocation_list.unwrap(), Path::new("/opt/bot/revoked.json"));
    assert_eq!(oem.revocation_keys.unwrap(), Path::new("/opt/bot/revocation.key"));
    assert_eq!(oem.check_interval, Duration::from_mins(1));
    let health = settings.health.unwrap();
    assert_eq!(health.credentials_file, Path::new("/opt/bot/config/exchanges.json"));
    assert_eq!(health.ca_file.unwrap(), Path::new("/opt/bot/ca.pem"));
    assert_eq!(settings.updater.update.probation, Duration::from_secs(5));
    assert_eq!(settings.updater.update.health_interval, Duration::from_millis(50));
    assert_eq!(settings.updater.update.exchange_check, ExchangeCheck::Skipped);
    assert_eq!(settings.updater.update.sick_start, SickStart::Allowed);
}

#[test]
fn a_supervisor_has_a_state_of_its_own_and_reads_its_own_sections() {
    let within = Settings::parse(SMALLEST, "agent.toml").unwrap().updater;
    assert_eq!((&within.home, &within.state_dir), (&Home::Agent, &within.agent_dir));
    assert_eq!(within.socket, Path::new("/opt/bot/var/flota/agent/updater.sock"));
    let text = format!("{SMALLEST}[supervisor]\nagent_user = \"flota\"\n");
    let apart = Settings::parse(&text, "agent.toml").unwrap().updater;
    assert_eq!(apart.home, Home::Supervisor { agent_user: "flota".into() });
    assert_eq!(apart.state_dir, Path::new("/opt/bot/var/flota/supervisor"));
    assert_eq!(apart.socket, Path::new("/run/flota/supervisor.sock"));
    // What is wrong with the agent's own sections is no reason for a supervisor not to start.
    let text = text.replace("https://controller:7443", "nowhere");
    assert!(Settings::parse(&text, "agent.toml").is_err());
    assert_eq!(UpdaterSettings::parse(&text, "agent.toml").unwrap().state_dir, apart.state_dir);
    let text = text.replace("agent_user", "agent_usr");
    let problems = UpdaterSettings::parse(&text, "agent.toml").unwrap_err().to_string();
    assert!(problems.contains("`supervisor.agent_user` is missing"), "{problems}");
    assert!(problems.contains("`supervisor.agent_usr` is not a setting"), "{problems}");
}

#[test]
fn a_host_without_a_tpm_says_so() {
    let of = |tpm: &str| Settings::parse(&format!("{SMALLEST}[tpm]\n{tpm}\n"), "agent.toml").map(|found| found.tpm);
    assert!(matches!(of("mode = \"none\"").unwrap(), TpmSettings::Absent));
    assert!(matches!(of("mode = \"required\"").unwrap(), TpmSettings::Required(_)));
    let wrong = of("mode = \"optional\"\nendorsement_key = \"rsa1024\"\nattestation_key = \"p384\"\n").unwrap_err();
    let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert!(wrong[0].ends_with("`tpm.mode` must be required or none"), "{wrong:?}");
    assert!(wrong[1].contains("`tpm.endorsement_key` must be auto, rsa2048, p256, p384, "), "{wrong:?}");
    assert!(wrong[2].ends_with("`tpm.attestation_key` must be auto, p256 or rsa2048"), "{wrong:?}");
    for kind in EndorsementKind::PREFERENCE {
        let TpmSettings::Required(tpm) = of(&format!("endorsement_key = \"{kind}\"")).unwrap() else {
            panic!("{kind}")
        };
        assert_eq!(tpm.keys.endorsement, Some(kind));
        let problem = of("endorsement_key = 1").unwrap_err().to_string();
        assert!(problem.contains(kind.as_str()), "{problem}");
    }
}

#[test]
fn all_problems_come_at_once_with_their_lines_and_without_the_values() {
    let text = r#"root = "relative"
colour = "5ecre7"
[controller]
enrollment = "http://5ecre7:1"
fleet = "https://5ecre7"
[bot]
start = "5ecre7"
stop = []
health = ["true"]
health_timeout_seconds = 0
[export]
key_file = 5
key = "5ecre7"
[update]
health_polls = -1
probation_exchange_check = "5ecre7"
"#;
    let found = problems(text);
    assert_eq!(
        found,
        [
            "agent.toml:1: `root` must be an absolute path",
            "agent.toml:1: `package.key_file` is missing",
            "agent.toml:2: `colour` is not a setting",
            "agent.toml:3: `controller.ca_file` is missing",
            "agent.toml:4: `controller.enrollment` must be https://host:port",
            "agent.toml:5: `controller.fleet` must be https://host:port",
            "agent.toml:7: `bot.start` must be a list of texts: the program, then its arguments",
            "agent.toml:8: `bot.stop` must be a list of texts: the program, then its arguments",
            "agent.toml:10: `bot.health_timeout_seconds` must be a whole number of seconds, 1 to 86400",
            "agent.toml:12: `export.key_file` must be a path",
            "agent.toml:13: `export.key` is not a setting",
            "agent.toml:15: `update.health_polls` must be a whole number, 1 to 1000",
            "agent.toml:16: `update.probation_exchange_check` must be true or false",
        ]
    );
}

#[test]
fn what_is_not_toml_is_named_by_its_line_alone() {
    assert_eq!(problems("root = \"/opt\"\nkey_file = 5ecre7 x\n"), ["agent.toml:2: this is not TOML"]);
}

#[test]
fn a_file_without_settings_says_what_is_missing() {
    let found = problems("");
    assert_eq!(found.len(), 9, "{found:#?}");
    assert!(found.iter().all(|problem| problem.ends_with("is missing")), "{found:#?}");
}
