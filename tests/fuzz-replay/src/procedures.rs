//! Files of the on-host procedures.

use flota_procedures::bundle::{self, Verdict};
use flota_procedures::checklist::{self, Procedure};
use flota_procedures::evidence::{Evidence, EvidenceRequest, EvidenceStatus, Keyring, check_tpm_status};
use flota_procedures::health::{ExchangeEntry, FileFormat};
use flota_procedures::licence::{LicenceKind, SignedLicence};
use flota_procedures::licence_state;
use flota_seal::json::Json;

use crate::{Reach, fixed, scratch};

/// The keys that evidence in the corpus is signed with: those of the golden cases.
const KEYRING: &str = r#"{"keys": {"tpm-1": "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"}}"#;

/// What the environment holds. Nothing that is printed may have it in it.
const VARIABLE: &str = "zVq9-never-to-be-printed-7Kx";

/// Those that are recorded.
const PROCEDURES: [Procedure; 6] = [
    Procedure::SecurityExport,
    Procedure::PackageCheck,
    Procedure::TpmEvidence,
    Procedure::ExchangeHealth,
    Procedure::Update,
    Procedure::Ticket,
];

/// Evidence counts only if it is signed, in full and in force, whatever else is in the file.
pub(crate) fn evidence(input: &[u8]) -> Reach {
    let folder = scratch::folder();
    scratch::write(folder.path(), "evidence.json", input);
    let path = folder.path().join("evidence.json");
    let report =
        check_tpm_status(&EvidenceRequest { keyring: Some(KEYRING), ..EvidenceRequest::new(&path, fixed::now()) });
    assert!(Json::parse(&report.to_json().canonical()).is_ok(), "the report is no document");
    assert_eq!(report.status() == EvidenceStatus::Ok, report.exit_code() == 0);
    let parsed = Evidence::parse(input);
    assert_eq!(report.evidence().is_some(), parsed.is_ok());
    if report.status() == EvidenceStatus::Ok {
        let Some(evidence) = report.evidence() else { panic!("ok without evidence") };
        assert!(report.signature_key().is_some(), "ok without a verified signature");
        assert!(evidence.fingerprint().or(evidence.sealed_fingerprint()).is_some(), "ok without a fingerprint");
        assert!(evidence.expires_at().is_none_or(|end| end > fixed::now()), "ok after its end");
    }
    if parsed.is_ok() { Reach::Accepted } else { Reach::Refused }
}

/// A keyring given as text is the one that a file with that text holds.
pub(crate) fn keyring(input: &[u8]) -> Reach {
    let Ok(keyring) = Keyring::parse(input) else { return Reach::Refused };
    if let Some(text) = std::str::from_utf8(input).ok().filter(|text| text.trim_start().starts_with('{')) {
        let loaded = Keyring::load(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded, keyring);
    }
    Reach::Accepted
}

/// A verdict on any file at all, as a document.
pub(crate) fn bundle_verify(input: &[u8]) -> Reach {
    let folder = scratch::folder();
    scratch::write(folder.path(), "bundle.json", input);
    let verdict = bundle::verify(&folder.path().join("bundle.json"), &fixed::key());
    assert!(Json::parse(&verdict.to_json().canonical()).is_ok(), "the verdict is no document");
    match verdict {
        Verdict::Valid { .. } => Reach::Accepted,
        Verdict::Invalid(_) => Reach::Refused,
    }
}

/// Credentials in JSON.
pub(crate) fn credentials_json(input: &[u8]) -> Reach {
    credentials(input, FileFormat::Json)
}

/// Credentials in TOML.
pub(crate) fn credentials_toml(input: &[u8]) -> Reach {
    credentials(input, FileFormat::Toml)
}

/// Neither a note nor a refusal has the value of a variable in it, whatever asks for one.
fn credentials(input: &[u8], format: FileFormat) -> Reach {
    let Ok(text) = std::str::from_utf8(input) else { return Reach::Refused };
    let Ok(exchange) = "binance_spot".parse() else { panic!("binance_spot is no exchange") };
    let lookup = |name: &str| (name != "UNSET").then(|| VARIABLE.to_owned());
    match ExchangeEntry::parse(text, format, "ORIGIN", exchange, &lookup) {
        Ok(entry) => {
            assert!(entry.notes.iter().all(|note| !note.contains(VARIABLE)), "{:?}", entry.notes);
            Reach::Accepted
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(link) = cause {
                let words = format!("{link} {link:?}");
                assert!(!words.contains(VARIABLE), "{words}");
                cause = link.source();
            }
            Reach::Refused
        }
    }
}

/// Records that are read can be kept again, and read as they were.
pub(crate) fn records(input: &[u8]) -> Reach {
    let folder = scratch::folder();
    scratch::write(folder.path(), "var/flota/procedures.json", input);
    let Ok(records) = checklist::load(folder.path()) else { return Reach::Refused };
    for record in PROCEDURES.iter().filter_map(|procedure| records.last(*procedure)) {
        checklist::record(folder.path(), record.clone()).unwrap_or_else(|error| panic!("{error}"));
        let again = checklist::load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again, records);
    }
    Reach::Accepted
}

/// A state that cannot be read is never replaced; in one that can, a licence is remembered, or it is older and nothing
/// changes.
pub(crate) fn licence_state(input: &[u8]) -> Reach {
    const STATE: &str = "var/flota/licence-state.json";
    let folder = scratch::folder();
    let root = folder.path();
    scratch::write(root, STATE, input);
    let parsed = SignedLicence::parse(include_bytes!("../data/licence.json")).unwrap_or_else(|error| panic!("{error}"));
    let licence = parsed.verify(&fixed::licence_keys()).unwrap_or_else(|error| panic!("{error}"));
    let before = licence_state::load(root);
    let admitted = licence_state::admit(root, &licence, None, fixed::now());
    if admitted.is_ok() {
        let after = licence_state::load(root).unwrap_or_else(|error| panic!("its own file is refused: {error}"));
        assert_eq!(after.last(LicenceKind::Oem).map(|last| &last.standing), Some(&licence.standing()));
        assert!(before.is_ok_and(|before| before.last(LicenceKind::Offline) == after.last(LicenceKind::Offline)));
        return Reach::Accepted;
    }
    assert!(std::fs::read(root.join(STATE)).is_ok_and(|contents| contents == input), "it was replaced");
    if before.is_ok() { Reach::Accepted } else { Reach::Refused }
}
