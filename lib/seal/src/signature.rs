//! HMAC signatures over canonical JSON, and the object that carries one.

use std::fmt;
use std::io;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::Json;
use crate::secret::Secret;

/// The MACs that the bot uses (RFC 2104 over FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `HMAC-SHA256`: exports, TPM evidence.
    HmacSha256,
    /// `HMAC-SHA384`: update packages.
    HmacSha384,
}

/// The name of an algorithm that is neither `HMAC-SHA256` nor `HMAC-SHA384`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signature algorithm '{0}' is unknown: use HMAC-SHA256 or HMAC-SHA384")]
pub struct UnknownAlgorithm(String);

/// A MAC with its algorithm and, where the signer set one, the name of the key.
///
/// The name of the key is a hint for people: the MAC does not cover it.
#[derive(Debug, Clone)]
pub struct Signature {
    algorithm: Algorithm,
    value: Vec<u8>,
    key_id: Option<String>,
}

/// Why a JSON value is not a signature object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not an object.
    #[error("the signature is not a JSON object")]
    NotAnObject,
    /// A member is missing, or is not a string.
    #[error("the signature has no text '{0}'")]
    NoText(&'static str),
    /// The algorithm is not one of [`Algorithm`].
    #[error(transparent)]
    UnknownAlgorithm(#[from] UnknownAlgorithm),
    /// `value` is not padded standard Base64 (RFC 4648 §4).
    #[error("the value of the signature is not Base64")]
    NotBase64,
    /// `value` has not the length of its algorithm's MAC.
    #[error("the value of the signature has {found} bytes where {expected} belong")]
    WrongLength {
        /// Bytes of the algorithm's MAC.
        expected: usize,
        /// Bytes of `value`.
        found: usize,
    },
}

/// Why a well-formed signature is not that of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The payload, the value, or the key differs from what was signed; a MAC cannot tell which.
    #[error("the signature does not match: the document was changed, or this is not its key")]
    Mismatch,
}

/// A signature in the making, for payloads that do not fit in memory.
pub struct Signer {
    algorithm: Algorithm,
    context: hmac::Context,
}

impl Algorithm {
    /// The name as signature objects spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha384 => "HMAC-SHA384",
        }
    }

    /// Bytes of a MAC.
    pub fn mac_len(self) -> usize {
        self.backend().digest_algorithm().output_len()
    }

    fn backend(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Names compare without regard to the case of ASCII letters.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::HmacSha256, Self::HmacSha384]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

impl Signature {
    /// Signs the canonical form of `payload`. An empty `key_id` counts as none, as with the bot.
    pub fn sign(payload: &Json, key: &Secret, algorithm: Algorithm, key_id: Option<&str>) -> Self {
        let mut signer = Signer::new(algorithm, key);
        signer.update(&payload.canonical());
        signer.finish(key_id)
    }

    /// Reads a signature object; members that it does not know are ignored.
    pub fn from_json(json: &Json) -> Result<Self, SignatureError> {
        if json.as_object().is_none() {
            return Err(SignatureError::NotAnObject);
        }
        let text = |name| json.member(name).and_then(Json::as_str).ok_or(SignatureError::NoText(name));
        let algorithm: Algorithm = text("algorithm")?.parse()?;
        let value = STANDARD.decode(text("value")?).map_err(|_| SignatureError::NotBase64)?;
        if value.len() != algorithm.mac_len() {
            return Err(SignatureError::WrongLength { expected: algorithm.mac_len(), found: value.len() });
        }
        let key_id = match json.member("key_id") {
            None | Some(Json::Null) => None,
            Some(_) => Some(text("key_id")?.to_owned()).filter(|id| !id.is_empty()),
        };
        Ok(Self { algorithm, value, key_id })
    }

    /// The signature object.
    pub fn to_json(&self) -> Json {
        let required = [("algorithm", self.algorithm.name().into()), ("value", STANDARD.encode(&self.value).into())];
        Json::object(required.into_iter().chain(self.key_id().map(|id| ("key_id", id.into()))))
    }

    /// Checks that this is the signature of the canonical form of `payload`, in constant time.
    pub fn verify(&self, payload: &Json, key: &Secret) -> Result<(), VerifyError> {
        self.verify_bytes(&payload.canonical(), key)
    }

    /// Checks that this is the signature of these very bytes, in constant time.
    pub fn verify_bytes(&self, payload: &[u8], key: &Secret) -> Result<(), VerifyError> {
        let mut signer = Signer::new(self.algorithm, key);
        signer.update(payload);
        self.verify_streamed(signer)
    }

