//! The vectors of `tests/golden/exchanges.json`, for the tests of the verifiers.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::signature::ED25519_SPKI;

const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/exchanges.json"));

pub(crate) struct Vector(Value);

pub(crate) fn vector(exchange: &str, name: &str) -> Vector {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    Vector(vectors.into_iter().find(|vector| vector["exchange"] == exchange && vector["name"] == name).unwrap())
}

impl Vector {
    pub(crate) fn input(&self, name: &str) -> Option<&str> {
        self.0["inputs"][name].as_str()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.input(name).unwrap_or_else(|| panic!("the vector has no {name}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0["inputs"]["headers"][name].as_str()
    }

    pub(crate) fn string_to_sign(&self) -> &str {
        self.0["string_to_sign"].as_str().unwrap()
    }

    pub(crate) fn signature(&self) -> &str {
        self.0["expected_signature"].as_str().unwrap()
    }
}

/// The public PEM that belongs to a private Ed25519 key.
pub(crate) fn ed25519_pem(private_pem: &str) -> String {
    let der = PrivatePkcs8KeyDer::from_pem_slice(private_pem.as_bytes()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).unwrap();
    spki_pem(&ED25519_SPKI, pair.public_key().as_ref())
}

pub(crate) fn spki_pem(prefix: &[u8], key: &[u8]) -> String {
    let der = STANDARD.encode([prefix, key].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
}
