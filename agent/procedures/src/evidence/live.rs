//! A host's own proof in the form of an evidence file (manual §3): a quote of its TPM inside a payload that the quote is
//! bound to, signed for whoever has the keyring.
//!
//! Two proofs in one file. The bot checks the signature, which says that this host's agent wrote the payload. Whoever has
//! the host's attestation key checks the quote as well, which says that its TPM is in the machine, and in which state.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_seal::binding::evidence_qualifying;
use flota_seal::json::Json;
use jiff::Timestamp;

use super::signer::EvidenceKey;
use crate::iso_time;

/// The member of the payload that holds the quote. The quote is bound to all others.
const PROOF_MEMBER: &str = "tpm";

/// The payload, before there is a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePayload {
    /// SHA-256 of the endorsement key's SubjectPublicKeyInfo, hexadecimal. It is sealed in the TPM as nothing else is.
    pub fingerprint: String,
    /// The challenge that the evidence answers, hexadecimal.
    pub nonce: String,
    /// When it is made.
    pub attested_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
    /// Who made the TPM.
    pub vendor: String,
}

/// What the TPM said, and what it is verified with; in the wire format of TPM 2.0 part 2.
#[derive(Clone, Copy, Debug)]
pub struct LiveProof<'a> {
    /// TPMS_ATTEST.
    pub attest: &'a [u8],
    /// TPMT_SIGNATURE.
    pub signature: &'a [u8],
    /// Quoted PCRs of the SHA-256 bank.
    pub pcr_values: &'a [(u8, [u8; 32])],
    /// TPM2B_PUBLIC of the attestation key.
    pub ak_public: &'a [u8],
    /// TPM2B_PUBLIC of the endorsement key.
    pub ek_public: &'a [u8],
    /// The certificate of the endorsement key, DER.
    pub ek_certificate: &'a [u8],
}

impl LivePayload {
    /// What the quote must have as `extraData`.
    pub fn qualifying(&self) -> [u8; 32] {
        evidence_qualifying(&self.to_json(None).canonical())
    }

    /// The evidence file.
    pub fn sealed(&self, proof: &LiveProof<'_>, key: &EvidenceKey) -> Json {
        let payload = self.to_json(Some(proof));
        let signature = key.sign(&payload.canonical());
        let signature = Json::object([
            ("algorithm", Json::from("ed25519")),
            ("value", STANDARD.encode(signature).into()),
            ("key_id", key.id().into()),
        ]);
        Json::object([("payload", payload), ("signature", signature)])
    }

    fn to_json(&self, proof: Option<&LiveProof<'_>>) -> Json {
        let Self { fingerprint, nonce, attested_at, expires_at, vendor } = self;
        let enclave = Json::object([("type", Json::from("tpm2")), ("vendor", vendor.as_str().into())]);
        let members = [
            ("fingerprint", fingerprint.as_str().into()),
            ("sealed_fingerprint", fingerprint.as_str().into()),
            ("nonce", nonce.as_str().into()),
            ("attested_at", iso_time::format(*attested_at).into()),
            ("expires_at", iso_time::format(*expires_at).into()),
            ("secure_enclave", enclave),
        ];
        Json::object(members.into_iter().chain(proof.map(|proof| (PROOF_MEMBER, proof.to_json()))))
    }
}

impl LiveProof<'_> {
    fn to_json(self) -> Json {
        let encoded = |bytes: &[u8]| Json::from(STANDARD.encode(bytes));
        let values = self.pcr_values.iter().map(|(index, value)| (index.to_string(), encoded(value)));
        Json::object([
            ("attest", encoded(self.attest)),
            ("signature", encoded(self.signature)),
            ("pcr_values", Json::object(values)),
            ("ak_public", encoded(self.ak_public)),
            ("ek_public", encoded(self.ek_public)),
            ("ek_certificate", encoded(self.ek_certificate)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};
    use zeroize::Zeroizing;

    use super::super::{EvidenceRequest, EvidenceStatus, check_tpm_status};
    use super::*;

    #[test]
    fn what_is_sealed_is_ok_until_it_expires_and_the_quote_is_bound_to_all_but_itself() {
        let folder = tempfile::tempdir().unwrap();
        let key = EvidenceKey::open(&folder.path().join("key"), || Ok(Zeroizing::new([7; 32]))).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let payload = LivePayload {
            fingerprint: "ab".repeat(32),
            nonce: "00ff".to_owned(),
            attested_at: at("2026-07-23T12:00:00.5Z"),
            expires_at: at("2026-07-24T12:00:00Z"),
            vendor: "INTC".to_owned(),
        };
        let proof = LiveProof {
            attest: b"attest",
            signature: b"signature",
            pcr_values: &[(0, [1; 32]), (16, [2; 32])],
            ak_public: b"ak",
            ek_public: b"ek",
            ek_certificate: b"certificate",
        };
        let sealed = payload.sealed(&proof, &key);
        let path = folder.path().join("evidence.json");
        std::fs::write(&path, sealed.pretty()).unwrap();
        let keyring = String::from_utf8(key.keyring_entry().canonical()).unwrap();
        let good = EvidenceRequest {
            keyring: Some(&keyring),
            expected_fingerprint: Some(&payload.fingerprint),
            ..EvidenceRequest::new(&path, at("2026-07-23T13:00:00Z"))
        };
        let report = check_tpm_status(&good);
        assert_eq!((report.status(), report.findings()), (EvidenceStatus::Ok, [].as_slice()));
        assert_eq!(report.signature_key(), Some(key.id().as_str()));
        assert_eq!(report.evidence().unwrap().secure_enclave(), Some("tpm2"));
        let late = EvidenceRequest { now: at("2026-07-24T12:00:00Z"), ..good };
        assert_eq!(check_tpm_status(&late).status(), EvidenceStatus::Expired);

        let mut members = sealed.member("payload").unwrap().as_object().unwrap().clone();
        let quote = members.remove("tpm").unwrap();
        assert_eq!(quote.member("pcr_values").unwrap().member("16").unwrap(), &STANDARD.encode([2; 32]).into());
        // SHA-256 of LP("flota/evidence/v1") LP(payload without the quote), as docs/evidence-and-licence.md says.
        let rest = Json::from(members).canonical();
        let parts = [&17_u64.to_be_bytes()[..], b"flota/evidence/v1", &(rest.len() as u64).to_be_bytes(), &rest];
        assert_eq!(payload.qualifying(), <[u8; 32]>::from(Sha256::digest(parts.concat())));
        let other = LivePayload { nonce: "00fe".to_owned(), ..payload.clone() };
        assert_ne!(payload.qualifying(), other.qualifying());
    }
}
