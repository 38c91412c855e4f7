//! Keys and instants that never change, so that an input found today means the same tomorrow.

use flota_package::licence::LicenceKeys;
use flota_seal::secret::Secret;
use jiff::Timestamp;

/// The HMAC key that the signed inputs of the corpora are signed with.
pub(crate) const KEY: &str = "hex:0101010101010101010101010101010101010101010101010101010101010101";

/// [`KEY`], decoded.
pub(crate) fn key() -> Secret {
    Secret::decode(KEY, "the fixed key").unwrap_or_else(|error| panic!("{error}"))
}

/// Keys of the licences in the corpora.
pub(crate) const OEM_KEYS: &[u8] = br#"{"keys": {"oem-1": "hex:0101", "oem-2": "hex:0202"}}"#;

/// The public half of the key that offline licences in the corpora are signed with.
const OFFLINE_KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

/// [`OEM_KEYS`] and [`OFFLINE_KEY`].
pub(crate) fn licence_keys() -> LicenceKeys {
    let keys = LicenceKeys::default().with_oem_keys(OEM_KEYS, "the corpora").unwrap_or_else(|error| panic!("{error}"));
    keys.with_offline_key(OFFLINE_KEY).unwrap_or_else(|error| panic!("{error}"))
}

/// 2026-12-01, when the recorded certificates are valid.
pub(crate) const NOW_UNIX: i64 = 1_796_083_200;

/// [`NOW_UNIX`] as the procedures take it.
pub(crate) fn now() -> Timestamp {
    Timestamp::constant(NOW_UNIX, 0)
}
