//! The check of TPM evidence and licence (manual §3).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flota_procedures::checklist::{Procedure, Proof};
use flota_procedures::evidence::{EvidenceRequest, check_tpm_status};
use flota_procedures::licence::{LicenceKeys, LicenceKeysError};

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
    /// The public keys of TPMs: a file or JSON; by default the variable BOT_CORE_TPM_PUBLIC_KEYS
    #[arg(long, value_name = "FILE")]
    keyring: Option<String>,
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
        let keyring = self.keyring.or_else(environment::tpm_keyring);
        let report = check_tpm_status(&EvidenceRequest {
            evidence: &self.evidence,
            expected_fingerprint: self.expected_fingerprint.as_deref(),
            keyring: keyring.as_deref(),
            licence: self.license_path.as_deref(),
            licence_keys: keys.as_ref(),
            now,
        });
        let code = report.exit_code();
        let proof = digest_of(&self.evidence)
            .ok()
            .map(|(digest, _)| Proof::File { path: self.evidence.display().to_string(), sha256: *digest.as_bytes() });
        remember(&self.installation.root, Procedure::TpmEvidence, now, outcome_of(code), proof);
        Ok(Answer::json(&report.to_json(), code))
    }
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
