//! What every binary needs and nothing of ours: logging, shutdown, manual pages.
//!
//! Never: anything of the model, the wire, the store or a network. Start at the module whose name says what you need.

pub mod error_chain;
pub mod lifecycle;
pub mod logging;
pub mod manual;

mod clock;

pub use clock::present;
