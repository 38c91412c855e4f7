//! A TPM 2.0 in memory, as far as a fleet needs one: three keys, PCRs and a clock. It signs real structures, so that a
//! verifier cannot tell it from hardware; and it can be made to misbehave the way hardware and thieves do.
//!
//! The structures are those of the TPM 2.0 Library, Part 2. What a caller sets of the clock is believed, so a test can
//! roll this TPM back, clone it or take its power away.

mod clock;
mod credential;
mod keys;
mod pcrs;
mod structures;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use zeroize::Zeroizing;

pub use clock::ClockInfo;
pub use keys::AkKind;
pub use pcrs::PCRS;

use clock::Clock;
use keys::{AkKey, TlsKey};
pub(crate) use keys::{EndorsementKey, Keys, PrivateKey};
use pcrs::Pcrs;
use structures::{Attestation, Object};

/// Firmware that a new TPM says it has.
pub const FIRMWARE: u64 = 0x0001_0000_0000_0000;

/// A TPM with its endorsement, attestation and TLS keys.
pub struct SoftTpm {
    keys: Keys,
    ek_certificate: Vec<u8>,
    ek: EndorsementKey,
    ek_object: Object,
    ak: AkKey,
    ak_object: Object,
    tls_object: Object,
    state: Mutex<State>,
}

/// What changes while a TPM has power, and when it loses it.
#[derive(Debug)]
struct State {
    clock: Clock,
    pcrs: Pcrs,
    firmware: u64,
}

/// Something that the attestation key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE over it.
    pub signature: Vec<u8>,
}

/// A quote with the values that it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What was signed.
    pub signed: Signed,
    /// Index and value of every quoted PCR, ascending.
    pub pcr_values: Vec<(u8, [u8; 32])>,
}

