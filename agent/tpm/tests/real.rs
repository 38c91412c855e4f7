//! The crate against a real TPM 2.0 (swtpm), one TPM for each test.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "real/attestation.rs"]
mod attestation;
#[path = "real/bench.rs"]
mod bench;
#[path = "real/controller.rs"]
mod controller;
#[path = "real/differential.rs"]
mod differential;
#[path = "real/faults.rs"]
mod faults;
#[path = "real/hindrances.rs"]
mod hindrances;
#[path = "real/keys.rs"]
mod keys;
#[path = "real/kinds.rs"]
mod kinds;
#[path = "real/quotes.rs"]
mod quotes;
#[path = "real/raw.rs"]
mod raw;
#[path = "real/states.rs"]
mod states;
#[path = "real/tls.rs"]
mod tls;
#[path = "real/tools.rs"]
mod tools;
#[path = "real/vendor.rs"]
mod vendor;
#[path = "real/wrong_keys.rs"]
mod wrong_keys;
