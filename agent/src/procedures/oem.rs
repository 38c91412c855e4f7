//! The check of evidence and licence (manual §3) as the daemon carries it out, and what its keys are read from.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_daemon::error_chain::chain;
use flota_procedures::evidence::{EvidenceStatus, Memory, Standing, StandingRequest, standing};
use flota_procedures::licence::revocation::{RevocationCheck, SignatureDemand};
use flota_procedures::licence::{HmacKeys, HmacKeysError, LicenceKeys, LicenceKeysError};
use jiff::Timestamp;

use super::Environment;
use crate::settings::{OemSettings, Settings};

/// The keyring of TPM evidence: its path, or its JSON.
pub const TPM_KEYRING: &str = "BOT_CORE_TPM_PUBLIC_KEYS";
/// The Ed25519 public key of `.lic` licences, in hexadecimal.
pub const LICENCE_KEY: &str = "BOT_CORE_LICENSE_PUBLIC_KEY";
/// The HMAC key of revocation lists: the key, `{"keys": {id: secret}}`, or the path of a file with one of them.
pub const REVOCATION_KEY: &str = "BOT_CORE_LICENSE_REVOCATION_KEY";

/// Largest file of licence keys, in bytes; a real one has a few hundred.
const MAX_KEYS_BYTES: u64 = 1 << 20;

/// What the check found: a status of either, and what is wrong, a sentence each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OemFindings {
    /// Of the evidence; none where none is set up.
    pub evidence: Option<EvidenceStatus>,
    /// Of the licence; none where none is set up.
    pub licence: Option<EvidenceStatus>,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// Why there are no licence keys.
#[derive(Debug, thiserror::Error)]
pub enum ReadKeysError {
    /// The file cannot be read.
    #[error("reading the licence keys {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What is in it, or in the variable, is no key.
    #[error(transparent)]
    Keys(#[from] LicenceKeysError),
}

/// Checks what `[oem]` names; variables stand in for the files that it does not name, as for the command. Blocks.
pub fn check_oem(settings: &Settings, environment: &Environment, now: Timestamp) -> OemFindings {
    let oem = &settings.oem;
    let keys = licence_keys(oem.licence_keys.as_deref(), environment.value(LICENCE_KEY).as_deref());
    let revocation_keys = revocation_keys(oem, environment);
    let keyring = oem.keyring.as_ref().map(|path| path.display().to_string());
    let keyring = keyring.or_else(|| environment.value(TPM_KEYRING));
    let check = |licence_keys: Option<&LicenceKeys>, revocation_keys: Option<&HmacKeys>| {
        standing(&StandingRequest {
            evidence: oem.evidence_file.as_deref(),
            expected_fingerprint: oem.expected_fingerprint.as_deref(),
            keyring: keyring.as_deref(),
            licence: oem.licence_file.as_deref(),
            licence_keys,
            revocations: oem.revocation_list.as_deref().map(|list| RevocationCheck {
                list,
                keys: revocation_keys,
                demand: SignatureDemand::WithKey,
            }),
            memory: Memory::Installation(&settings.root),
            now,
        })
    };
    match (keys, revocation_keys) {
        (Ok(keys), Ok(revocation_keys)) => OemFindings::of(&check(keys.as_ref(), revocation_keys.as_ref())),
        (Err(error), _) => OemFindings::of(&check(None, None)).without_licence_keys(chain(&error)),
        (_, Err(error)) => OemFindings::of(&check(None, None)).without_licence_keys(chain(&error)),
    }
}

impl OemFindings {
    fn of(standing: &Standing) -> Self {
        Self { evidence: standing.evidence, licence: standing.licence, problems: standing.problems().collect() }
    }

    /// What was set up to prove the licence is not usable. The command ends with 2 then, as for a licence that is invalid.
    fn without_licence_keys(mut self, why: String) -> Self {
        self.licence = self.licence.map(|status| status.max(EvidenceStatus::Invalid));
        self.problems.push(why);
        self
    }
}

/// The keys of that file and of the variable's value; none if there are neither.
pub fn licence_keys(file: Option<&Path>, offline: Option<&str>) -> Result<Option<LicenceKeys>, ReadKeysError> {
    if file.is_none() && offline.is_none() {
        return Ok(None);
    }
    let mut keys = LicenceKeys::default();
    if let Some(path) = file {
        let text = read_bounded(path).map_err(|source| ReadKeysError::Read { path: path.to_owned(), source })?;
        keys = keys.with_oem_keys(&text, &path.display().to_string())?;
    }
    if let Some(offline) = offline {
        keys = keys.with_offline_key(offline)?;
    }
    Ok(Some(keys))
}

fn revocation_keys(oem: &OemSettings, environment: &Environment) -> Result<Option<HmacKeys>, RevocationKeysError> {
    if oem.revocation_list.is_none() {
        return Ok(None);
    }
    if let Some(path) = &oem.revocation_keys {
        // A path that names no file would be taken for the key itself.
        let text = path.to_str().filter(|_| path.is_file()).ok_or_else(|| RevocationKeysError::Absent(path.clone()))?;
        return Ok(Some(HmacKeys::load(text, "oem.revocation_keys")?));
    }
    Ok(environment.value(REVOCATION_KEY).map(|value| HmacKeys::load(&value, REVOCATION_KEY)).transpose()?)
}

/// Why there are no keys of the revocation list.
#[derive(Debug, thiserror::Error)]
enum RevocationKeysError {
    #[error("`oem.revocation_keys` names {}, which is not a file", .0.display())]
    Absent(PathBuf),
    #[error(transparent)]
    Keys(#[from] HmacKeysError),
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_KEYS_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_KEYS_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_KEYS_BYTES} bytes")));
    }
    Ok(text)
}
