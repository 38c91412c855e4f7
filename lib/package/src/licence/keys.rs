//! The keys that licences and revocation lists are proved with.

use std::collections::BTreeMap;
use std::path::Path;

use flota_seal::json::Json;
use flota_seal::secret::Secret;

use super::{HmacKeysError, LicenceError, LicenceKeysError, LicenceKind, repeated_name};
use crate::key;

/// HMAC keys by name. There may be several at once, so that an issuer can change keys without a day on which nothing holds.
#[derive(Default)]
pub struct HmacKeys {
    named: BTreeMap<String, Secret>,
    any: Option<Secret>,
}

/// The keys that licences are proved with.
#[derive(Default)]
pub struct LicenceKeys {
    oem: HmacKeys,
    offline: Vec<[u8; 32]>,
}

impl HmacKeys {
    /// The keys that `value` is or names: one key (see [`key::load`]), or `{"keys": {id: secret}}`, or the path of a file with
    /// either. `origin` is the flag or variable, for errors.
    ///
    /// # Errors
    /// [`HmacKeysError`].
    pub fn load(value: &str, origin: &str) -> Result<Self, HmacKeysError> {
        let several = |text: &[u8]| {
            Self::parse(text, origin).map_err(|source| HmacKeysError::Several { origin: origin.to_owned(), source })
        };
        if value.trim_start().starts_with('{') {
            return several(value.as_bytes());
        }
        let key = key::load(value, origin)?;
        // A file of several keys reads as one long text key until it is looked into.
        if key.expose().trim_ascii_start().starts_with(b"{") && Path::new(value.trim()).is_file() {
            return several(key.expose());
        }
        Ok(Self::unnamed(key))
    }

    /// Reads `{"keys": {id: secret}}` or `{id: secret}`. `origin` names the file or variable in errors.
    ///
    /// # Errors
    /// [`LicenceKeysError`].
    pub fn parse(text: &[u8], origin: &str) -> Result<Self, LicenceKeysError> {
        let document = Json::parse(text).map_err(LicenceKeysError::NotJson)?;
        let nested = document.member("keys").filter(|keys| keys.as_object().is_some());
        let members = nested.unwrap_or(&document).as_object().ok_or(LicenceKeysError::WrongShape)?;
        if let Some(name) = repeated_name(text) {
            return Err(LicenceKeysError::Repeated(name));
        }
        let mut named = BTreeMap::new();
        for (id, secret) in members {
            let secret = secret.as_str().ok_or(LicenceKeysError::WrongShape)?;
            let secret = Secret::decode(secret, &format!("{id} in {origin}")).map_err(LicenceKeysError::Secret)?;
            named.insert(id.clone(), secret);
        }
        Ok(Self { named, any: None })
    }

    /// One key that has no name: it is tried whatever name a signature gives.
    pub fn unnamed(key: Secret) -> Self {
        Self { named: BTreeMap::new(), any: Some(key) }
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.any.is_none()
    }

    /// The key of that name; without a name, the only key.
    pub fn find(&self, id: Option<&str>) -> Option<&Secret> {
        let named = match id {
            Some(id) => self.named.get(id),
            None if self.named.len() == 1 => self.named.values().next(),
            None => None,
        };
        named.or(self.any.as_ref())
    }
}

impl LicenceKeys {
    /// Adds the HMAC keys of `{"keys": {id: secret}}`. `origin` names the file or variable in errors.
    ///
    /// # Errors
    /// [`LicenceKeysError`].
    pub fn with_oem_keys(mut self, text: &[u8], origin: &str) -> Result<Self, LicenceKeysError> {
        self.oem.named.extend(HmacKeys::parse(text, origin)?.named);
        Ok(self)
    }

    /// Adds Ed25519 public keys of `.lic` licences, in hexadecimal, parted by commas or white space. A `.lic` does not
    /// name its key: each of them is tried, so that an issuer can change keys.
    ///
    /// # Errors
    /// [`LicenceKeysError::PublicKey`]: one is not a key, or there is none.
    pub fn with_offline_key(mut self, hexadecimal: &str) -> Result<Self, LicenceKeysError> {
        let known = self.offline.len();
        let parted = hexadecimal.split(|c: char| c == ',' || c.is_whitespace());
        for digits in parted.filter(|digits| !digits.is_empty()) {
            let mut key = [0; 32];
            hex::decode_to_slice(digits, &mut key).map_err(|_| LicenceKeysError::PublicKey)?;
            self.offline.push(key);
        }
        if self.offline.len() == known { Err(LicenceKeysError::PublicKey) } else { Ok(self) }
    }

    /// Whether there is any key for licences of that format.
    pub fn has_any_for(&self, kind: LicenceKind) -> bool {
        match kind {
            LicenceKind::Oem => !self.oem.is_empty(),
            LicenceKind::Offline => !self.offline.is_empty(),
        }
    }

    /// The key of that name, or the error that `refusal` makes of the name.
    pub(super) fn oem_key(
        &self,
        id: Option<&str>,
        refusal: fn(String) -> LicenceError,
    ) -> Result<&Secret, LicenceError> {
        self.oem.find(id).ok_or_else(|| refusal(id.unwrap_or("without a name").to_owned()))
    }

    pub(super) fn offline_keys(&self) -> &[[u8; 32]] {
        &self.offline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_keys_are_one_key_or_several_or_a_file_with_either() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = |value: &str| HmacKeys::load(value, "KEYS");
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
        for bad in [keys("{"), keys("hex:5ecre7"), file(r#"{"keys": {"a": "hex:5ecre7"}}"#)] {
            let told = crate::causes::on_one_line(&bad.map(|_| ()).unwrap_err());
            assert!(told.contains("KEYS") && !told.contains("5ecre7"), "{told}");
        }
    }
}
