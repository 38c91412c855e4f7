//! `flota`, the operator's command: what it prints, what it asks, and the number it ends with.
//!
//! It holds no state of its own but the contexts file, and decides nothing about the fleet: the controller does.
//! Never: a secret on the command line or in an error, data on stderr, talk on stdout, a raw gRPC status, text of
//! a host on the terminal without [`output::text::clean`].
//! Start at `args` for the commands, `commands::rollout` for the richest of them, `exit` for what the numbers mean.
//! Views are pure functions of a read model; golden files under `tests/golden` hold every screen and help text.

mod args;
mod client;
mod commands;
mod confirm;
mod context;
mod exit;
mod failure;
mod invocation;
mod output;
mod view;
mod wait;

#[cfg(test)]
mod testing;

pub use invocation::run;
