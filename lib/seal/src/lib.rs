//! Seals: canonical JSON, the signatures over it, and the keys that make them.
//!
//! Everything that Flota or the bot signs is JSON in one canonical form; this crate parses it ([`json::Json`]), writes
//! that form byte for byte as the bot does, and makes and checks HMAC, Ed25519 and ECDSA signatures over it.
//!
//! It must never do IO, read a clock or an environment variable, print or log key material, or compare a MAC in a time
//! that depends on its contents.
//!
//! Start with [`json`] for the document, then [`signature`] for the seal on it.

pub mod binding;
pub mod ed25519;
pub mod evidence;
pub mod json;
pub mod p256;
pub mod sealed;
pub mod secret;
pub mod signature;
