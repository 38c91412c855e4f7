//! The variables that the manual names.

use flota_procedures::key::{self, KeyError};
use flota_seal::secret::Secret;

/// The HMAC key of exports: the key, or the path of its file.
pub(super) const AUDIT_KEY: &str = "BOT_CORE_SECURITY_AUDIT_KEY";
/// Its name.
const AUDIT_KEY_ID: &str = "BOT_CORE_SECURITY_AUDIT_KEY_ID";
/// The keyring of TPM evidence: its path, or its JSON.
const TPM_KEYRING: &str = "BOT_CORE_TPM_PUBLIC_KEYS";
/// The Ed25519 public key of `.lic` licences, in hexadecimal.
const LICENCE_KEY: &str = "BOT_CORE_LICENSE_PUBLIC_KEY";
/// The HMAC key of revocation lists: the key, `{"keys": {id: secret}}`, or the path of a file with one of them.
pub(super) const REVOCATION_KEY: &str = "BOT_CORE_LICENSE_REVOCATION_KEY";

/// The value of a variable; one that is empty counts as not set.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The key of exports; none if the variable is not set.
pub(super) fn audit_key() -> Option<Result<Secret, KeyError>> {
    variable(AUDIT_KEY).map(|value| key::load(&value, AUDIT_KEY))
}

pub(super) fn audit_key_id() -> Option<String> {
    variable(AUDIT_KEY_ID).map(|id| id.trim().to_owned())
}

pub(super) fn tpm_keyring() -> Option<String> {
    variable(TPM_KEYRING)
}

pub(super) fn licence_key() -> Option<String> {
    variable(LICENCE_KEY)
}

pub(super) fn revocation_key() -> Option<String> {
    variable(REVOCATION_KEY)
}
