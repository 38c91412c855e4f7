//! What licences and revocation lists are proved with: flags and variables that several commands share.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flota_procedures::licence::revocation::{RevocationCheck, SignatureDemand};
use flota_procedures::licence::{HmacKeys, HmacKeysError, LicenceKeys, LicenceKeysError};

use crate::commands::environment;

/// Largest file of licence keys, in bytes; a real one has a few hundred.
const MAX_KEYS_BYTES: u64 = 1 << 20;

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

/// Why there are no licence keys.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum ReadKeysError {
    #[error("reading the licence keys {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Keys(#[from] LicenceKeysError),
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
