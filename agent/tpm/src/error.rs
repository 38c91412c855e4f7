//! What can go wrong with a TPM, and what to do about it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::response::{Meaning, ResponseCode};
use crate::{EndorsementKind, Tcti};

/// Failure to open or use the host's TPM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The device exists and this process may not open it. A fault of the installation.
    #[error("opening {}: not permitted; add the service's user to group tss and restart the service", device.display())]
    Permission {
        /// The device file.
        device: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another program has the device open, and the device serves one at a time. A fault of the configuration.
    #[error(
        "opening {}: another program has it open, and it serves one at a time; use /dev/tpmrm0, which the kernel shares \
         between programs", device.display()
    )]
    DeviceBusy {
        /// The device file.
        device: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Nothing answers where the TPM should be: wrong configuration, a disabled TPM, a software TPM not running.
    #[error("connecting to the TPM at {tcti}; check that it is enabled in the firmware, or that swtpm runs")]
    Unreachable {
        /// Where the TPM should be.
        tcti: Tcti,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The TPM has other work, or too many requests wait for it. Try again.
    #[error("{doing}: the TPM is busy; try again")]
    Busy {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The TPM's answer, if the request came so far.
        #[source]
        source: Option<ResponseCode>,
    },
    /// The TPM has failed, and answers every command so until it loses power.
    #[error(
        "{doing}: the TPM reports a failure of its own; switch the host off and on, for a restart may not reset the TPM, \
         and replace the TPM if it happens again"
    )]
    FailureMode {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// Every slot for loaded objects or sessions is taken. Not by our keys alone: they leave one free.
    #[error(
        "{doing}: the TPM has no room for another key or session because another program keeps it full; use \
         /dev/tpmrm0, which the kernel shares between programs, or restart the host"
    )]
    NoRoom {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// The TPM refuses authorisations after too many wrong ones. Not caused by our keys, which are exempt.
    #[error(
        "{doing}: the TPM is locked after wrong authorisations by another program; wait for its recovery time, or \
         reset with tpm2_dictionarylockout --clear-lockout"
    )]
    Lockout {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// The endorsement hierarchy has a password, without which the EK cannot be used. Our own keys have none.
    #[error(
        "{doing}: the TPM's endorsement hierarchy has a password; clear it with tpm2_changeauth -c endorsement -p OLD \
         and restart the agent"
    )]
    EndorsementPassword {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// No endorsement certificate at any NV index that was looked at.
    #[error(
        "reading the endorsement certificate: the TPM holds none{}; update the TPM's firmware, or ask the vendor how \
         this model is provisioned", for_kind(*kind)
    )]
    NoEndorsementCertificate {
        /// The only kind of key that was looked for, if it was one.
        kind: Option<EndorsementKind>,
    },
    /// An endorsement certificate is not of the key that this TPM makes.
    #[error(
        "reading the endorsement certificate{}: {reason}; the TPM is not provisioned as its vendor meant",
        for_kind(Some(*kind))
    )]
    EndorsementCertificate {
        /// Of which kind of key it should be.
        kind: EndorsementKind,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The TPM has no ECDSA on P-256, and the controller takes no other TLS key.
    #[error("this TPM has no ECDSA on P-256, which the fleet cannot do without")]
    NoP256 {
        /// The TPM's refusal.
        #[source]
        source: Box<TpmError>,
    },
    /// The settings choose another kind of key than the key file holds.
    #[error(
        "loading the keys of {}: the settings choose {chosen}, and these were made with {kept}; take the choice back, or \
         remove the file and enrol the host again", path.display()
    )]
    OtherChoice {
        /// The key file.
        path: PathBuf,
        /// What the settings choose.
        chosen: String,
        /// What the file holds.
        kept: String,
    },
    /// The key file is of another TPM: a replaced board, a cleared TPM, or a copied disk.
    #[error(
        "loading the keys of {}: they belong to another TPM; if this host's TPM was replaced or cleared, remove the \
         file and enrol the host again", path.display()
    )]
    OtherTpm {
        /// The key file.
        path: PathBuf,
    },
    /// The TPM at this place is no longer the one that was opened.
    #[error("reconnecting to {tcti}: another TPM answers there; restart the agent if this is meant")]
    Exchanged {
        /// Where the TPM is.
        tcti: Tcti,
    },
    /// The key file is of this TPM but was damaged or altered.
    #[error(
        "loading the keys of {}: the TPM refuses them as damaged or altered; restore the file, or remove it and enrol \
         the host again", path.display()
    )]
    KeysRefused {
        /// The key file.
        path: PathBuf,
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// The key file cannot be read or written.
    #[error("{doing} {}", path.display())]
    KeyFile {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The key file is not what this version writes.
    #[error(
        "parsing {}: it is damaged or of another version; restore the file, or remove it and enrol the host again",
        path.display()
    )]
    KeyFileFormat {
        /// The key file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The credential was made for another key or TPM, or was altered on the way. The fault of who made it.
    #[error("activating a credential: it was not made for this TPM's attestation key, or was altered")]
    CredentialRefused {
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// A selection of PCRs that cannot be quoted. The fault of who asked.
    #[error("quoting PCRs: {reason}")]
    Selection {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The TPM keeps no SHA-256 bank.
    #[error("reading PCRs: the TPM has no SHA-256 bank for them; allocate it in the firmware's settings")]
    NoSha256Bank,
    /// PCRs were extended between reading and quoting, again and again.
    #[error("quoting PCRs: their values changed during each of {attempts} attempts; try again")]
    PcrsChanging {
        /// Number of attempts made.
        attempts: u8,
    },
    /// The TPM refused for a reason that the agent has no answer to.
    #[error("{doing}")]
    Command {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The TPM's answer.
        #[source]
        source: ResponseCode,
    },
    /// The TPM answered with something else than was asked for.
    #[error("{doing}: the TPM answered with something else than was asked for")]
    Unexpected {
        /// What was being done, as a participle.
        doing: &'static str,
    },
    /// No answer in time. The TPM may still be at work; later requests wait behind it.
    #[error("{doing}: no answer from the TPM within {seconds} s; if this lasts, restart the host")]
    Deadline {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// The thread that owns the TPM could not be started.
    #[error("starting the thread that owns the TPM")]
    Thread {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The thread that owns the TPM has ended, which only a defect can bring about.
    #[error("{doing}: the thread that owns the TPM has ended; restart the agent and report the defect")]
    Ended {
        /// What was being done, as a participle.
        doing: &'static str,
    },
}

impl TpmError {
    /// A closure for `map_err` after a call of libtss2.
    pub(crate) fn command(doing: &'static str) -> impl FnOnce(tss_esapi::Error) -> Self {
        move |error| Self::answered(doing, error.into())
    }

    /// What an answer means, where it means something.
    fn answered(doing: &'static str, source: ResponseCode) -> Self {
        match source.meaning() {
            Meaning::Lockout => Self::Lockout { doing, source },
            Meaning::Busy => Self::Busy { doing, source: Some(source) },
            Meaning::NoRoom => Self::NoRoom { doing, source },
            Meaning::Failure => Self::FailureMode { doing, source },
            Meaning::WrongPassword => Self::EndorsementPassword { doing, source },
            _ => Self::Command { doing, source },
        }
    }

    /// A closure for `map_err` that names the file.
    pub(crate) fn key_file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::KeyFile { doing, path: path.to_path_buf(), source }
    }

    /// The refusal behind this error, if it was the TPM's and is not already understood.
    pub(crate) fn refusal(&self) -> Option<ResponseCode> {
        match self {
            Self::Command { source, .. } => Some(*source),
            _ => None,
        }
    }

    /// Whether the TPM refused the parameters of a key that it was to make: it does not have such keys.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.refusal().is_some_and(|code| code.meaning() == Meaning::Other && code.concerns_parameter())
    }

    /// Whether a new connection may succeed where this one failed.
    pub(crate) fn is_connection_lost(&self) -> bool {
        self.refusal().is_some_and(|code| code.meaning() == Meaning::ConnectionLost)
    }
}

fn for_kind(kind: Option<EndorsementKind>) -> String {
    kind.map(|kind| format!(" for an endorsement key of kind {kind}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u32) -> TpmError {
        TpmError::answered("quoting PCRs", ResponseCode::of(code))
    }

    #[test]
    fn a_locked_tpm_is_named_with_its_remedy() {
        for code in [0x921, 0x000B_0921] {
            let error = answered(code);
            assert!(matches!(error, TpmError::Lockout { .. }), "{error:?}");
            assert!(error.to_string().contains("tpm2_dictionarylockout --clear-lockout"), "{error}");
            assert!(!error.is_connection_lost());
        }
    }

    #[test]
    fn a_key_that_the_tpm_does_not_have_is_told_from_other_refusals() {
        // TPM_RC_ASYMMETRIC, SCHEME, KEY_SIZE, CURVE and VALUE of the second parameter, directly or through a resource manager
        for code in [0x2C1, 0x2D2, 0x2C7, 0x2E6, 0x2C4, 0x000B_02C4] {
            assert!(answered(code).is_unsupported(), "{code:#x}");
        }
        for code in [0x921, 0x902, 0x101, 0x98E, 0x18B, 0x0007_0007] {
            assert!(!answered(code).is_unsupported(), "{code:#x}");
        }
    }

    #[test]
    fn a_failed_tpm_is_named_with_its_remedy() {
        let error = answered(0x101);
        assert!(matches!(error, TpmError::FailureMode { .. }), "{error:?}");
        assert!(error.to_string().contains("switch the host off and on"), "{error}");
    }

    #[test]
    fn a_full_tpm_is_named_with_its_remedy() {
        for code in [0x901, 0x902, 0x903, 0x904, 0x905, 0x906] {
            let error = answered(code);
            assert!(matches!(error, TpmError::NoRoom { .. }), "{error:?}");
            assert!(error.to_string().contains("/dev/tpmrm0"), "{error}");
        }
        assert!(answered(0x902).source().unwrap().to_string().contains("0x902"));
    }

    #[test]
    fn a_missing_certificate_says_which_one() {
        let any = TpmError::NoEndorsementCertificate { kind: None }.to_string();
        assert!(any.contains("the TPM holds none; update"), "{any}");
        let one = TpmError::NoEndorsementCertificate { kind: Some(EndorsementKind::P384) }.to_string();
        assert!(one.contains("holds none for an endorsement key of kind p384; update"), "{one}");
    }
}
