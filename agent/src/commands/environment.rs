//! The variables that the manual names.

use flota_procedures::key::{self, KeyError};
use flota_seal::secret::Secret;

pub(super) use crate::procedures::REVOCATION_KEY;
use crate::procedures::{LICENCE_KEY, TPM_KEYRING};

/// The HMAC key of exports: the key, or the path of its file.
pub(super) const AUDIT_KEY: &str = "BOT_CORE_SECURITY_AUDIT_KEY";
/// Its name.
const AUDIT_KEY_ID: &str = "BOT_CORE_SECURITY_AUDIT_KEY_ID";

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
