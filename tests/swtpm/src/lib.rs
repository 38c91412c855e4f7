//! A real TPM 2.0 in a child process, for tests and the demonstration: swtpm, manufactured with an endorsement
//! certificate of a private CA. Not part of anything that is installed.
//!
//! It must never write outside the folders it is given (above all not to the machine-wide CA in `/var/lib`), never
//! link libtss2 (the code under test does, so this crate talks to the TPM in bytes), and never leave a TPM behind
//! unless told to [`Swtpm::detach`] it.
//!
//! Start reading at [`Swtpm::start`].

mod ca;
mod command;
mod error;
mod ports;
mod process;
mod swtpm;

pub use error::SwtpmError;
pub use swtpm::{Swtpm, stop};
