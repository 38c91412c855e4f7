//! The check of TPM evidence and licence (manual §3).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flota_procedures::checklist::{Procedure, Proof};
use flota_procedures::evidence::{EvidenceRequest, Memory, RevocationCheck, check_tpm_status};
use flota_procedures::key::{self, KeyError};
use flota_procedures::licence::revocation::SignatureDemand;
use flota_procedures::licence::{HmacKeys, LicenceKeys, LicenceKeysError};

use super::Installation;
use super::environment;
use super::output::{Answer, Failure, or_exit, outcome_of, remember};
use crate::procedures::{digest_of, present};

/// The check could not run: as for evidence that is invalid, somebody must look.
const EXIT_ESCALATE: u8 = 2;
/// Largest file of licence keys, in bytes; a real one has a few hundred.
const MAX_KEYS_BYTES: u64 = 1 << 20;

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    installation: Installation,
    /// The evidence
    evidence: PathBuf,
    /// The fingerprint that this host must have; by default the licence's
    #[arg(long, value_name = "TEXT")]
    expected_fingerprint: Option<String>,
    /// The licence
    #[arg(long, value_name = "FILE")]
    license_path: Option<PathBuf>,
    /// The keys that prove the licence
    #[arg(long, value_name = "FILE", requires = "license_path")]
    license_keys: Option<PathBuf>,
    /// The issuer's list of revoked licences
    #[arg(long, value_name = "FILE", requires = "license_path")]
    revocation_list: Option<PathBuf>,
    /// The key of that list: hex:…, base64:…, text, {"keys": {…}}, or the path of a file with one; by default the variable
    /// BOT_CORE_LICENSE_REVOCATION_KEY. With a key, the list must be signed
    #[arg(long, value_name = "KEY", requires = "revocation_list")]
    revocation_key: Option<String>,
    /// Refuse a list that nothing proves, also without a key
    #[arg(long, requires = "revocation_list")]
    require_signed_revocations: bool,
    /// The public keys of TPMs: a file or JSON; by default the variable BOT_CORE_TPM_PUBLIC_KEYS
    #[arg(long, value_name = "FILE")]
    keyring: Option<String>,
}

/// Why there is no key for the revocation list.
#[derive(Debug, thiserror::Error)]
enum RevocationKeyError {
    #[error(transparent)]
    One(#[from] KeyError),
    #[error("reading the keys of the revocation list")]
    Several(#[from] LicenceKeysError),
}

/// Why there are no licence keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadKeysError {
    #[error("reading the licence keys {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Keys(#[from] LicenceKeysError),
}

impl Check {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let now = present();
        let keys = licence_keys(self.license_keys.as_deref()).map_err(or_exit(EXIT_ESCALATE))?;
        let revocation_keys = match &self.revocation_list {
            Some(_) => self.revocation_keys().map_err(or_exit(EXIT_ESCALATE))?,
            None => None,
        };
        let keyring = self.keyring.or_else(environment::tpm_keyring);
        let report = check_tpm_status(&EvidenceRequest {
            evidence: &self.evidence,
            expected_fingerprint: self.expected_fingerprint.as_deref(),
            keyring: keyring.as_deref(),
            licence: self.license_path.as_deref(),
            licence_keys: keys.as_ref(),
            revocations: self.revocation_list.as_deref().map(|list| RevocationCheck {
                list,
                keys: revocation_keys.as_ref(),
                demand: if self.require_signed_revocations {
                    SignatureDemand::Always
                } else {
                    SignatureDemand::WithKey
                },
            }),
            memory: Memory::Installation(&self.installation.root),
            now,
        });
        let code = report.exit_code();
        let proof = digest_of(&self.evidence)
            .ok()
            .map(|(digest, _)| Proof::File { path: self.evidence.display().to_string(), sha256: *digest.as_bytes() });
        remember(&self.installation.root, Procedure::TpmEvidence, now, outcome_of(code), proof);
        Ok(Answer::json(&report.to_json(), code))
    }

    fn revocation_keys(&self) -> Result<Option<HmacKeys>, RevocationKeyError> {
        let from_variable = || environment::revocation_key().map(|value| (value, environment::REVOCATION_KEY));
        let given = self.revocation_key.clone().map(|value| (value, "--revocation-key"));
        given.or_else(from_variable).map(|(value, origin)| hmac_keys(&value, origin)).transpose()
    }
}

/// The keys that `value` is or names: one key, or `{"keys": {id: secret}}`.
fn hmac_keys(value: &str, origin: &str) -> Result<HmacKeys, RevocationKeyError> {
    if value.trim_start().starts_with('{') {
        return Ok(HmacKeys::parse(value.as_bytes(), origin)?);
    }
    let key = key::load(value, origin)?;
    // A file of several keys reads as one long text key until it is looked into.
    if key.expose().trim_ascii_start().starts_with(b"{") && Path::new(value.trim()).is_file() {
        return Ok(HmacKeys::parse(key.expose(), origin)?);
    }
    Ok(HmacKeys::unnamed(key))
}

/// The keys of that file and of the environment; none if there are neither.
pub(super) fn licence_keys(file: Option<&Path>) -> Result<Option<LicenceKeys>, ReadKeysError> {
    let offline = environment::licence_key();
    if file.is_none() && offline.is_none() {
        return Ok(None);
    }
    let mut keys = LicenceKeys::default();
    if let Some(path) = file {
        let text = read_bounded(path).map_err(|source| ReadKeysError::Read { path: path.to_owned(), source })?;
        keys = keys.with_oem_keys(&text, &path.display().to_string())?;
    }
    if let Some(offline) = offline {
        keys = keys.with_offline_key(&offline)?;
    }
    Ok(Some(keys))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_KEYS_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_KEYS_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_KEYS_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_key_is_one_key_or_several_or_a_file_with_either() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = |value: &str| hmac_keys(value, "test");
        let file = |contents: &str| {
            std::fs::write(&path, contents).unwrap();
            keys(path.to_str().unwrap())
        };
        let several = r#" {"keys": {"a": "hex:01", "b": "hex:02"}}"#;
        for found in [keys(several), file(several)] {
            let found = found.unwrap();
            assert_eq!(found.find(Some("b")).unwrap().expose(), [2]);
            assert!(found.find(Some("c")).is_none() && found.find(None).is_none());
        }
        for found in [keys("hex:03"), file("hex:03\n")] {
            assert_eq!(found.unwrap().find(Some("any")).unwrap().expose(), [3]);
        }
        assert!(keys("{").is_err() && keys("hex:x").is_err());
    }
}
