//! The agent: the daemon on each bot host, and the local commands that carry the manual's procedures out.
//!
//! It must never listen on a network, never let a secret into argv, a log or an error, and never ask the controller
//! what is authentic: it checks packages itself, and works without a controller.
//!
//! Start with [`settings`] for what it is told, [`outside`] for what it does for the updater, [`commands`] for people.

pub mod commands;
pub mod endorsement;
pub mod enrol;
pub mod host_key;
pub mod identity;
pub mod outside;
pub mod procedures;
pub mod receipt;
pub mod session;
pub mod settings;
