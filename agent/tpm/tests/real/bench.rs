//! What the tests share: a software TPM with the agent's view of it, and a verifier that shares no code with either.

use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use flota_swtpm::Swtpm;
use flota_tpm::{KeyChoice, Tpm, TpmConfig, TpmError};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tss_esapi::Context;
use tss_esapi::constants::CapabilityType;
use tss_esapi::structures::CapabilityData;
use tss_esapi::tcti_ldr::TctiNameConf;

/// A host with a TPM of its own.
pub(crate) struct Host {
    pub(crate) swtpm: Swtpm,
    pub(crate) dir: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { swtpm: Swtpm::start(&dir.path().join("swtpm")).unwrap(), dir }
    }

    pub(crate) fn config(&self) -> TpmConfig {
        TpmConfig { tcti: self.swtpm.tcti().parse().unwrap(), state_dir: self.dir.path().join("state") }
    }

    pub(crate) fn open(&self) -> Result<Tpm, TpmError> {
        Tpm::open(self.config())
    }

    pub(crate) fn open_choosing(&self, choice: KeyChoice) -> Result<Tpm, TpmError> {
        Tpm::open_choosing(self.config(), choice)
    }

    /// Removes the key file, as an operator does before another enrolment.
    pub(crate) fn forget_keys(&self) {
        std::fs::remove_file(self.config().state_dir.join("tpm-keys.json")).unwrap();
    }

    /// A second client of the TPM, for what only a test would do.
    pub(crate) fn context(&self) -> Context {
        Context::new(self.swtpm.tcti().parse::<TctiNameConf>().unwrap()).unwrap()
    }

    /// Numbers of loaded sessions and of transient objects.
    pub(crate) fn loaded(&self) -> (usize, usize) {
        let mut context = self.context();
        let mut count = |first| match context.get_capability(CapabilityType::Handles, first, 32).unwrap().0 {
            CapabilityData::Handles(handles) => handles.len(),
            other => panic!("asked for handles and got {other:?}"),
        };
        (count(0x0200_0000), count(0x8000_0000))
    }
}

/// Asks again and again until there is an answer; panics with `what` after `bound`.
pub(crate) fn until<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < bound, "waited in vain for {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "the pace of polling a condition; bounded above")]
fn pause() {
    std::thread::sleep(Duration::from_millis(25));
}

/// The message of an error and of its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Panics unless `signature` (TPMT_SIGNATURE) is over `message` by the ECC key `public` (TPM2B_PUBLIC).
pub(crate) fn verify(public: &[u8], message: &[u8], signature: &[u8]) {
    let (algorithms, rest) = signature.split_at(4);
    assert_eq!(algorithms, [0x00, 0x18, 0x00, 0x0B], "ECDSA with SHA-256");
    let (r, rest) = sized(rest);
    let (s, rest) = sized(rest);
    assert!(rest.is_empty());
    let mut fixed = [0; 64];
    fixed[32 - r.len()..32].copy_from_slice(r);
    fixed[64 - s.len()..].copy_from_slice(s);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(public)).verify(message, &fixed).unwrap();
}

/// The uncompressed point at the end of a TPM2B_PUBLIC.
pub(crate) fn point(public: &[u8]) -> Vec<u8> {
    let (_, unique) = public.split_at(public.len() - 68);
    let (x, rest) = sized(unique);
    let (y, _) = sized(rest);
    [&[4], x, y].concat()
}

/// Name of a TPM2B_PUBLIC.
pub(crate) fn name(public: &[u8]) -> Vec<u8> {
    let (area, rest) = sized(public);
    assert!(rest.is_empty());
    [&[0x00, 0x0B], Sha256::digest(area).as_slice()].concat()
}

/// Splits a TPMS_ATTEST into its type, extraData and attested part.
pub(crate) fn parse_attest(attest: &[u8]) -> (u16, &[u8], &[u8]) {
    let (magic, rest) = attest.split_at(4);
    assert_eq!(magic, [0xFF, b'T', b'C', b'G']);
    let (kind, rest) = rest.split_at(2);
    let (_signer, rest) = sized(rest);
    let (extra_data, rest) = sized(rest);
    // clockInfo 17, firmwareVersion 8
    (u16::from_be_bytes([kind[0], kind[1]]), extra_data, &rest[25..])
}

/// Splits off what a 16-bit size precedes.
pub(crate) fn sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (size, rest) = bytes.split_at(2);
    rest.split_at(usize::from(u16::from_be_bytes([size[0], size[1]])))
}