/// Why a TPM does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SoftTpmError {
    /// The crypto library failed.
    #[error("{0} with the simulated TPM")]
    Crypto(&'static str),
    /// A key file holds no key of its kind.
    #[error("reading {0} of the simulated TPM: it is no PKCS#8 document of such a key")]
    Key(&'static str),
    /// The credential was made for another endorsement key or another attestation key, or was changed.
    #[error("activating a credential: integrity check failed")]
    Integrity,
    /// There are 24 of them.
    #[error("the simulated TPM has no PCR {0}")]
    NoSuchPcr(u8),
}

impl SoftTpm {
    /// A TPM of these keys, which has just been powered on.
    pub(crate) fn new(keys: Keys, ek_certificate: Vec<u8>) -> Result<Self, SoftTpmError> {
        let (ek, ak, tls) = (EndorsementKey::read(&keys.ek)?, AkKey::read(&keys.ak)?, TlsKey::read(&keys.tls)?);
        let ek_object = Object::primary(&structures::ek_public(ek.modulus()?));
        let ak_object = Object::child(&ak.public()?, &ek_object);
        let tls_object = Object::child(&tls.public()?, &ek_object);
        let state = State { clock: Clock::start(), pcrs: Pcrs::default(), firmware: FIRMWARE };
        Ok(Self { keys, ek_certificate, ek, ek_object, ak, ak_object, tls_object, state: Mutex::new(state) })
    }

    /// Certificate of the endorsement key, DER.
    pub fn ek_certificate(&self) -> &[u8] {
        &self.ek_certificate
    }

    /// TPM2B_PUBLIC of the endorsement key: RSA-2048 of template L-1.
    pub fn ek_public(&self) -> &[u8] {
        &self.ek_object.public
    }

    /// TPM2B_PUBLIC of the attestation key.
    pub fn ak_public(&self) -> &[u8] {
        &self.ak_object.public
    }

    /// Name of the attestation key.
    pub fn ak_name(&self) -> &[u8] {
        &self.ak_object.name
    }

    /// Qualified Name of the attestation key.
    pub fn ak_qualified_name(&self) -> &[u8] {
        &self.ak_object.qualified_name
    }

    /// TPM2B_PUBLIC of the TLS key: P-256.
    pub fn tls_public(&self) -> &[u8] {
        &self.tls_object.public
    }

    /// The TLS key for a handshake.
    pub fn tls_signing_key(&self) -> Result<std::sync::Arc<dyn SigningKey>, SoftTpmError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.keys.tls.der()));
        rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&key).map_err(|_| SoftTpmError::Key("the TLS key"))
    }

    /// A certificate request over the TLS key, DER.
    pub fn certificate_request(&self) -> Result<Vec<u8>, SoftTpmError> {
        let key = KeyPair::try_from(self.keys.tls.der()).map_err(|_| SoftTpmError::Key("the TLS key"))?;
        let request = CertificateParams::default().serialize_request(&key);
        Ok(request.map_err(|_| SoftTpmError::Crypto("making a certificate request"))?.der().to_vec())
    }

    /// Opens a credential: the contents of TPM2B_ID_OBJECT and of TPM2B_ENCRYPTED_SECRET, without the outer sizes.
    pub fn activate_credential(&self, blob: &[u8], encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, SoftTpmError> {
        credential::activate(&self.ek, &self.ak_object.name, blob, encrypted)
    }

    /// The attestation key certifies the TLS key.
    pub fn certify_tls_key(&self, qualifying: [u8; 32]) -> Result<Signed, SoftTpmError> {
        let body = structures::certify_body(&self.tls_object);
        let attest = self.attestation(&mut self.lock(), structures::CERTIFY, &qualifying, body);
        self.sign(attest)
    }

    /// A quote over these PCRs of the SHA-256 bank; their order does not matter, each counts once.
    pub fn quote(&self, qualifying: [u8; 32], indices: &[u8]) -> Result<Quote, SoftTpmError> {
        let (attest, pcr_values) = {
            let mut state = self.lock();
            let pcr_values = state.pcrs.select(indices)?;
            let body = structures::quote_body(&pcr_values);
            (self.attestation(&mut state, structures::QUOTE, &qualifying, body), pcr_values)
        };
        Ok(Quote { signed: self.sign(attest)?, pcr_values })
    }

    /// Extends a PCR.
    pub fn extend(&self, index: u8, digest: [u8; 32]) -> Result<(), SoftTpmError> {
        self.lock().pcrs.extend(index, digest)
    }

    /// Clock and counters now.
    pub fn clock_info(&self) -> ClockInfo {
        self.lock().clock.now()
    }

    /// Clock and counters as if they had been so all along: an older state is a rollback, another TPM's is a clone.
    pub fn set_clock_info(&self, info: ClockInfo) {
        self.lock().clock.set(info);
    }

    /// The clock goes back within the same boot, which no TPM does.
    pub fn turn_clock_back(&self, by: Duration) {
        let mut state = self.lock();
        let now = state.clock.now();
        state.clock.set(ClockInfo { clock: now.clock.saturating_sub(clock::milliseconds(by)), ..now });
    }

    /// The clock goes ahead within the same boot: that of another TPM with the same keys, say.
    pub fn turn_clock_ahead(&self, by: Duration) {
        let mut state = self.lock();
        let now = state.clock.now();
        state.clock.set(ClockInfo { clock: now.clock.saturating_add(clock::milliseconds(by)), ..now });
    }

    /// An orderly reboot: one reset more, and PCRs as at power-on.
    pub fn reboot(&self) {
        let mut state = self.lock();
        let now = state.clock.now();
        state.clock.set(ClockInfo { reset_count: now.reset_count.saturating_add(1), restart_count: 0, ..now });
        state.pcrs = Pcrs::default();
    }

    /// Power is cut and comes back: a reboot after which the clock stands up to `lost` earlier and is not safe.
    pub fn lose_power(&self, lost: Duration) {
        self.reboot();
        self.turn_clock_back(lost);
        let mut state = self.lock();
        let now = state.clock.now();
        state.clock.set(ClockInfo { safe: false, ..now });
    }

    /// Another firmware, from the next attestation on.
    pub fn set_firmware(&self, firmware: u64) {
        self.lock().firmware = firmware;
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn attestation(&self, state: &mut State, kind: u16, qualifying: &[u8], body: Vec<u8>) -> Vec<u8> {
        let signer = &self.ak_object.qualified_name;
        let (clock, firmware) = (state.clock.stamp(), state.firmware);
        Attestation { kind, signer, qualifying, clock, firmware, body }.marshal()
    }

    /// Outside the lock: an RSA signature takes a millisecond.
    fn sign(&self, attest: Vec<u8>) -> Result<Signed, SoftTpmError> {
        Ok(Signed { signature: self.ak.sign(&attest)?, attest })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment, so a panic elsewhere leaves a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SoftTpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftTpm").field("state", &self.lock()).finish_non_exhaustive()
    }
}
