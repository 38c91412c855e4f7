//! What licences and revocation lists are proved with: flags and variables that several commands share.

use std::path::{Path, PathBuf};

use clap::Args;
use flota_procedures::licence::revocation::{RevocationCheck, SignatureDemand};
use flota_procedures::licence::{HmacKeys, HmacKeysError, LicenceKeys};

use crate::commands::environment;
use crate::procedures::{self, ReadKeysError};

/// The list that may revoke the licence of `--license-path`.
#[derive(Args)]
pub(in crate::commands) struct RevocationFlags {
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
}

impl RevocationFlags {
    /// The keys of the list, from flag or variable; none without a list.
    pub(in crate::commands) fn keys(&self) -> Result<Option<HmacKeys>, HmacKeysError> {
        if self.revocation_list.is_none() {
            return Ok(None);
        }
        let from_variable = || environment::revocation_key().map(|value| (value, environment::REVOCATION_KEY));
        let given = self.revocation_key.clone().map(|value| (value, "--revocation-key"));
        given.or_else(from_variable).map(|(value, origin)| HmacKeys::load(&value, origin)).transpose()
    }

    /// What licences are held against; nothing without a list.
    pub(in crate::commands) fn check<'a>(&'a self, keys: Option<&'a HmacKeys>) -> Option<RevocationCheck<'a>> {
        let demand = if self.require_signed_revocations { SignatureDemand::Always } else { SignatureDemand::WithKey };
        self.revocation_list.as_deref().map(|list| RevocationCheck { list, keys, demand })
    }
}

/// The keys of that file and of the environment; none if there are neither.
pub(in crate::commands) fn licence_keys(file: Option<&Path>) -> Result<Option<LicenceKeys>, ReadKeysError> {
    procedures::licence_keys(file, environment::licence_key().as_deref())
}
