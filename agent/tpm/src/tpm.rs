//! The handle that the agent holds.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::commands::{self, PcrSet};
use crate::owner::Owner;
use crate::{ActivatedSecret, Attestation, Identity, KeyChoice, Quote, Tcti, TlsKey, TpmError};

/// Which TPM, and where its wrapped keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmConfig {
    /// Way to the TPM.
    pub tcti: Tcti,
    /// Folder of `tpm-keys.json`; created with mode 0700 if absent. One agent, one folder.
    pub state_dir: PathBuf,
}

/// The host's TPM, opened. Clones share one connection; the last one dropped closes it.
///
/// Every method blocks until the TPM has answered, 20 s at most. When the connection breaks, or the TPM is reset, the
/// next call makes a new one and loads the keys again.
#[derive(Clone)]
pub struct Tpm(Arc<Shared>);

struct Shared {
    owner: Arc<Owner>,
    identity: Identity,
    tls_key: Arc<TlsKey>,
}

impl Tpm {
    /// Connects to the TPM and loads the attestation and TLS keys of the state folder, or makes and stores them if
    /// there are none. Blocks for up to 60 s (a hardware TPM may have to make its endorsement key first).
    ///
    /// # Errors
    /// Says what to do in each case; see [`TpmError`]. Keys are never replaced silently: a host whose keys the TPM
    /// refuses stays unenrolled until someone removes the file.
    pub fn open(config: TpmConfig) -> Result<Self, TpmError> {
        Self::open_choosing(config, KeyChoice::default())
    }

    /// The same with keys of the kinds that the settings choose.
    ///
    /// # Errors
    /// Also when there are keys already and they are of other kinds.
    pub fn open_choosing(config: TpmConfig, choice: KeyChoice) -> Result<Self, TpmError> {
        let (owner, identity) = Owner::start(config, choice)?;
        let owner = Arc::new(owner);
        let tls_key = Arc::new(TlsKey::new(Arc::clone(&owner), &identity.tls_public)?);
        Ok(Self(Arc::new(Shared { owner, identity, tls_key })))
    }

    /// Who the TPM is. Read when it was opened.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Opens a credential (TPM2_ActivateCredential): proof that the attestation key is in the TPM of the endorsement
    /// certificate. Both arguments without the size of their TPM2B.
    pub fn activate_credential(
        &self,
        credential_blob: &[u8],
        encrypted_secret: &[u8],
    ) -> Result<ActivatedSecret, TpmError> {
        let (blob, secret) = (credential_blob.to_vec(), encrypted_secret.to_vec());
        self.0.owner.call("activating a credential", move |device| {
            device.run(|connection| commands::activate(connection, &blob, &secret))
        })
    }

    /// The attestation key's word that the TLS key is in the same TPM (TPM2_Certify). `qualifying` becomes
    /// TPMS_ATTEST.extraData.
    pub fn certify_tls_key(&self, qualifying: [u8; 32]) -> Result<Attestation, TpmError> {
        self.0.owner.call("certifying the TLS key", move |device| {
            device.run(|connection| commands::certify_tls_key(connection, qualifying))
        })
    }

    /// Quotes the PCRs of the SHA-256 bank (TPM2_Quote), in any order, repetitions ignored. `qualifying` becomes
    /// TPMS_ATTEST.extraData. The values returned are those that the quote is over.
    pub fn quote(&self, qualifying: [u8; 32], pcrs: &[u8]) -> Result<Quote, TpmError> {
        let pcrs = PcrSet::try_from(pcrs)?;
        self.0
            .owner
            .call("quoting PCRs", move |device| device.run(|connection| commands::quote(connection, qualifying, &pcrs)))
    }

    /// The TLS key, for rustls and for certificate requests. It keeps the TPM open.
    pub fn tls_key(&self) -> Arc<TlsKey> {
        Arc::clone(&self.0.tls_key)
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tpm").field("manufacturer", &self.0.identity.manufacturer).finish_non_exhaustive()
    }
}
