//! The key behind the host's certificate: in its TPM, or in a file on a host that has none.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use flota_net::tls;
use flota_procedures::private_file::{self, PrivateFileError};
use flota_tpm::{Tpm, TpmConfig, TpmError};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::sign::SigningKey;

use crate::settings::{Settings, TpmSettings};

/// The key of a host without a TPM, in the state folder: PKCS#8, PEM.
const FILE_NAME: &str = "tls-key.pem";
/// Longest key file, in bytes; a P-256 key has 241.
const MAX_KEY_BYTES: u64 = 4096;

/// The TLS key.
#[derive(Debug, Clone)]
pub enum HostKey {
    /// Whoever uses the certificate has the machine.
    Tpm(Tpm),
    /// Whoever has the file has the identity.
    File(FileKey),
}

/// A P-256 key in memory. Absent from `Debug`.
#[derive(Clone)]
pub struct FileKey {
    pair: Arc<KeyPair>,
    signing: Arc<dyn SigningKey>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// A host with a TPM does not say where it is.
    #[error("no TPM is set up: set [tpm] tcti in the settings, or mode = \"none\" on a host that has none")]
    NoTcti,
    /// `mode = "none"`, and a TPM is needed.
    #[error("this host has no TPM, by [tpm] mode = \"none\" in the settings")]
    NoTpm,
    /// The TPM.
    #[error("asking the TPM")]
    Tpm(#[from] TpmError),
    /// The host was enrolled with a key that is gone.
    #[error("there is no TLS key {}: restore it, or enrol the host with a new token", .0.display())]
    NoFile(PathBuf),
    /// The file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds something else.
    #[error("{} is not a P-256 key: restore it, or remove it and enrol the host with a new token", .0.display())]
    Damaged(PathBuf),
    /// A key could not be made.
    #[error("making a TLS key")]
    Make(#[source] rcgen::Error),
    /// The certificate request.
    #[error("making the certificate request")]
    Request(#[source] rcgen::Error),
    /// A task of the agent ended early.
    #[error("the agent's own task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// Opens the TPM of the settings. Blocks for at most a minute, on a thread of its own.
pub async fn open_tpm(settings: &Settings) -> Result<Tpm, HostKeyError> {
    let TpmSettings::Required(access) = &settings.tpm else { return Err(HostKeyError::NoTpm) };
    let tcti = access.tcti.clone().ok_or(HostKeyError::NoTcti)?;
    let (config, choice) = (TpmConfig { tcti, state_dir: settings.state_dir.clone() }, access.keys);
    Ok(tokio::task::spawn_blocking(move || Tpm::open_choosing(config, choice)).await??)
}

impl HostKey {
    /// The key that the host was enrolled with.
    pub async fn open(settings: &Settings) -> Result<Self, HostKeyError> {
        match settings.tpm {
            TpmSettings::Required(_) => Ok(Self::Tpm(open_tpm(settings).await?)),
            TpmSettings::Absent => FileKey::open(settings).map(Self::File),
        }
    }

    /// The same for a host that may not be enrolled yet: where there is no key, one is made.
    pub async fn open_or_make(settings: &Settings) -> Result<Self, HostKeyError> {
        match settings.tpm {
            TpmSettings::Required(_) => Ok(Self::Tpm(open_tpm(settings).await?)),
            TpmSettings::Absent => FileKey::open_or_make(settings).map(Self::File),
        }
    }

    /// For rustls.
    pub fn signing(&self) -> Arc<dyn SigningKey> {
        match self {
            Self::Tpm(tpm) => tpm.tls_key(),
            Self::File(file) => Arc::clone(&file.signing),
        }
    }

    /// A certificate request over the key, signed by it.
    pub fn certificate_request(&self) -> Result<Vec<u8>, HostKeyError> {
        let request = match self {
            Self::Tpm(tpm) => CertificateParams::default().serialize_request(&*tpm.tls_key()),
            Self::File(file) => CertificateParams::default().serialize_request(&*file.pair),
        };
        Ok(request.map_err(HostKeyError::Request)?.der().to_vec())
    }

    /// Where it is, for people.
    pub fn residence(&self) -> &'static str {
        match self {
            Self::Tpm(_) => "TPM",
            Self::File(_) => "file (no TPM)",
        }
    }
}

impl FileKey {
    fn path(settings: &Settings) -> PathBuf {
        settings.state_dir.join(FILE_NAME)
    }

    fn open(settings: &Settings) -> Result<Self, HostKeyError> {
        let path = Self::path(settings);
        let pem = private_file::read(&path, MAX_KEY_BYTES)?.ok_or_else(|| HostKeyError::NoFile(path.clone()))?;
        Self::parse(&pem).ok_or(HostKeyError::Damaged(path))
    }

    fn open_or_make(settings: &Settings) -> Result<Self, HostKeyError> {
        let path = Self::path(settings);
        let pem = if let Some(pem) = private_file::read(&path, MAX_KEY_BYTES)? {
            pem
        } else {
            let made = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(HostKeyError::Make)?;
            let pem = zeroize::Zeroizing::new(made.serialize_pem());
            private_file::create_or_read(&path, pem.as_bytes(), MAX_KEY_BYTES)?
        };
        Self::parse(&pem).ok_or(HostKeyError::Damaged(path))
    }

    fn parse(pem: &[u8]) -> Option<Self> {
        let pair = KeyPair::from_pem(std::str::from_utf8(pem).ok()?).ok()?;
        let signing = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&tls::private_key(pem).ok()?).ok()?;
        let is_p256 = pair.algorithm() == &PKCS_ECDSA_P256_SHA256;
        is_p256.then(|| Self { pair: Arc::new(pair), signing })
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(P-256)")
    }
}
