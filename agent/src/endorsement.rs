//! The fingerprint of the TPM's endorsement key: what the fleet, evidence and licences know a machine by.

use flota_model::Digest;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// `rsaEncryption` and `id-RSAES-OAEP` (RFC 8017, annex C). Some vendors certify their keys under the second.
const RSA_NAMES: [&str; 2] = ["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7"];
/// AlgorithmIdentifier of `rsaEncryption`, DER, with its parameter NULL (RFC 3279 §2.3.1).
const RSA_ENCRYPTION: [u8; 15] = [0x30, 13, 0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 0x05, 0];

/// SHA-256 of the SubjectPublicKeyInfo; its first 16 hexadecimal digits are the host's id. None if this is no certificate.
///
/// Of an RSA key it is the one under `rsaEncryption` whatever the certificate says, as the controller computes it from the
/// key itself.
pub fn fingerprint(ek_certificate: &[u8]) -> Option<Digest> {
    let (_, certificate) = X509Certificate::from_der(ek_certificate).ok()?;
    let key = certificate.public_key();
    if !RSA_NAMES.contains(&key.algorithm.algorithm.to_id_string().as_str()) {
        return Some(Digest::of(key.raw));
    }
    let bits = der(0x03, &[&[0][..], &*key.subject_public_key.data].concat())?;
    Some(Digest::of(&der(0x30, &[&RSA_ENCRYPTION[..], &bits].concat())?))
}

/// A DER element. Keys have a few hundred bytes, far below the 64 KiB of the longest form here.
fn der(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, ..0x80) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    Some([head, content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_shortest_form() {
        for (length, head) in [
            (0x7F, &[0x30, 0x7F][..]),
            (0x80, &[0x30, 0x81, 0x80]),
            (0xFF, &[0x30, 0x81, 0xFF]),
            (0x100, &[0x30, 0x82, 1, 0]),
        ] {
            assert!(der(0x30, &vec![0; length]).unwrap().starts_with(head), "{length}");
        }
        assert!(der(0x30, &vec![0; 0x1_0000]).is_none());
    }

    #[test]
    fn what_is_no_certificate_has_no_fingerprint() {
        assert_eq!(fingerprint(b"certificate"), None);
    }
}
