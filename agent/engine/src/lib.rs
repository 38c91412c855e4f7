//! The update of one host as a state machine: what follows from what, and nothing else.
//!
//! [`step`] takes the state and one event and says the next state and the effects to perform. The shell writes the
//! state down before it performs them, and feeds what came of them back as events. After a crash it feeds
//! [`Event::Restarted`] and performs what that says; every effect may be performed again.
//!
//! It must never do IO, read a clock, or be asynchronous. Waiting is the shell's: an effect that takes too long comes
//! back as its failure.
//!
//! Start with [`step`]; `docs/agent-states.md` has the whole table, written by a test.

mod event;
mod phase;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use event::{BotBefore, Cause, Effect, Event, Rejected};
pub use phase::{AfterResume, HeldBot, Phase};
pub use state::{Installed, State};
pub use step::{MAX_REST_ATTEMPTS, MAX_SWITCH_ATTEMPTS, MAX_TRANSFER_ATTEMPTS, RUNS_ALREADY, report, resume, step};
