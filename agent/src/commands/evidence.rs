//! The check of TPM evidence and licence (manual §3).

mod licensing;

use std::path::PathBuf;

use clap::Args;
use flota_procedures::checklist::{Procedure, Proof};
use flota_procedures::evidence::{EvidenceRequest, Memory, check_tpm_status};

use super::Installation;
use super::environment;
use super::output::{Answer, Failure, or_exit, outcome_of, remember};
use crate::procedures::{digest_of, present};
pub(super) use licensing::{RevocationFlags, licence_keys};

/// The check could not run: as for evidence that is invalid, somebody must look.
const EXIT_ESCALATE: u8 = 2;

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
    #[command(flatten)]
    revocations: RevocationFlags,
    /// The public keys of TPMs: a file or JSON; by default the variable BOT_CORE_TPM_PUBLIC_KEYS
    #[arg(long, value_name = "FILE")]
    keyring: Option<String>,
}

impl Check {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let now = present();
        let keys = licence_keys(self.license_keys.as_deref()).map_err(or_exit(EXIT_ESCALATE))?;
        let revocation_keys = self.revocations.keys().map_err(or_exit(EXIT_ESCALATE))?;
        let keyring = self.keyring.or_else(environment::tpm_keyring);
        let report = check_tpm_status(&EvidenceRequest {
            evidence: &self.evidence,
            expected_fingerprint: self.expected_fingerprint.as_deref(),
            keyring: keyring.as_deref(),
            licence: self.license_path.as_deref(),
            licence_keys: keys.as_ref(),
            revocations: self.revocations.check(revocation_keys.as_ref()),
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
}
