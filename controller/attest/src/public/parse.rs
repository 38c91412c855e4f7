//! The bytes of a `TPM2B_PUBLIC`, field by field.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};

use super::{Attributes, Curve, MAX_PUBLIC_BYTES, Name, Public, PublicKey, RSA_EXPONENT, Scheme, Symmetric};
use crate::hash::{HashAlg, NameAlg};
use crate::wire::{Reader, WireError};

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_NULL: u16 = 0x0010;
const ALG_RSASSA: u16 = 0x0014;
const ALG_RSAPSS: u16 = 0x0016;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;
const CURVE_P384: u16 = 0x0004;

/// Largest digest of any hash a TPM names (SHA-512), in bytes.
const MAX_DIGEST_BYTES: usize = 64;
/// Largest RSA modulus accepted, in bytes: RSA-4096.
const MAX_MODULUS_BYTES: usize = 512;
/// 65537, big-endian, as the crypto library takes it.
const RSA_EXPONENT_BYTES: &[u8] = &[1, 0, 1];

const STRUCTURE: &str = "TPM2B_PUBLIC";

pub(super) fn parse_2b(bytes: &[u8]) -> Result<Public, WireError> {
    let mut outer = Reader::new(STRUCTURE, bytes);
    let tpmt = outer.sized("publicArea", MAX_PUBLIC_BYTES)?;
    outer.finish()?;
    parse_tpmt(tpmt)
}

fn parse_tpmt(tpmt: &[u8]) -> Result<Public, WireError> {
    let mut r = Reader::new(STRUCTURE, tpmt);
    let kind = r.u16("type")?;
    let name_alg = name_alg(&mut r)?;
    let attributes = Attributes::from_bits(r.u32("objectAttributes")?);
    let auth_policy = r.sized("authPolicy", MAX_DIGEST_BYTES)?.to_vec();
    if !auth_policy.is_empty() && auth_policy.len() != name_alg.size() {
        return Err(r.inconsistent("authPolicy"));
    }
    if kind != ALG_RSA && kind != ALG_ECC {
        return Err(r.unsupported("type", kind));
    }
    let symmetric = symmetric(&mut r)?;
    let scheme = scheme(&mut r)?;
    let (key, verifier) = if kind == ALG_RSA { rsa_key(&mut r)? } else { ecc_key(&mut r)? };
    let spki_der = spki(&verifier).ok_or(r.inconsistent("unique"))?;
    r.finish()?;

    let name = Name::of(name_alg, tpmt);
    Ok(Public {
        tpmt: tpmt.to_vec(),
        name_alg,
        name,
        attributes,
        auth_policy,
        symmetric,
        scheme,
        key,
        verifier,
        spki_der,
    })
}

fn name_alg(r: &mut Reader<'_>) -> Result<NameAlg, WireError> {
    let id = r.u16("nameAlg")?;
    HashAlg::from_id(id).and_then(|hash| NameAlg::try_from(hash).ok()).ok_or_else(|| r.unsupported("nameAlg", id))
}

fn symmetric(r: &mut Reader<'_>) -> Result<Symmetric, WireError> {
    match r.u16("symmetric")? {
        ALG_NULL => return Ok(Symmetric::Null),
        ALG_AES => {}
        other => return Err(r.unsupported("symmetric", other)),
    }
    let symmetric = match r.u16("symmetric.keyBits")? {
        128 => Symmetric::Aes128Cfb,
        256 => Symmetric::Aes256Cfb,
        other => return Err(r.unsupported("symmetric.keyBits", other)),
    };
    match r.u16("symmetric.mode")? {
        ALG_CFB => Ok(symmetric),
        other => Err(r.unsupported("symmetric.mode", other)),
    }
}

fn scheme(r: &mut Reader<'_>) -> Result<Scheme, WireError> {
    let with_hash: fn(HashAlg) -> Scheme = match r.u16("scheme")? {
        ALG_NULL => return Ok(Scheme::Null),
        ALG_RSASSA => Scheme::RsaSsa,
        ALG_RSAPSS => Scheme::RsaPss,
        ALG_ECDSA => Scheme::Ecdsa,
        other => return Err(r.unsupported("scheme", other)),
    };
    let hash = r.u16("scheme.hashAlg")?;
    HashAlg::from_id(hash).map(with_hash).ok_or_else(|| r.unsupported("scheme.hashAlg", hash))
}

fn rsa_key(r: &mut Reader<'_>) -> Result<(PublicKey, ParsedPublicKey), WireError> {
    let key_bits = r.u16("keyBits")?;
    if !matches!(key_bits, 1024 | 2048 | 3072 | 4096) {
        return Err(r.unsupported("keyBits", key_bits));
    }
    let exponent = r.u32("exponent")?;
    if exponent != 0 && exponent != RSA_EXPONENT {
        return Err(r.unsupported("exponent", exponent));
    }
    let modulus = r.sized("unique", MAX_MODULUS_BYTES)?;
    let top_bit_set = modulus.first().is_some_and(|byte| byte & 0x80 != 0);
    let odd = modulus.last().is_some_and(|byte| byte & 1 == 1);
    if modulus.len() != usize::from(key_bits / 8) || !top_bit_set || !odd {
        return Err(r.inconsistent("unique"));
    }
    let verifier = RsaPublicKeyComponents { n: modulus, e: RSA_EXPONENT_BYTES }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| r.inconsistent("unique"))?;
    Ok((PublicKey::Rsa { modulus: modulus.to_vec() }, verifier))
}

fn ecc_key(r: &mut Reader<'_>) -> Result<(PublicKey, ParsedPublicKey), WireError> {
    let (curve, algorithm) = match r.u16("curveID")? {
        CURVE_P256 => (Curve::P256, &ECDSA_P256_SHA256_FIXED),
        CURVE_P384 => (Curve::P384, &ECDSA_P384_SHA384_FIXED),
        other => return Err(r.unsupported("curveID", other)),
    };
    match r.u16("kdf")? {
        ALG_NULL => {}
        other => return Err(r.unsupported("kdf", other)),
    }
    let x = padded(r.sized("unique.x", curve.coordinate_bytes())?, curve);
    let y = padded(r.sized("unique.y", curve.coordinate_bytes())?, curve);
    // The crypto library refuses a point off the curve and the point at infinity.
    let verifier =
        ParsedPublicKey::new(algorithm, PublicKey::sec1_point(&x, &y)).map_err(|_| r.inconsistent("unique"))?;
    Ok((PublicKey::Ecc { curve, x, y }, verifier))
}

/// Some TPMs strip the leading zeros of a coordinate and some do not.
fn padded(coordinate: &[u8], curve: Curve) -> Vec<u8> {
    let mut padded = vec![0; curve.coordinate_bytes().saturating_sub(coordinate.len())];
    padded.extend_from_slice(coordinate);
    padded
}

fn spki(verifier: &ParsedPublicKey) -> Option<Vec<u8>> {
    let der: PublicKeyX509Der<'_> = verifier.as_der().ok()?;
    Some(der.as_ref().to_vec())
}
