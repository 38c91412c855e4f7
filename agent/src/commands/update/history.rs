//! `update history`: how the updates of this host ended.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use flota_updater::history::{self, Entry};
use flota_updater::socket::{Call, Returned};

use super::{Known, Target, UNEXPECTED, ask, is_barred, whose};
use crate::commands::output::{Answer, Failure, or_exit};

/// The file cannot be read.
const EXIT_UNREADABLE: u8 = 1;

#[derive(Args)]
pub(in crate::commands) struct History {
    #[command(flatten)]
    target: Target,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How the history is printed.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A line an update, the newest first, for people.
    Text,
    /// A document a line, the oldest first, as it is kept.
    Jsonl,
}

impl History {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let entries = entries(&self.target.load()?).map_err(|why| Failure::because(why, EXIT_UNREADABLE))?;
        let mut text = String::new();
        match self.output {
            Format::Jsonl => {
                for entry in &entries {
                    text.push_str(&serde_json::to_string(entry).map_err(or_exit(EXIT_UNREADABLE))?);
                    text.push('\n');
                }
            }
            Format::Text if entries.is_empty() => text.push_str("no update yet\n"),
            Format::Text => entries.iter().rev().for_each(|entry| line(&mut text, entry)),
        }
        Ok(Answer::text(text, 0))
    }
}

/// As the updater keeps it; asked of it where that is another user's.
fn entries(known: &Known) -> Result<Vec<Entry>, String> {
    match history::read(&known.state_dir) {
        Ok(entries) => Ok(entries),
        Err(error) if is_barred(&error) => match ask(known, Call::History)? {
            Returned::History { entries } => Ok(entries),
            _ => Err(UNEXPECTED.to_owned()),
        },
        Err(error) => Err(format!("reading the history of updates: {error}")),
    }
}

/// Characters of a time as it is kept, up to the seconds; it is UTC.
const TO_THE_SECOND: usize = "2026-11-28T02:01:02".len();

fn line(text: &mut String, entry: &Entry) {
    let Entry { at, generation, rollout, from_version, to, to_version, outcome, detail, .. } = entry;
    let at = at.get(..TO_THE_SECOND).unwrap_or(at);
    let from = if from_version.is_empty() { "nothing" } else { from_version };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{at}Z  {:<11}  {from} -> {to_version} ({})  {}, generation {generation}: {detail}",
        outcome.as_str(),
        to.short(),
        whose(*rollout)
    );
}
