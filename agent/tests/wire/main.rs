//! The agent on the wire: the real program, a real TPM (swtpm), and a controller whose part the test plays.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

mod ca;
mod controller;
mod enrolment;
mod evidence_file;
mod host;
mod judge;
mod listener;
mod quotes;
mod reentry;
mod software;
mod waiting;
