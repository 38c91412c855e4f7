//! The public keys that evidence is signed with.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};

use crate::licence::repeated_name;

/// Ed25519 public keys by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring(BTreeMap<String, [u8; 32]>);

/// Why a keyring cannot be used. Whoever configured it has to mend it.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read.
    #[error("reading the keyring {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Not JSON.
    #[error("the keyring is not JSON")]
    NotJson(#[source] ParseJsonError),
    /// JSON of another shape.
    #[error("the keyring is not an object of key names and hexadecimal keys")]
    WrongShape,
    /// Two keys have one name. Which of them counts would depend on the reader: remove one.
    #[error("the keyring names {0} twice: remove one")]
    Repeated(String),
    /// A key is not one.
    #[error("the key {0} of the keyring is not 64 hexadecimal digits")]
    BadKey(String),
}

impl Keyring {
    /// Reads a keyring from the file of that name, or from `value` itself if it is JSON.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn load(value: &str) -> Result<Self, KeyringError> {
        if value.trim_start().starts_with(['{', '[']) {
            return Self::parse(value.as_bytes());
        }
        let path = Path::new(value);
        let text = super::read_bounded(path).map_err(|source| KeyringError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads `{key_id: hex}` or `{"keys": {key_id: hex}}`. Several keys at once let a TPM module change keys.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn parse(text: &[u8]) -> Result<Self, KeyringError> {
        let document = Json::parse(text).map_err(KeyringError::NotJson)?;
        let nested = document.member("keys").filter(|keys| keys.as_object().is_some());
        let members = nested.unwrap_or(&document).as_object().ok_or(KeyringError::WrongShape)?;
        if let Some(name) = repeated_name(text) {
            return Err(KeyringError::Repeated(name));
        }
        let mut keys = BTreeMap::new();
        for (id, value) in members {
            let text = value.as_str().ok_or(KeyringError::WrongShape)?;
            let mut key = [0; 32];
            hex::decode_to_slice(text.trim(), &mut key).map_err(|_| KeyringError::BadKey(id.clone()))?;
            keys.insert(id.clone(), key);
        }
        Ok(Self(keys))
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn key(&self, id: &str) -> Option<(&str, &[u8; 32])> {
        self.0.get_key_value(id).map(|(id, key)| (id.as_str(), key))
    }

    /// The key that a signature without a name must be by: there is no other.
    pub(super) fn only_key(&self) -> Option<(&str, &[u8; 32])> {
        let mut keys = self.0.iter();
        let (id, key) = keys.next()?;
        keys.next().is_none().then_some((id.as_str(), key))
    }
}