    /// Checks that this is the signature of what `signer` was fed, in constant time. A signer for another algorithm
    /// never matches.
    pub fn verify_streamed(&self, signer: Signer) -> Result<(), VerifyError> {
        let expected = signer.finish(None);
        verify_slices_are_equal(&expected.value, &self.value).map_err(|_| VerifyError::Mismatch)
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The MAC itself, [`Algorithm::mac_len`] bytes.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The name of the key, if the signer set one.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

impl Signer {
    /// Begins a signature.
    pub fn new(algorithm: Algorithm, key: &Secret) -> Self {
        let key = hmac::Key::new(algorithm.backend(), key.expose());
        Self { algorithm, context: hmac::Context::with_key(&key) }
    }

    /// Takes the next bytes of the payload.
    pub fn update(&mut self, payload: &[u8]) {
        self.context.update(payload);
    }

    /// Ends the signature. An empty `key_id` counts as none.
    pub fn finish(self, key_id: Option<&str>) -> Signature {
        Signature {
            algorithm: self.algorithm,
            value: self.context.sign().as_ref().to_vec(),
            key_id: key_id.filter(|id| !id.is_empty()).map(str::to_owned),
        }
    }
}

/// Writing is [`Signer::update`] and never fails.
impl io::Write for Signer {
    fn write(&mut self, payload: &[u8]) -> io::Result<usize> {
        self.update(payload);
        Ok(payload.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Secret {
        Secret::decode("hex:1111", "test").unwrap()
    }

    #[test]
    fn a_signature_survives_its_json_and_fits_only_what_was_signed() {
        let payload = Json::object([("a", 1.into())]);
        for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha384] {
            let json = Signature::sign(&payload, &key(), algorithm, Some("ops-1")).to_json();
            let signature = Signature::from_json(&json).unwrap();
            assert_eq!(signature.algorithm(), algorithm);
            assert_eq!(signature.key_id(), Some("ops-1"));
            assert_eq!(signature.verify(&payload, &key()), Ok(()));
            assert_eq!(signature.verify(&Json::object([("a", 1.0.into())]), &key()), Err(VerifyError::Mismatch));
            let other = Secret::decode("hex:1112", "test").unwrap();
            assert_eq!(signature.verify(&payload, &other), Err(VerifyError::Mismatch));
        }
    }

    #[test]
    fn a_payload_in_pieces_has_the_signature_of_the_whole() {
        let payload = Json::object([("b", vec![true.into(), Json::Null].into()), ("a", "ż".into())]);
        let mut signer = Signer::new(Algorithm::HmacSha256, &key());
        payload.write_canonical(&mut signer).unwrap();
        let whole = Signature::sign(&payload, &key(), Algorithm::HmacSha256, None);
        assert_eq!(signer.finish(None).value(), whole.value());

        let other = Signer::new(Algorithm::HmacSha384, &key());
        assert_eq!(whole.verify_streamed(other), Err(VerifyError::Mismatch));
    }

    #[test]
    fn what_is_not_a_signature_object_says_why() {
        let read = |text: &str| Signature::from_json(&Json::parse(text.as_bytes()).unwrap()).map(|_| ());
        assert_eq!(read("[]"), Err(SignatureError::NotAnObject));
        assert_eq!(read("{}"), Err(SignatureError::NoText("algorithm")));
        assert_eq!(read(r#"{"algorithm":"HMAC-SHA256"}"#), Err(SignatureError::NoText("value")));
        assert_eq!(
            read(r#"{"algorithm":"HMAC-SHA512","value":""}"#),
            Err(SignatureError::UnknownAlgorithm(UnknownAlgorithm("HMAC-SHA512".to_owned())))
        );
        assert_eq!(read(r#"{"algorithm":"HMAC-SHA256","value":"%"}"#), Err(SignatureError::NotBase64));
        assert_eq!(
            read(r#"{"algorithm":"HMAC-SHA256","value":"AAAA"}"#),
            Err(SignatureError::WrongLength { expected: 32, found: 3 })
        );
        let value = STANDARD.encode([0; 32]);
        let with_key_id = |id: &str| read(&format!(r#"{{"algorithm":"hmac-sha256","value":"{value}","key_id":{id}}}"#));
        assert_eq!(with_key_id("null"), Ok(()));
        assert_eq!(with_key_id("5"), Err(SignatureError::NoText("key_id")));
    }
}
