//! JSON, the signatures over it and the keys of those.

use flota_seal::json::Json;
use flota_seal::secret::{Secret, SecretError};
use flota_seal::signature::{Signature, Signer};

use crate::{Reach, fixed};

/// Most canonical bytes for each byte of a document: `1e15` has 4 and becomes `1000000000000000.0`, which has 18.
const MAX_GROWTH: usize = 5;

/// The canonical form is a fixed point, and the form for people means the same.
pub(crate) fn json(input: &[u8]) -> Reach {
    let Ok(document) = Json::parse(input) else { return Reach::Refused };
    let canonical = document.canonical();
    assert!(canonical.len() <= MAX_GROWTH * input.len(), "{} bytes grew to {}", input.len(), canonical.len());
    assert_reads_as(&canonical, &canonical);
    assert_reads_as(document.pretty().as_bytes(), &canonical);
    let mut written = Vec::new();
    let wrote = document.write_canonical(&mut written);
    assert!(wrote.is_ok() && written == canonical, "the writer and the vector differ");
    Reach::Accepted
}

/// What is read is written and read again as it was; the MAC has the length of its algorithm.
pub(crate) fn signature(input: &[u8]) -> Reach {
    let Ok(document) = Json::parse(input) else { return Reach::Refused };
    let Ok(signature) = Signature::from_json(&document) else { return Reach::Refused };
    let written = signature.to_json();
    let again = Signature::from_json(&written).unwrap_or_else(|error| panic!("its own object is refused: {error}"));
    assert_eq!(again.to_json().canonical(), written.canonical());
    assert_eq!(signature.value().len(), signature.algorithm().mac_len());
    // Whatever the key verifies must be what the key makes.
    let key = fixed::key();
    let mut signer = Signer::new(signature.algorithm(), &key);
    signer.update(b"payload");
    let is_ours = signer.finish(None).value() == signature.value();
    assert_eq!(signature.verify_bytes(b"payload", &key).is_ok(), is_ours);
    Reach::Accepted
}

/// A key is never empty or longer than its text, and a refusal says nothing that depends on the text.
pub(crate) fn secret(input: &[u8]) -> Reach {
    let Ok(text) = std::str::from_utf8(input) else { return Reach::Refused };
    match Secret::decode(text, "ORIGIN") {
        Ok(secret) => {
            assert!(!secret.expose().is_empty() && secret.expose().len() <= text.len());
            Reach::Accepted
        }
        Err(error) => {
            let origin = || "ORIGIN".to_owned();
            let (empty, hex) = (SecretError::Empty { origin: origin() }, SecretError::NotHex { origin: origin() });
            assert!([empty, hex, SecretError::NotBase64 { origin: origin() }].contains(&error), "{error:?}");
            Reach::Refused
        }
    }
}

/// Compares canonical bytes, for `NaN` is not equal to itself.
fn assert_reads_as(text: &[u8], canonical: &[u8]) {
    match Json::parse(text) {
        Ok(document) => assert_eq!(document.canonical(), canonical),
        Err(error) => panic!("what was written cannot be read: {error}"),
    }
}
