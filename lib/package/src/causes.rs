//! An error with its causes, for the one-line messages that reports carry.

use std::error::Error;

/// `error` and its causes, outermost first, joined by colons.
pub fn on_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
