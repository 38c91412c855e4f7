//! The socket of an updater: where an agent brings what takes a network, and people on the host ask for updates.
//!
//! A Unix socket; frames of JSON, each with its length before it. The kernel says who is at the other end, and that alone
//! decides what they may do ([`Rights`]): the agent may bring goals of a controller and do what the updater asks of a
//! network; whoever could stop the updater anyway (its own user, root) may ask for anything. What is asked for is then
//! checked as whatever a controller asks for: signatures, terms, floors.
//!
//! Start with [`Server`] for the updater's end, [`Client`] and [`attach`] for the other.

mod attach;
mod client;
mod frame;
mod message;
mod rights;
mod server;
mod side;

pub use attach::attach;
pub use client::{CallError, Client, ConnectError, Service};
pub use message::{Call, Returned};
pub use rights::{Rights, RightsError};
pub use server::{BindError, Server, Updated};
pub use side::Sides;
