//! `update history`: how the updates of this host ended.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use super::Config;
use super::output::{Answer, Failure, or_exit};
use crate::settings::{EXIT_BAD_SETTINGS, Settings};
use crate::update::history::{self, Entry};

/// The file cannot be read.
const EXIT_UNREADABLE: u8 = 1;

#[derive(Args)]
pub(super) struct History {
    #[command(flatten)]
    config: Config,
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
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let entries = history::read(&settings.state_dir).map_err(or_exit(EXIT_UNREADABLE))?;
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

fn line(text: &mut String, entry: &Entry) {
    let Entry { at, generation, rollout, from_version, to, to_version, outcome, detail, .. } = entry;
    let from = if from_version.is_empty() { "nothing" } else { from_version };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{at}  {:<11}  {from} -> {to_version} ({})  {rollout}, generation {generation}: {detail}",
        outcome.as_str(),
        to.short()
    );
}
