//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use flota_model::{Digest, HostId, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::ca::SCHEME;

/// Bits of an IPv6 address that name a network (RFC 4291 §2.5.1).
const IPV6_NETWORK: u128 = !0 << 64;

/// The other end of a connection: its certificate, if the listener asks for one, and keying material of the connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its certificate, verified against the fleet CA; none on the Enrollment listener.
    pub certificate: Option<PeerCertificate>,
    /// TLS exporter of this connection, which evidence is bound to.
    pub exporter: [u8; flota_seal::binding::EXPORTER_BYTES],
    /// Where it comes from, for limits.
    pub address: IpAddr,
}

/// A verified client certificate.
#[derive(Debug, Clone)]
pub struct PeerCertificate {
    /// SHA-256 of its DER.
    pub digest: Digest,
    /// Whom it names.
    pub identity: Identity,
    /// SubjectPublicKeyInfo, DER: a renewal keeps the key.
    pub public_key: Arc<[u8]>,
    /// When it ends. The handshake checked it; a connection may outlive it.
    pub not_after: Timestamp,
}

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// `flota://host/<id>`
    Host(HostId),
    /// `flota://operator/<name>`
    Operator(String),
}

/// A certificate of our CA that names nobody we know how to read: a bug, or a CA used for something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the client certificate must name exactly one flota://host/… or flota://operator/…")]
pub struct NoIdentity;

impl PeerCertificate {
    /// Reads a certificate that rustls has verified.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, NoIdentity> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| NoIdentity)?;
        let names = certificate.subject_alternative_name().ok().flatten().ok_or(NoIdentity)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else { return Err(NoIdentity) };
        Ok(Self {
            digest: Digest::of(der),
            identity: identity(uri)?,
            public_key: certificate.tbs_certificate.subject_pki.raw.into(),
            not_after: Timestamp::from_micros(certificate.validity().not_after.timestamp().saturating_mul(1_000_000)),
        })
    }
}

fn identity(uri: &str) -> Result<Identity, NoIdentity> {
    let rest = uri.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix("://")).ok_or(NoIdentity)?;
    match rest.split_once('/') {
        Some(("host", id)) => id.parse().map(Identity::Host).map_err(|_| NoIdentity),
        Some(("operator", name)) if is_operator_name(name) => Ok(Identity::Operator(name.to_owned())),
        _ => Err(NoIdentity),
    }
}

/// What counts as one address: an IPv4 address, or the network of an IPv6 address, within which a host chooses its address
/// as it likes.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Whether an operator can have this name: it appears in certificates, file names and the audit log.
pub fn is_operator_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_uris_name_somebody() {
        assert_eq!(identity("flota://operator/anna"), Ok(Identity::Operator("anna".into())));
        assert!(matches!(identity("flota://host/0123456789abcdef"), Ok(Identity::Host(_))));
        for bad in ["flota://host/x", "https://host/0123456789abcdef", "flota://operator/", "flota://operator/a/b"] {
            assert_eq!(identity(bad), Err(NoIdentity), "{bad}");
        }
    }
}
