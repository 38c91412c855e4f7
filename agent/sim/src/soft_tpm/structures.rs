//! The bytes of what a TPM hands out (TPM 2.0 Library, Part 2). Nothing of it is shared with the controller's parser, so
//! that the two can be held against each other.

use sha2::{Digest as _, Sha256};

use super::clock::ClockInfo;
use super::pcrs::BITMAP_BYTES;

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_SHA256: u16 = 0x000b;
const ALG_NULL: u16 = 0x0010;
const ALG_RSASSA: u16 = 0x0014;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;
const RSA_BITS: u16 = 2048;
/// TPM_RH_ENDORSEMENT.
const ENDORSEMENT: u32 = 0x4000_000b;
/// TPM_GENERATED_VALUE.
const MAGIC: u32 = 0xff54_4347;
/// TPM_ST_ATTEST_CERTIFY.
pub(super) const CERTIFY: u16 = 0x8017;
/// TPM_ST_ATTEST_QUOTE.
pub(super) const QUOTE: u16 = 0x8018;

/// TPMA_OBJECT of template L-1: fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt.
const EK_ATTRIBUTES: u32 = 0x0003_00b2;
/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign.
const AK_ATTRIBUTES: u32 = 0x0005_0472;
/// The same without restricted.
const TLS_ATTRIBUTES: u32 = 0x0004_0472;

/// PolicyA: `TPM2_PolicySecret(TPM_RH_ENDORSEMENT)` (EK Credential Profile 2.5, B.6.2).
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
    0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// A public area with its names (Part 1, section 16).
#[derive(Debug)]
pub(super) struct Object {
    /// TPM2B_PUBLIC.
    pub(super) public: Vec<u8>,
    /// `nameAlg || H(TPMT_PUBLIC)`.
    pub(super) name: Vec<u8>,
    /// `nameAlg || H(QN(parent) || Name)`.
    pub(super) qualified_name: Vec<u8>,
}

impl Object {
    /// A TPMT_PUBLIC directly under the endorsement hierarchy.
    pub(super) fn primary(tpmt: &[u8]) -> Self {
        Self::under(&ENDORSEMENT.to_be_bytes(), tpmt)
    }

    /// A TPMT_PUBLIC under another key.
    pub(super) fn child(tpmt: &[u8], parent: &Self) -> Self {
        Self::under(&parent.qualified_name, tpmt)
    }

    fn under(parent: &[u8], tpmt: &[u8]) -> Self {
        let name = name(&[tpmt]);
        Self { public: sized(tpmt), qualified_name: self::name(&[parent, &name]), name }
    }
}

fn name(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    [&ALG_SHA256.to_be_bytes()[..], &hash.finalize()].concat()
}

/// TPMT_PUBLIC of an endorsement key: RSA-2048, template L-1.
pub(super) fn ek_public(modulus: &[u8]) -> Vec<u8> {
    let parameters = words(&[ALG_AES, 128, ALG_CFB, ALG_NULL, RSA_BITS]);
    public(ALG_RSA, EK_ATTRIBUTES, &POLICY_A, &[&parameters, &[0; 4], &sized(modulus)])
}

/// TPMT_PUBLIC of an attestation key: RSA-2048 with RSASSA and SHA-256.
pub(super) fn rsa_ak_public(modulus: &[u8]) -> Vec<u8> {
    let parameters = words(&[ALG_NULL, ALG_RSASSA, ALG_SHA256, RSA_BITS]);
    public(ALG_RSA, AK_ATTRIBUTES, &[], &[&parameters, &[0; 4], &sized(modulus)])
}

/// TPMT_PUBLIC of an attestation key: P-256 with ECDSA and SHA-256.
pub(super) fn ecc_ak_public(x: &[u8], y: &[u8]) -> Vec<u8> {
    ecc_public(AK_ATTRIBUTES, x, y)
}

/// TPMT_PUBLIC of a TLS key: P-256 with ECDSA and SHA-256.
pub(super) fn tls_public(x: &[u8], y: &[u8]) -> Vec<u8> {
    ecc_public(TLS_ATTRIBUTES, x, y)
}

fn ecc_public(attributes: u32, x: &[u8], y: &[u8]) -> Vec<u8> {
    let parameters = words(&[ALG_NULL, ALG_ECDSA, ALG_SHA256, CURVE_P256, ALG_NULL]);
    public(ALG_ECC, attributes, &[], &[&parameters, &sized(x), &sized(y)])
}

fn public(kind: u16, attributes: u32, policy: &[u8], rest: &[&[u8]]) -> Vec<u8> {
    let head = [&words(&[kind, ALG_SHA256])[..], &attributes.to_be_bytes(), &sized(policy)].concat();
    [head, rest.concat()].concat()
}

/// TPMT_SIGNATURE of ECDSA with SHA-256, from `r || s` of 32 bytes each.
pub(super) fn ecdsa_signature(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    [words(&[ALG_ECDSA, ALG_SHA256]), sized(r), sized(s)].concat()
}

/// TPMT_SIGNATURE of RSASSA with SHA-256.
pub(super) fn rsassa_signature(signature: &[u8]) -> Vec<u8> {
    [words(&[ALG_RSASSA, ALG_SHA256]), sized(signature)].concat()
}

/// TPMS_ATTEST.
pub(super) struct Attestation<'a> {
    pub(super) kind: u16,
    /// Qualified Name of the signing key.
    pub(super) signer: &'a [u8],
    /// extraData.
    pub(super) qualifying: &'a [u8],
    pub(super) clock: ClockInfo,
    pub(super) firmware: u64,
    pub(super) body: Vec<u8>,
}

impl Attestation<'_> {
    pub(super) fn marshal(&self) -> Vec<u8> {
        let ClockInfo { clock, reset_count, restart_count, safe } = self.clock;
        [
            &MAGIC.to_be_bytes()[..],
            &self.kind.to_be_bytes(),
            &sized(self.signer),
            &sized(self.qualifying),
            &clock.to_be_bytes(),
            &reset_count.to_be_bytes(),
            &restart_count.to_be_bytes(),
            &[u8::from(safe)],
            &self.firmware.to_be_bytes(),
            &self.body,
        ]
        .concat()
    }
}

/// TPMS_QUOTE_INFO over these values of the SHA-256 bank.
pub(super) fn quote_body(values: &[(u8, [u8; 32])]) -> Vec<u8> {
    let mut bitmap = [0_u8; BITMAP_BYTES as usize];
    let mut digest = Sha256::new();
    for (index, value) in values {
        if let Some(byte) = bitmap.get_mut(usize::from(index / 8)) {
            *byte |= 1 << (index % 8);
        }
        digest.update(value);
    }
    let selection = [&1_u32.to_be_bytes()[..], &words(&[ALG_SHA256]), &[BITMAP_BYTES], &bitmap].concat();
    [selection, sized(&digest.finalize())].concat()
}

/// TPMS_CERTIFY_INFO of an object.
pub(super) fn certify_body(object: &Object) -> Vec<u8> {
    [sized(&object.name), sized(&object.qualified_name)].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A TPM2B. Nothing here is longer than a public area with an RSA-2048 modulus, some 300 bytes.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()[..], bytes].concat()
}
