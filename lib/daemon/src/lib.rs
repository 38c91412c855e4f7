//! What every binary needs and nothing of ours: logging, shutdown, TLS settings, dialling, manual pages.
//!
//! Never: anything of the model, the wire or the store. Start at the module whose name says what you need.

pub mod dial;
pub mod error_chain;
pub mod lifecycle;
pub mod logging;
pub mod manual;
pub mod tls;

mod clock;

pub use clock::present;
