//! Completion scripts, made from the definition of the command line.

use clap::{Args, CommandFactory as _};

use super::Cli;
use super::output::Answer;

#[derive(Args)]
pub(super) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum, hide_possible_values = true)]
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self) -> Answer {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), super::PROGRAM, &mut script);
        Answer::text(String::from_utf8_lossy(&script).into_owned(), 0)
    }
}
