//! How our programs meet over a network: TLS settings that all share, and one way to dial.
//!
//! Never: anything of the model, the wire or the store. What must not reach a network does not depend on this crate, and
//! that is why it is one.

pub mod dial;
pub mod tls;
