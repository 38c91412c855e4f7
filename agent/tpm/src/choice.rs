//! Which kinds of keys the agent uses where a TPM offers several.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the settings prescribe. Nothing prescribed means automatic, and that is right for almost every host.
///
/// A choice is about keys yet to be made: keys that were made once are used for as long as their file is there, and a
/// choice that contradicts them is an error and no reason to make others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyChoice {
    /// The endorsement key; automatically the first of [`EndorsementKind::PREFERENCE`] that the TPM has a certificate for.
    pub endorsement: Option<EndorsementKind>,
    /// The attestation key; automatically P-256, or RSA where the TPM refuses to make such a key.
    pub attestation: Option<AttestationKind>,
}

/// An endorsement key by its template in the TCG EK Credential Profile 2.5, annex B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndorsementKind {
    /// RSA-2048 of the low range (L-1), certificate at NV index 0x01C00002.
    #[serde(rename = "rsa2048")]
    Rsa2048,
    /// P-256 of the low range (L-2), certificate at NV index 0x01C0000A.
    #[serde(rename = "p256")]
    P256,
    /// P-384 (H-3), certificate at NV index 0x01C00016.
    #[serde(rename = "p384")]
    P384,
    /// P-256 of the high range (H-2), certificate at NV index 0x01C00014.
    #[serde(rename = "high-p256")]
    HighP256,
    /// RSA-3072 (H-6), certificate at NV index 0x01C0001C.
    #[serde(rename = "rsa3072")]
    Rsa3072,
    /// RSA-4096 (H-7), certificate at NV index 0x01C0001E.
    #[serde(rename = "rsa4096")]
    Rsa4096,
    /// RSA-2048 of the high range (H-1), certificate at NV index 0x01C00012.
    #[serde(rename = "high-rsa2048")]
    HighRsa2048,
}

impl EndorsementKind {
    /// The order in which they are looked for.
    ///
    /// A host's id comes from its endorsement key, so what stands before what must never change: a host that enrols again
    /// must meet the same key. RSA-2048 of the low range is first because nearly every TPM has it. Then the low range's
    /// other key, then curves before RSA, which hardware TPMs take seconds for; and last what the low range has as well.
    pub const PREFERENCE: [Self; 7] =
        [Self::Rsa2048, Self::P256, Self::P384, Self::HighP256, Self::Rsa3072, Self::Rsa4096, Self::HighRsa2048];

    /// As the settings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::HighP256 => "high-p256",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::HighRsa2048 => "high-rsa2048",
        }
    }
}

impl fmt::Display for EndorsementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An attestation key by its algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttestationKind {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "p256")]
    P256,
    /// RSASSA-PKCS1-v1_5 with 2048 bits and SHA-256, for TPMs without ECDSA. Signing takes a hardware TPM about ten
    /// times as long.
    #[serde(rename = "rsa2048")]
    Rsa2048,
}

impl AttestationKind {
    /// As the settings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
        }
    }
}

impl fmt::Display for AttestationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_the_kinds_as_they_are_printed() {
        for kind in EndorsementKind::PREFERENCE {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        for kind in [AttestationKind::P256, AttestationKind::Rsa2048] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        let choice: KeyChoice = serde_json::from_str(r#"{"endorsement":"p384"}"#).unwrap();
        assert_eq!(choice, KeyChoice { endorsement: Some(EndorsementKind::P384), attestation: None });
        assert_eq!(serde_json::from_str::<KeyChoice>("{}").unwrap(), KeyChoice::default());
        assert!(serde_json::from_str::<KeyChoice>(r#"{"endorsement":"rsa1024"}"#).is_err());
        assert!(serde_json::from_str::<KeyChoice>(r#"{"tls":"p256"}"#).is_err());
    }

    #[test]
    fn every_kind_is_looked_for_once() {
        let seen: std::collections::HashSet<_> = EndorsementKind::PREFERENCE.into_iter().collect();
        assert_eq!(seen.len(), EndorsementKind::PREFERENCE.len());
        assert_eq!(EndorsementKind::PREFERENCE[0], EndorsementKind::Rsa2048, "hosts that are enrolled keep their id");
    }
}
