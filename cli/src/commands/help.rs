//! `flota help`, `flota completions`, `flota version`: what works without a controller.

use clap::{Args, CommandFactory as _};
use serde::Serialize;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A topic (exit-codes, formats, selectors, contexts, environment) or a command
    #[arg(value_name = "TOPIC|COMMAND")]
    words: Vec<String>,
}

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum, hide_possible_values = true)]
    shell: clap_complete::Shell,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

const FORMATS: &str = "\
-o table   for people; columns, colours and wording may change at will
-o wide    the table with more columns
-o json    one document: {\"apiVersion\":\"flota/v1\",\"kind\":\"HostList\",\"items\":[...]}
-o jsonl   one document a line; with --watch one an event, and the last is of kind Verdict
-o tsv     tab-separated with a header line; the columns of each kind are fixed
-o name    names or ids alone, one a line

A document of a thing that has a kind of its own calls that task_kind, escalation_kind.
Within v1 fields are only added. Words of states may grow in number: a reader must accept words it does not know.
Times are RFC 3339 in UTC, durations end in _seconds, sizes in _bytes. Data goes to stdout, talk to stderr.
";

const SELECTORS: &str = "\
A selector is terms joined by commas, all of which must hold:

  env=prod                 hosts whose label env is prod
  env=prod,venue!=kraken   and whose label venue is not kraken; a host without the label is meant too
  host=fra-bot-07          the host of this name

A verb that acts on hosts takes HOST..., -l SELECTOR or --all, and none of them by omission.
";

const CONTEXTS: &str = "\
A context names a controller and the certificate to show to it. The file is $FLOTA_CONFIG, or
$XDG_CONFIG_HOME/flota/contexts.toml, or ~/.config/flota/contexts.toml; paths in it are relative to its folder:

  current = \"demo\"

  [contexts.demo]
  endpoint = \"https://controller.example:7443\"
  ca_file = \"demo/ca.pem\"
  cert_file = \"demo/operator.pem\"
  key_file = \"demo/operator.key\"

One command with another context:  flota --context NAME ...
";

const ENVIRONMENT: &str = "\
FLOTA_CONTEXT     the context, unless --context names one
FLOTA_CONFIG      the contexts file
XDG_CONFIG_HOME   the folder that holds flota/contexts.toml
NO_COLOR          no colours, when it is not empty
CLICOLOR_FORCE    colours even into a pipe, when it is not 0
TERM=dumb         no colours
LC_ALL, LC_CTYPE, LANG   signs beyond ASCII only in UTF-8
";

/// Prints a topic, or the help of a command.
pub(crate) fn help(invocation: &Invocation, args: &HelpArgs) -> Result<Exit, Failure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let text = match words.as_slice() {
        ["exit-codes"] => Exit::table(),
        ["formats"] => FORMATS.to_owned(),
        ["selectors"] => SELECTORS.to_owned(),
        ["contexts"] => CONTEXTS.to_owned(),
        ["environment"] => ENVIRONMENT.to_owned(),
        words => of_command(words)?,
    };
    invocation.out.data(&text)?;
    Ok(Exit::Good)
}

/// Prints the completion script for a shell.
pub(crate) fn completions(invocation: &Invocation, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flota", &mut script);
    invocation.out.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Good)
}

/// Prints the version.
pub(crate) fn version(invocation: &Invocation) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    invocation.out.object("Version", &Version { version }, version, |_| format!("flota {version}"))?;
    Ok(Exit::Good)
}

fn of_command(words: &[&str]) -> Result<String, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for word in words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no command or topic `{}`", words.join(" "))).fix("flota help")
        })?;
    }
    Ok(command.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn topics_are_as_reviewed() {
        for (name, text) in
            [("formats", FORMATS), ("selectors", SELECTORS), ("contexts", CONTEXTS), ("environment", ENVIRONMENT)]
        {
            golden(&format!("help/topic-{name}.txt"), text);
        }
        golden("help/topic-exit-codes.txt", &Exit::table());
    }

    #[test]
    fn the_example_of_a_contexts_file_is_one() {
        let example = CONTEXTS.lines().filter_map(|line| line.strip_prefix("  ")).collect::<Vec<_>>().join("\n");
        assert!(toml::from_str::<crate::context::Contexts>(&example).is_ok());
    }

    #[test]
    fn commands_are_found_by_their_words() {
        assert!(of_command(&["rollout", "start"]).unwrap().contains("Usage: flota rollout start"));
        assert_eq!(of_command(&["rollout", "stop"]).unwrap_err().exit(), Exit::Usage);
    }
}
