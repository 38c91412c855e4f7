//! How a command ends: an answer on stdout or a reason on stderr, and a code.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use flota_daemon::error_chain::chain;
use flota_procedures::checklist::{Outcome, Procedure, Proof};
use flota_seal::json::Json;
use jiff::Timestamp;

use super::lang::{Lang, Term};
use crate::procedures;
use crate::settings::EXIT_BAD_SETTINGS;

/// What goes to stdout, and the exit code. A bad verdict is an answer too.
pub(super) struct Answer {
    text: String,
    code: u8,
}

/// There is no answer: why, and the exit code.
pub(super) struct Failure {
    why: String,
    code: u8,
}

impl Answer {
    pub(super) fn json(document: &Json, code: u8) -> Self {
        Self { text: document.pretty(), code }
    }

    pub(super) fn text(text: String, code: u8) -> Self {
        Self { text, code }
    }

    /// The same answer, with more to it.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self
    }

    /// Nothing to add to what was printed already.
    pub(super) fn silent(code: u8) -> Self {
        Self { text: String::new(), code }
    }
}

impl Failure {
    pub(super) fn of(error: &(dyn Error + 'static), code: u8) -> Self {
        Self { why: chain(error), code }
    }

    pub(super) fn because(why: impl Into<String>, code: u8) -> Self {
        Self { why: why.into(), code }
    }
}

/// Turns any error into a failure with this code.
pub(super) fn or_exit<E: Error + 'static>(code: u8) -> impl FnOnce(E) -> Failure {
    move |error| Failure::of(&error, code)
}

/// Keeps the outcome of a procedure for the checklist, if the installation has a place for it: a package checked on a
/// laptop leaves nothing behind there.
pub(super) fn remember(root: &Path, procedure: Procedure, at: Timestamp, outcome: Outcome, proof: Option<Proof>) {
    if root.join("var/flota").is_dir() {
        procedures::keep(root, procedure, at, outcome, proof);
    }
}

/// A document on one line.
pub(super) fn compact(document: &Json) -> String {
    String::from_utf8_lossy(&document.canonical()).into_owned()
}

/// How a procedure with this exit code ended.
pub(super) fn outcome_of(code: u8) -> Outcome {
    if code == 0 { Outcome::Passed } else { Outcome::Failed }
}

/// Prints, and says the exit code.
pub(super) fn finish(ended: Result<Answer, Failure>, lang: Lang) -> ExitCode {
    match ended {
        Ok(Answer { text, code }) => {
            let text = text.trim_end();
            if !text.is_empty() && writeln!(std::io::stdout(), "{text}").is_err() {
                // The reader has gone; the verdict stands.
                return ExitCode::from(code);
            }
            ExitCode::from(code)
        }
        Err(Failure { why, code }) => {
            // With stderr closed too there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "flota-agent: {}", sentence(&why, code, lang));
            ExitCode::from(code)
        }
    }
}

/// Why there is no answer. Causes come from libraries and the system, whose words support searches for: in another
/// language a sentence goes before them, nothing replaces them.
fn sentence(why: &str, code: u8, lang: Lang) -> String {
    let term = if code == EXIT_BAD_SETTINGS { Term::WrongSettings } else { Term::CannotDo };
    match lang {
        Lang::En => why.to_owned(),
        Lang::Pl => format!("{}: {why}", lang.say(term)),
    }
}
