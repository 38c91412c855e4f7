//! Who this host is in its fleet: id, name and client certificate, as the controller gave them at enrolment.

use std::io;
use std::path::{Path, PathBuf};

use flota_model::{HostId, HostName, Timestamp};
use flota_procedures::durable::{self, WriteError};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const FILE_NAME: &str = "identity.json";
/// Readable by the agent alone. There is no secret in it: the key is elsewhere.
const MODE: u32 = 0o600;

/// An enrolled host's identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// For ever.
    pub host_id: HostId,
    /// Given by an operator.
    pub host_name: HostName,
    /// Client certificate of the TLS key.
    pub certificate: CertificateDer<'static>,
    /// Whether a person has let it in.
    pub approval: Approval,
}

/// A host that was enrolled with a token that asks for it waits until a person approves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// It was not needed, or was given: the controller has treated the host as a member.
    Given,
    /// As far as the host knows.
    Awaited,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub until: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    host_id: HostId,
    host_name: HostName,
    /// DER, hex.
    certificate: String,
    /// Absent in files of members, which is nearly all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaits_approval: bool,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The host was never enrolled.
    #[error(
        "this host is not enrolled: run flota-agent enroll --token-file FILE with a token of flota token create, or without \
         one if the controller knows its TPM"
    )]
    NotEnrolled,
    /// The file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file was damaged or changed.
    #[error("{} is damaged: enrol the host again, without a token if it has a TPM", .0.display())]
    Damaged(PathBuf),
    /// The file cannot be written.
    #[error("keeping the identity")]
    Write(#[from] WriteError),
}

impl Identity {
    /// The identity in the agent's state folder.
    pub fn load(state_dir: &Path) -> Result<Self, IdentityError> {
        let path = state_dir.join(FILE_NAME);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(IdentityError::NotEnrolled),
            Err(source) => return Err(IdentityError::Read { path, source }),
        };
        let parsed = serde_json::from_slice::<Document>(&text).ok().and_then(|document| {
            let certificate = hex::decode(&document.certificate).ok()?;
            Some((document, CertificateDer::from(certificate)))
        });
        let (document, certificate) = parsed.ok_or(IdentityError::Damaged(path))?;
        let Document { host_id, host_name, certificate: _, awaits_approval } = document;
        let approval = if awaits_approval { Approval::Awaited } else { Approval::Given };
        Ok(Self { host_id, host_name, certificate, approval })
    }

    /// Keeps it, whole or not at all.
    pub fn save(&self, state_dir: &Path) -> Result<(), IdentityError> {
        let document = Document {
            host_id: self.host_id.clone(),
            host_name: self.host_name.clone(),
            certificate: hex::encode(&self.certificate),
            awaits_approval: self.approval == Approval::Awaited,
        };
        let document = serde_json::json!(document);
        Ok(durable::write_file(&state_dir.join(FILE_NAME), MODE, format!("{document:#}\n").as_bytes())?)
    }

    /// When its certificate is valid; none if it cannot be read.
    pub fn validity(&self) -> Option<Validity> {
        let (_, certificate) = X509Certificate::from_der(&self.certificate).ok()?;
        let time = |at: x509_parser::time::ASN1Time| Timestamp::from_micros(at.timestamp().saturating_mul(1_000_000));
        let validity = certificate.validity();
        Some(Validity { from: time(validity.not_before), until: time(validity.not_after) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_kept_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Identity::load(dir.path()), Err(IdentityError::NotEnrolled)));
        let identity = Identity {
            host_id: "0123456789abcdef".parse().unwrap(),
            host_name: "fra-bot-07".parse().unwrap(),
            certificate: CertificateDer::from(vec![1, 2, 3]),
            approval: Approval::Given,
        };
        identity.save(dir.path()).unwrap();
        assert_eq!(Identity::load(dir.path()).unwrap().certificate, identity.certificate);
        assert_eq!(Identity::load(dir.path()).unwrap().approval, Approval::Given);
        let waiting = Identity { approval: Approval::Awaited, ..identity };
        waiting.save(dir.path()).unwrap();
        assert_eq!(Identity::load(dir.path()).unwrap().approval, Approval::Awaited);
        std::fs::write(dir.path().join(FILE_NAME), "{").unwrap();
        assert!(matches!(Identity::load(dir.path()), Err(IdentityError::Damaged(_))));
    }
}
