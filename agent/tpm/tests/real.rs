//! The crate against a real TPM 2.0 (swtpm), one TPM for each test.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "real/attestation.rs"]
mod attestation;
#[path = "real/bench.rs"]
mod bench;
#[path = "real/controller.rs"]
mod controller;
#[path = "real/faults.rs"]
mod faults;
#[path = "real/keys.rs"]
mod keys;
#[path = "real/quotes.rs"]
mod quotes;
#[path = "real/raw.rs"]
mod raw;
#[path = "real/states.rs"]
mod states;
#[path = "real/tls.rs"]
mod tls;
#[path = "real/wrong_keys.rs"]
mod wrong_keys;
