//! The evidence file: three shapes, one payload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_seal::json::{Json, ParseJsonError};
use jiff::Timestamp;

use super::codes;
use crate::iso_time;

/// Bytes of an Ed25519 signature (RFC 8032 §5.1.6).
const SIGNATURE_BYTES: usize = 64;

/// Evidence that is well-formed. Whether it proves anything is for [`super::check_tpm_status`] to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    payload: Json,
    signed_bytes: Vec<u8>,
    signature: Option<EvidenceSignature>,
    fingerprint: Option<String>,
    sealed_fingerprint: Option<String>,
    nonce: Option<String>,
    attested_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    secure_enclave: Option<String>,
}

/// An Ed25519 signature of the right length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EvidenceSignature {
    pub(super) value: [u8; SIGNATURE_BYTES],
    pub(super) key_id: Option<String>,
}

/// Why a file is not evidence. All of it is escalated to the security team.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The file, or the payload in it, is not JSON.
    #[error("the evidence is not JSON")]
    NotJson(#[source] ParseJsonError),
    /// The document or its payload is not an object.
    #[error("the evidence is not a JSON object")]
    NotAnObject,
    /// `payload_b64` is not Base64.
    #[error("`payload_b64` of the evidence is not Base64")]
    PayloadNotBase64,
    /// The document has two payloads that differ: which of them a reader looks at must not matter.
    #[error("`payload` and `payload_b64` of the evidence differ")]
    TwoPayloads,
    /// A field of the payload is malformed.
    #[error("`{field}` of the evidence {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The signature is malformed.
    #[error("the signature of the evidence {0}")]
    Signature(&'static str),
}

impl EvidenceError {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Signature(_) => codes::SIGNATURE_INVALID,
            _ => codes::EVIDENCE_INVALID,
        }
    }
}

impl Evidence {
    /// Reads an evidence file.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn parse(text: &[u8]) -> Result<Self, EvidenceError> {
        let document = Json::parse(text).map_err(EvidenceError::NotJson)?;
        document.as_object().ok_or(EvidenceError::NotAnObject)?;
        let (payload, signed_bytes) = payload_of(&document)?;
        payload.as_object().ok_or(EvidenceError::NotAnObject)?;
        let signature = match document.member("signature") {
            None | Some(Json::Null) => None,
            Some(signature) => Some(EvidenceSignature::parse(signature)?),
        };
        Ok(Self {
            signed_bytes,
            signature,
            fingerprint: text_of(&payload, "fingerprint")?,
            sealed_fingerprint: text_of(&payload, "sealed_fingerprint")?,
            nonce: text_of(&payload, "nonce")?,
            attested_at: instant_of(&payload, "attested_at")?,
            expires_at: instant_of(&payload, "expires_at")?,
            secure_enclave: enclave_of(&payload)?,
            payload,
        })
    }

    /// The payload as it stands.
    pub fn payload(&self) -> &Json {
        &self.payload
    }

    /// The fingerprint of the host when the evidence was made.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// The fingerprint sealed in its TPM.
    pub fn sealed_fingerprint(&self) -> Option<&str> {
        self.sealed_fingerprint.as_deref()
    }

    /// The challenge that the evidence answers.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// When it was made.
    pub fn attested_at(&self) -> Option<Timestamp> {
        self.attested_at
    }

    /// Until when it counts; that instant is already outside. `None`: it never expires.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The kind of secure element: `tpm2`, `sgx`, …
    pub fn secure_enclave(&self) -> Option<&str> {
        self.secure_enclave.as_deref()
    }

    pub(super) fn signature(&self) -> Option<&EvidenceSignature> {
        self.signature.as_ref()
    }

    /// What the signature covers.
    pub(super) fn signed_bytes(&self) -> &[u8] {
        &self.signed_bytes
    }
}

impl EvidenceSignature {
    fn parse(signature: &Json) -> Result<Self, EvidenceError> {
        let wrong = EvidenceError::Signature;
        signature.as_object().ok_or(wrong("is not an object"))?;
        let text = |field| signature.member(field).and_then(Json::as_str);
        if !text("algorithm").is_some_and(|name| name.trim().eq_ignore_ascii_case("ed25519")) {
            return Err(wrong("is not of the algorithm ed25519"));
        }
        let value = text("value").ok_or(wrong("has no value"))?;
        let value = STANDARD.decode(value.trim()).map_err(|_| wrong("is not Base64"))?;
        let value = value.try_into().map_err(|_| wrong("does not have 64 bytes"))?;
        let key_id = match signature.member("key_id") {
            None | Some(Json::Null) => None,
            Some(Json::String(id)) => Some(id.clone()).filter(|id| !id.is_empty()),
            Some(_) => return Err(wrong("has a key_id that is not a string")),
        };
        Ok(Self { value, key_id })
    }
}

/// The payload and the bytes that a signature covers: those of `payload_b64` as they are, else the canonical form.
fn payload_of(document: &Json) -> Result<(Json, Vec<u8>), EvidenceError> {
    let plain = document.member("payload").filter(|payload| !matches!(payload, Json::Null));
    if let Some(encoded) = document.member("payload_b64").filter(|payload| !matches!(payload, Json::Null)) {
        let encoded = encoded.as_str().ok_or(EvidenceError::PayloadNotBase64)?;
        let bytes = STANDARD.decode(encoded.trim()).map_err(|_| EvidenceError::PayloadNotBase64)?;
        let payload = Json::parse(&bytes).map_err(EvidenceError::NotJson)?;
        if plain.is_some_and(|plain| plain.canonical() != payload.canonical()) {
            return Err(EvidenceError::TwoPayloads);
        }
        return Ok((payload, bytes));
    }
    let payload = match plain {
        Some(payload) => payload.clone(),
        // The bare payload; a signature beside its fields cannot cover itself.
        None => Json::object(
            document
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| *name != "signature")
                .map(|(name, value)| (name.clone(), value.clone())),
        ),
    };
    let canonical = payload.canonical();
    Ok((payload, canonical))
}

fn text_of(payload: &Json, field: &'static str) -> Result<Option<String>, EvidenceError> {
    match payload.member(field) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Some(_) => Err(EvidenceError::Field { field, problem: "is not a string" }),
    }
}

fn instant_of(payload: &Json, field: &'static str) -> Result<Option<Timestamp>, EvidenceError> {
    let parse =
        |text: String| iso_time::parse(&text).map_err(|_| EvidenceError::Field { field, problem: "is not a date" });
    text_of(payload, field)?.map(parse).transpose()
}

/// `secure_enclave`: a name, or an object with a `type`; an object that says nothing is a TPM, as the bot has it.
fn enclave_of(payload: &Json) -> Result<Option<String>, EvidenceError> {
    match payload.member("secure_enclave") {
        Some(object @ Json::Object(_)) => {
            let kind = text_of(object, "type")?;
            Ok(Some(kind.unwrap_or_else(|| "tpm".to_owned())))
        }
        _ => text_of(payload, "secure_enclave"),
    }
}
