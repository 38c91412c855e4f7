//! A TPM that lies on request: P-256 keys in memory and marshallers that write whatever they are told.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use flota_attest::public::{Public, QualifiedName};

pub(crate) const SHA1: u16 = 0x0004;
pub(crate) const SHA256_ID: u16 = 0x000b;
pub(crate) const AK_ATTRIBUTES: u32 = 0x0005_0472;
pub(crate) const TLS_ATTRIBUTES: u32 = 0x0004_0472;
pub(crate) const EK_ATTRIBUTES: u32 = 0x0003_00b2;
pub(crate) const QUOTE: u16 = 0x8018;
pub(crate) const CERTIFY: u16 = 0x8017;
pub(crate) const POLICY_A: &str = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";

/// Order of P-256.
pub(crate) const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// A P-256 key pair.
pub(crate) struct SoftKey(EcdsaKeyPair);

impl SoftKey {
    pub(crate) fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn coordinates(&self) -> (Vec<u8>, Vec<u8>) {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        (x.to_vec(), y.to_vec())
    }

    /// `r` and `s` of a signature over SHA-256 of the message.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let signature = self.0.sign(&SystemRandom::new(), message).unwrap();
        let (r, s) = signature.as_ref().split_at(32);
        (r.to_vec(), s.to_vec())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let (r, s) = self.sign_raw(message);
        ecdsa_signature(&r, &s)
    }
}

/// A `TPMT_SIGNATURE` of ECDSA with SHA-256.
pub(crate) fn ecdsa_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    [&[0x00, 0x18, 0x00, 0x0b][..], &tpm2b(r), &tpm2b(s)].concat()
}

/// What goes into an ECC public area; every field may be wrong.
#[derive(Clone)]
pub(crate) struct EccPublic {
    pub(crate) name_alg: u16,
    pub(crate) attributes: u32,
    pub(crate) policy: Vec<u8>,
    pub(crate) symmetric: Vec<u16>,
    pub(crate) scheme: Vec<u16>,
    pub(crate) curve: u16,
    pub(crate) x: Vec<u8>,
    pub(crate) y: Vec<u8>,
}

impl EccPublic {
    /// A signing key with ECDSA-SHA256.
    pub(crate) fn signing(key: &SoftKey, attributes: u32) -> Self {
        let (x, y) = key.coordinates();
        Self {
            name_alg: SHA256_ID,
            attributes,
            policy: Vec::new(),
            symmetric: vec![0x0010],
            scheme: vec![0x0018, SHA256_ID],
            curve: 0x0003,
            x,
            y,
        }
    }

    /// An endorsement key of template L-2.
    pub(crate) fn endorsement(key: &SoftKey) -> Self {
        Self {
            policy: hex::decode(POLICY_A).unwrap(),
            symmetric: vec![0x0006, 128, 0x0043],
            scheme: vec![0x0010],
            ..Self::signing(key, EK_ATTRIBUTES)
        }
    }

    pub(crate) fn marshal(&self) -> Vec<u8> {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        tpm2b(
            &[
                &words(&[0x0023, self.name_alg])[..],
                &self.attributes.to_be_bytes(),
                &tpm2b(&self.policy),
                &words(&self.symmetric),
                &words(&self.scheme),
                &words(&[self.curve, 0x0010]),
                &tpm2b(&self.x),
                &tpm2b(&self.y),
            ]
            .concat(),
        )
    }

    pub(crate) fn parse(&self) -> Public {
        Public::parse_2b(&self.marshal()).unwrap()
    }
}

/// An RSA public area with this modulus.
pub(crate) fn rsa_public(attributes: u32, policy: &[u8], symmetric_scheme: &[u8], modulus: &[u8]) -> Vec<u8> {
    let bits = u16::try_from(modulus.len() * 8).unwrap();
    tpm2b(
        &[
            &[0x00, 0x01, 0x00, 0x0b][..],
            &attributes.to_be_bytes(),
            &tpm2b(policy),
            symmetric_scheme,
            &bits.to_be_bytes(),
            &[0; 4],
            &tpm2b(modulus),
        ]
        .concat(),
    )
}

/// An attestation; every field may be wrong.
#[derive(Clone)]
pub(crate) struct Attestation {
    pub(crate) magic: u32,
    pub(crate) kind: u16,
    pub(crate) signer: Vec<u8>,
    pub(crate) extra_data: Vec<u8>,
    pub(crate) clock: u64,
    pub(crate) reset_count: u32,
    pub(crate) restart_count: u32,
    pub(crate) safe: u8,
    pub(crate) firmware: u64,
    pub(crate) body: Vec<u8>,
}

impl Attestation {
    pub(crate) fn marshal(&self) -> Vec<u8> {
        [
            &self.magic.to_be_bytes()[..],
            &self.kind.to_be_bytes(),
            &tpm2b(&self.signer),
            &tpm2b(&self.extra_data),
            &self.clock.to_be_bytes(),
            &self.reset_count.to_be_bytes(),
            &self.restart_count.to_be_bytes(),
            &[self.safe],
            &self.firmware.to_be_bytes(),
            &self.body,
        ]
        .concat()
    }
}

/// The body of a quote: selections as (bank, bitmap), and the digest of the values.
pub(crate) fn quote_body(selections: &[(u16, &[u8])], values: &[(u8, [u8; 32])]) -> Vec<u8> {
    let mut body = u32::try_from(selections.len()).unwrap().to_be_bytes().to_vec();
    for (bank, bitmap) in selections {
        body.extend(bank.to_be_bytes());
        body.push(u8::try_from(bitmap.len()).unwrap());
        body.extend(*bitmap);
    }
    let concatenated: Vec<u8> = values.iter().flat_map(|(_, value)| *value).collect();
    body.extend(tpm2b(digest(&SHA256, &concatenated).as_ref()));
    body
}

/// The body of a certification.
pub(crate) fn certify_body(name: &[u8], qualified_name: &[u8]) -> Vec<u8> {
    [tpm2b(name), tpm2b(qualified_name)].concat()
}

/// A host's keys: EK, AK under it, TLS key under it.
pub(crate) struct Host {
    pub(crate) ak_key: SoftKey,
    pub(crate) ek: Public,
    pub(crate) ak: Public,
    pub(crate) ak_qn: QualifiedName,
    pub(crate) tls: Public,
    pub(crate) tls_qn: QualifiedName,
}

impl Host {
    pub(crate) fn new() -> Self {
        let ak_key = SoftKey::generate();
        let ek = EccPublic::endorsement(&SoftKey::generate()).parse();
        let ak = EccPublic::signing(&ak_key, AK_ATTRIBUTES).parse();
        let tls = EccPublic::signing(&SoftKey::generate(), TLS_ATTRIBUTES).parse();
        let ek_qn = ek.qualified_name(&QualifiedName::endorsement_root());
        let (ak_qn, tls_qn) = (ak.qualified_name(&ek_qn), tls.qualified_name(&ek_qn));
        Self { ak_key, ek, ak, ak_qn, tls, tls_qn }
    }

    /// A truthful attestation of this host's AK, to be given a body.
    pub(crate) fn attestation(&self, kind: u16, extra_data: [u8; 32], body: Vec<u8>) -> Attestation {
        Attestation {
            magic: 0xff54_4347,
            kind,
            signer: self.ak_qn.as_bytes().to_vec(),
            extra_data: extra_data.to_vec(),
            clock: 100_000,
            reset_count: 7,
            restart_count: 2,
            safe: 1,
            firmware: 0x0001_0002,
            body,
        }
    }
}

pub(crate) fn tpm2b(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
