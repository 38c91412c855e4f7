//! The keys that licences and revocation lists are proved with.

use std::collections::BTreeMap;

use flota_seal::json::Json;
use flota_seal::secret::Secret;

use super::{LicenceError, LicenceKeysError, LicenceKind, repeated_name};

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
