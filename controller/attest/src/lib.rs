//! The controller's verifier of TPM 2.0 structures: public areas, EK certificates, credentials, quotes, certifications.
//!
//! It never does IO, reads a clock, talks to a TPM or trusts a field before the signature over it: bytes and
//! expectations come in, a typed verdict comes out, and no input whatsoever may make it panic.
//!
//! Start at [`quote::verify_quote`]; enrolment is [`ek_chain`], [`rules`], [`credential`], [`certify`], in that order.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod attest;
pub mod baseline;
pub mod certify;
pub mod credential;
pub mod ek_chain;
pub mod ek_policy;
pub mod event_log;
pub mod hash;
pub mod policy;
pub mod public;
pub mod quote;
pub mod rules;
pub mod selection;
pub mod signature;
pub mod wire;
