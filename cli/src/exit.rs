//! What the exit code says. Scripts build on these numbers: they never change their meaning.

use std::fmt::Write as _;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; and where it waited, the outcome is good.
    Good = 0,
    /// Done or ended, and the outcome is bad.
    Bad = 1,
    /// Wrong usage; also clap's own number.
    Usage = 2,
    /// Some hosts did not answer or failed.
    Partial = 3,
    /// Not authenticated, or not allowed.
    Denied = 4,
    /// No such thing.
    NotFound = 5,
    /// What was decided on has changed, or does not allow it now.
    Conflict = 6,
    /// No answer from the controller, or the outcome is not known.
    Unreachable = 7,
    /// A snapshot of something that goes on.
    Running = 8,
    /// It waits for a person.
    Decision = 9,
    /// `--timeout` ran out here.
    TimedOut = 124,
    /// Interrupted here.
    Interrupted = 130,
}

impl Exit {
    /// All of them, with what the help says.
    const MEANINGS: [(Self, &'static str); 12] = [
        (Self::Good, "done, and where it waited, the outcome is good"),
        (Self::Bad, "done or ended, and the outcome is bad: failed, aborted, broken"),
        (Self::Usage, "wrong usage, or a question that nobody was there to answer"),
        (Self::Partial, "partial: some hosts did not answer or failed; the rest is printed"),
        (Self::Denied, "not authenticated, or not allowed"),
        (Self::NotFound, "not found"),
        (Self::Conflict, "conflict: what you decided on has changed, or its state does not allow it"),
        (Self::Unreachable, "controller unreachable, or outcome unknown; says whether repeating is safe"),
        (Self::Running, "still running (a snapshot, without --watch)"),
        (Self::Decision, "stopped, and waits for a person: draft, paused, halted, approval missing"),
        (Self::TimedOut, "--timeout ran out here; the work goes on"),
        (Self::Interrupted, "interrupted here; the work goes on"),
    ];

    /// The number itself.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The table of `flota help exit-codes`.
    pub(crate) fn table() -> String {
        let mut text = String::new();
        for (exit, meaning) in Self::MEANINGS {
            let _infallible = writeln!(text, "{:>5}  {meaning}", exit.code());
        }
        text
    }
}
