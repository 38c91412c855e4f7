//! Keys of MACs, held so that they cannot be printed by accident and do not outlive their use in memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A key. Wiped when dropped; deliberately neither printable, comparable, cloneable nor serialisable.
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text is not a key. `origin` says where the text came from; the text itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is nothing, or nothing after the prefix: an HMAC under an empty key protects nothing.
    #[error("the key of {origin} is empty: set it")]
    Empty {
        /// The flag, variable or file that holds the key.
        origin: String,
    },
    /// What follows `hex:` is not an even number of hexadecimal digits.
    #[error("the key of {origin} begins with 'hex:' but is not hexadecimal: correct it")]
    NotHex {
        /// The flag, variable or file that holds the key.
        origin: String,
    },
    /// What follows `base64:` is not padded standard Base64 (RFC 4648 §4).
    #[error("the key of {origin} begins with 'base64:' but is not padded Base64: correct it")]
    NotBase64 {
        /// The flag, variable or file that holds the key.
        origin: String,
    },
}

impl Secret {
    /// Reads a key as the bot writes it: `hex:<hex>`, `base64:<base64>`, or else the text itself in UTF-8; white space
    /// around it does not count. `origin` is the flag, variable or file to name in an error.
    pub fn decode(text: &str, origin: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let origin = || origin.to_owned();
        let bytes = Zeroizing::new(if let Some(digits) = text.strip_prefix("hex:") {
            // The causes are dropped: they quote the offending character, which is a part of the key.
            hex::decode(digits).map_err(|_| SecretError::NotHex { origin: origin() })?
        } else if let Some(encoded) = text.strip_prefix("base64:") {
            STANDARD.decode(encoded).map_err(|_| SecretError::NotBase64 { origin: origin() })?
        } else {
            text.as_bytes().to_vec()
        });
        if bytes.is_empty() {
            return Err(SecretError::Empty { origin: origin() });
        }
        Ok(Self(bytes))
    }

    /// The key material, for the one call that needs it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Vec<u8>, SecretError> {
        Secret::decode(text, "BOT_KEY").map(|secret| secret.expose().to_vec())
    }

    #[test]
    fn every_notation_gives_its_bytes() {
        assert_eq!(decode("hex:00fFa0"), Ok(vec![0x00, 0xff, 0xa0]));
        assert_eq!(decode("base64:AP+g"), Ok(vec![0x00, 0xff, 0xa0]));
        assert_eq!(decode(" \t plain żółw \n"), Ok("plain żółw".as_bytes().to_vec()));
        assert_eq!(decode("\nhex:41\r\n"), Ok(b"A".to_vec()));
        assert_eq!(decode("HEX:41"), Ok(b"HEX:41".to_vec()));
    }

    #[test]
    fn malformed_keys_name_their_origin_and_never_their_value() {
        for malformed in ["hex:5ecre7", "hex:123", "base64:5ecre7!!", "base64:QQ", "base64:QR=="] {
            let message = decode(malformed).unwrap_err().to_string();
            assert!(message.contains("BOT_KEY"), "{message}");
            assert!(!message.contains(malformed.split_once(':').unwrap().1), "{message}");
        }
        for empty in ["", "  \n", "hex:", "base64:"] {
            assert_eq!(decode(empty), Err(SecretError::Empty { origin: "BOT_KEY".to_owned() }));
        }
    }
}
