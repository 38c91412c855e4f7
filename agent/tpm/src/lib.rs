//! The host's TPM 2.0: its endorsement, attestation and TLS keys, and the four things the agent asks of them.
//!
//! The only crate that links libtss2. It must never let a private key leave the TPM, never hand out a libtss2 type,
//! and never block for longer than its deadlines say. All functions block the calling thread; asynchronous callers
//! use `spawn_blocking`, except for the signatures inside a TLS handshake, which see to it themselves.
//!
//! Start reading at [`Tpm::open`].

mod choice;
mod commands;
mod connection;
mod device;
mod endorsement;
mod error;
mod evidence;
mod identity;
mod keyfile;
mod keys;
mod owner;
mod response;
mod tcti;
mod tls;
mod tpm;

pub use choice::{AttestationKind, EndorsementKind, KeyChoice};
pub use error::TpmError;
pub use evidence::{ActivatedSecret, Attestation, Quote};
pub use identity::Identity;
pub use response::ResponseCode;
pub use tcti::{Tcti, TctiError};
pub use tls::TlsKey;
pub use tpm::{Tpm, TpmConfig};

/// Name and value of the environment variable that keeps libtss2 from writing every failure to standard error, where
/// it repeats, less clearly, what [`TpmError`] says.
///
/// libtss2 reads it once, in the environment of the process, and a process must not change its environment after
/// its first thread: set it in the service unit, or before the program starts.
pub const TSS2_LOG: (&str, &str) = ("TSS2_LOG", "all+none");
