//! A receipt of this host's newest update, signed with the key behind its certificate.

use flota_engine::{State, report};
use flota_model::receipt::{Receipt, SealedReceipt};
use flota_model::{Digest, RolloutId, Timestamp};
use rustls::SignatureScheme;

use crate::host_key::{HostKey, HostKeyError};
use crate::identity::{Identity, IdentityError};
use crate::settings::Settings;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// A host that is in no fleet has nobody to give one to.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The key.
    #[error(transparent)]
    Key(#[from] HostKeyError),
    /// The key does not sign.
    #[error("signing the receipt")]
    Sign(#[source] rustls::Error),
    /// A fault of the program.
    #[error("encoding the receipt")]
    Encode(#[source] serde_json::Error),
    /// A fault of the program: the host's key is P-256 always.
    #[error("the host's key is of another kind")]
    Kind,
}

/// Signs where the host stands; `export` is that of the security export before it, if it is known.
pub async fn seal(settings: &Settings, state: &State, export: Option<Digest>) -> Result<SealedReceipt, ReceiptError> {
    let identity = Identity::load(&settings.state_dir)?;
    let receipt = Receipt {
        host: identity.host_id,
        made_at: Timestamp::from_micros(flota_daemon::present()),
        report: report(state),
        rollout: state.accepted().map_or(RolloutId::ON_THE_HOST, |desired| desired.rollout),
        export,
    };
    let receipt = serde_json::to_string(&receipt).map_err(ReceiptError::Encode)?;
    let key = HostKey::open(settings).await?.signing();
    let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).ok_or(ReceiptError::Kind)?;
    let public_key = hex::encode(key.public_key().ok_or(ReceiptError::Kind)?);
    let signature = signer.sign(&SealedReceipt::message(&receipt)).map_err(ReceiptError::Sign)?;
    Ok(SealedReceipt { receipt, public_key, signature: hex::encode(signature) })
}
