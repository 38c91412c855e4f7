//! Bytes that agent and controller must both derive: what a proof, a certification or a quote is bound to.
//!
//! Every input is a domain label followed by length-prefixed fields, so that no two different inputs give the same
//! bytes. The layouts are documented in `docs/protocol.md`; a change of one needs a new label.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of the TLS exporter that evidence is bound to (RFC 8446 §7.5).
pub const EXPORTER_BYTES: usize = 32;
/// Label of that exporter; both ends ask rustls for it with an empty context.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-flota-attest-v1";

/// Key that an enrolment token's MAC is made with. The controller stores this and never the token.
pub fn token_key(token_secret: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(digest(b"flota/token/v1", &[token_secret.as_bytes()]))
}

/// Hash of an enrolment's first message without its MAC.
pub struct BeginFields<'a> {
    /// Public half of the token.
    pub token_id: &'a str,
    /// DER.
    pub ek_certificate: &'a [u8],
    /// TPM2B_PUBLIC.
    pub ek_public: &'a [u8],
    /// TPM2B_PUBLIC.
    pub ak_public: &'a [u8],
    /// TPM2B_PUBLIC.
    pub tls_public: &'a [u8],
    /// DER.
    pub csr: &'a [u8],
    /// Software version of the agent.
    pub agent_version: &'a str,
}

impl BeginFields<'_> {
    /// SHA-256 over all of them.
    pub fn hash(&self) -> [u8; 32] {
        let Self { token_id, ek_certificate, ek_public, ak_public, tls_public, csr, agent_version } = self;
        digest(
            b"flota/enrol/begin/v1",
            &[token_id.as_bytes(), ek_certificate, ek_public, ak_public, tls_public, csr, agent_version.as_bytes()],
        )
    }

    /// The MAC that proves knowledge of the token.
    pub fn mac(&self, token_key: &[u8; 32]) -> [u8; 32] {
        mac(token_key, b"flota/enrol/token/v1", &[&self.hash()])
    }
}

/// The MAC that proves knowledge of the token in the enrolment of a host without a TPM. Bound to the connection, so that
/// it cannot be repeated on another one.
pub fn software_enrol_mac(
    token_key: &[u8; 32],
    token_id: &str,
    csr: &[u8],
    agent_version: &str,
    exporter: &[u8; EXPORTER_BYTES],
) -> [u8; 32] {
    mac(token_key, b"flota/enrol/software/v1", &[token_id.as_bytes(), csr, agent_version.as_bytes(), exporter])
}

/// What the controller answered, as far as proofs are bound to it.
pub struct ChallengeFields<'a> {
    /// 16 bytes.
    pub session_id: &'a [u8],
    /// Contents of TPM2B_ID_OBJECT.
    pub credential_blob: &'a [u8],
    /// Contents of TPM2B_ENCRYPTED_SECRET.
    pub encrypted_secret: &'a [u8],
    /// 32 bytes.
    pub certify_nonce: &'a [u8],
    /// 32 bytes.
    pub quote_nonce: &'a [u8],
}

/// Hash of both messages of an enrolment.
pub fn transcript(begin: &BeginFields<'_>, challenge: &ChallengeFields<'_>) -> [u8; 32] {
    let ChallengeFields { session_id, credential_blob, encrypted_secret, certify_nonce, quote_nonce } = challenge;
    digest(
        b"flota/enrol/transcript/v1",
        &[&begin.hash(), session_id, credential_blob, encrypted_secret, certify_nonce, quote_nonce],
    )
}

/// Proof that the credential was activated: only the TPM with this EK and AK can know `secret`.
pub fn enrol_proof(secret: &[u8], transcript: &[u8; 32]) -> [u8; 32] {
    mac(secret, b"flota/enrol/proof/v1", &[transcript])
}

/// `extraData` of the certification of the TLS key.
pub fn certify_qualifying(transcript: &[u8; 32], exporter: &[u8; EXPORTER_BYTES]) -> [u8; 32] {
    digest(b"flota/certify/v1", &[transcript, exporter])
}

/// `extraData` of the quote made at enrolment.
pub fn enrol_quote_qualifying(transcript: &[u8; 32], exporter: &[u8; EXPORTER_BYTES]) -> [u8; 32] {
    digest(b"flota/enrol/quote/v1", &[transcript, exporter])
}

/// What a quote of the running fleet is bound to.
pub struct QuoteFields<'a> {
    /// 32 bytes, used once.
    pub nonce: &'a [u8],
    /// Id of the challenge.
    pub challenge_id: &'a str,
    /// The host, as its certificate names it.
    pub host_id: &'a str,
    /// SHA-256 of the client certificate, DER.
    pub certificate_sha256: &'a [u8; 32],
    /// The TLS exporter of the connection.
    pub exporter: &'a [u8; EXPORTER_BYTES],
    /// What the host claims, canonical JSON.
    pub claims: &'a [u8],
}

impl QuoteFields<'_> {
    /// `extraData` of the quote.
    pub fn qualifying(&self) -> [u8; 32] {
        let Self { nonce, challenge_id, host_id, certificate_sha256, exporter, claims } = self;
        let claims_sha256: [u8; 32] = Sha256::digest(claims).into();
        digest(
            b"flota/quote/v1",
            &[nonce, challenge_id.as_bytes(), host_id.as_bytes(), *certificate_sha256, *exporter, &claims_sha256],
        )
    }
}

/// `extraData` of the quote inside an evidence file that a host writes of itself. `payload` is the file's payload
/// without the member `tpm` that holds the quote, canonical JSON.
pub fn evidence_qualifying(payload: &[u8]) -> [u8; 32] {
    digest(b"flota/evidence/v1", &[payload])
}

/// Constant-time comparison of two tags.
pub fn tags_equal(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

fn digest(label: &[u8], fields: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    absorb(label, fields, |bytes| hasher.update(bytes));
    hasher.finalize().into()
}

fn mac(key: &[u8], label: &[u8], fields: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length (RFC 2104 §2), so the error case does not exist.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC keys have any length") };
    absorb(label, fields, |bytes| mac.update(bytes));
    mac.finalize().into_bytes().into()
}

fn absorb(label: &[u8], fields: &[&[u8]], mut sink: impl FnMut(&[u8])) {
    for field in std::iter::once(&label).chain(fields) {
        sink(&(u64::try_from(field.len()).unwrap_or(u64::MAX)).to_be_bytes());
        sink(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_cannot_move_from_one_field_to_the_next() {
        assert_ne!(digest(b"l", &[b"ab", b"c"]), digest(b"l", &[b"a", b"bc"]));
        assert_ne!(digest(b"l", &[b"ab"]), digest(b"la", &[b"b"]));
    }

    #[test]
    fn every_field_of_a_quote_counts() {
        let fields = |claims| QuoteFields {
            nonce: &[1; 32],
            challenge_id: "c",
            host_id: "h",
            certificate_sha256: &[2; 32],
            exporter: &[3; 32],
            claims,
        };
        assert_ne!(fields(b"{}").qualifying(), fields(b"[]").qualifying());
    }
}
