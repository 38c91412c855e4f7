//! The command line: global flags, the tree of nouns, and the flags that verbs share.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use flota_model::Selector;

use crate::commands::{
    alert, attest, audit, checklist, context, enrolment, escalation, export, freeze, health, help, host, man, package,
    policy, receipt, recovery, release, rollout, silence, token,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::output::time::parse_duration;

/// Run a fleet of trading bots by the operations manual
///
/// Data goes to stdout, talk to stderr. Nothing here is needed for the bots to trade.
#[derive(Debug, Parser)]
#[command(
    name = "flota",
    version,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "Exit codes: flota help exit-codes    Formats: flota help formats"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub(crate) struct Global {
    /// Use this context instead of the current one
    #[arg(long, global = true, env = "FLOTA_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Shape of the data
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "Shape of the data: table, wide, json, jsonl, tsv or name [default: table]"
    )]
    pub(crate) output: Option<Format>,
    /// The same as -o json
    #[arg(long, global = true, conflicts_with = "output")]
    pub(crate) json: bool,
    /// Times in UTC, which they always are
    #[arg(long, global = true, hide = true)]
    pub(crate) utc: bool,
    /// Errors alone on stderr
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colours: auto, always or never; NO_COLOR is heard
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Color,
    /// Never ask; a command that would have to ends with 2
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Longest time to wait here, as in 90s or 10m; the work goes on after it
    #[arg(long, global = true, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// In every case
    Always,
    /// Not at all
    Never,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Machines of the fleet: what they run and how far they are trusted
    #[command(subcommand)]
    Host(host::HostCommand),
    /// Enrolment tokens, which admit new hosts
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Hosts that have enrolled and wait for a person to let them in
    #[command(subcommand)]
    Enrolment(enrolment::EnrolmentCommand),
    /// Security exports (manual section 1)
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Exchange health of the bots (manual section 4)
    #[command(subcommand)]
    Health(health::HealthCommand),
    /// Proof by TPM of what hosts run (manual section 3)
    #[command(subcommand)]
    Attest(attest::AttestCommand),
    /// What hosts may boot: versioned documents that two people agree on
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// What the security role must look at
    #[command(subcommand)]
    Escalation(escalation::EscalationCommand),
    /// Update packages on this machine, without a controller (manual section 2)
    #[command(subcommand)]
    Package(package::PackageCommand),
    /// Signed releases: packages that hosts install (manual section 2)
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    /// What hosts say of updates that were made without the controller
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Bringing a release to hosts, wave by wave
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// Bringing back a host that was lost (manual section 6)
    #[command(subcommand)]
    Recovery(recovery::RecoveryCommand),
    /// The operator's checklist of hosts and rollouts (manual section 7)
    #[command(subcommand)]
    Checklist(checklist::ChecklistCommand),
    /// Times in which no rollout changes hosts
    #[command(subcommand)]
    Freeze(freeze::FreezeCommand),
    /// What the controller tells people without being asked
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Times in which no alert speaks of some hosts: a maintenance
    #[command(subcommand)]
    Silence(silence::SilenceCommand),
    /// The hash-chained log of everything that was done
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Which controller to speak to, and with which certificate
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Print a completion script for a shell
    Completions(help::CompletionsArgs),
    /// Print the manual page of this program, or write those of all its commands to a folder
    Man(man::ManArgs),
    /// Explain a command or a topic: exit-codes, formats, selectors, contexts, environment
    Help(help::HelpArgs),
    /// Print the version
    Version,
}

/// Which hosts a verb acts on. Every host only when that is said.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Hosts by name or id
    #[arg(value_name = "HOST", conflicts_with_all = ["selector", "all"])]
    pub(crate) hosts: Vec<String>,
    #[command(flatten)]
    pub(crate) many: Many,
}

/// Hosts by selector, or all of them.
#[derive(Debug, Args)]
pub(crate) struct Many {
    /// Hosts whose labels match, as in env=prod,venue!=kraken
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "all")]
    pub(crate) selector: Option<Selector>,
    /// Every host
    #[arg(long)]
    pub(crate) all: bool,
}

/// Hosts by selector, where none means all: for verbs that only read.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only hosts whose labels match, as in env=prod,venue!=kraken
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<Selector>,
}

/// Hosts that were chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// By name or id.
    pub(crate) hosts: Vec<String>,
    /// By labels; empty unless chosen so.
    pub(crate) selector: String,
    /// Every host.
    pub(crate) all: bool,
}

impl Targets {
    /// The choice, if one was made. `verb` is the command, for the sentence otherwise.
    pub(crate) fn choose(self, verb: &str) -> Result<Chosen, Failure> {
        if self.hosts.is_empty() {
            return self.many.choose(verb).map_err(|failure| failure.fix(format!("{verb} HOST...")));
        }
        Ok(Chosen { hosts: self.hosts, ..Chosen::default() })
    }

    /// The choice, or every host: for verbs that only read.
    pub(crate) fn or_all(self) -> Chosen {
        let selector = self.many.selector.map(|selector| selector.to_string()).unwrap_or_default();
        let all = self.hosts.is_empty() && selector.is_empty();
        Chosen { hosts: self.hosts, selector, all }
    }
}

impl Many {
    /// The choice, if one was made.
    pub(crate) fn choose(self, verb: &str) -> Result<Chosen, Failure> {
        match self.selector {
            // `-l ''` is more often an unset variable than a wish for the whole fleet.
            Some(selector) if selector.is_all() => Err(unchosen("the selector is empty", verb)),
            Some(selector) => Ok(Chosen { selector: selector.to_string(), ..Chosen::default() }),
            None if self.all => Ok(Chosen { all: true, ..Chosen::default() }),
            None => Err(unchosen("no hosts are named", verb)),
        }
    }
}

impl Filter {
    /// As the wire has it; empty means all.
    pub(crate) fn text(&self) -> String {
        self.selector.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

fn unchosen(what: &str, verb: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{what}: say which hosts, or --all"))
        .nothing_changed()
        .fix(format!("{verb} -l env=prod"))
        .fix(format!("{verb} --all"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::testing::golden;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_is_as_reviewed() {
        let mut root = Cli::command().term_width(100);
        root.build();
        check(&mut root, "flota");
    }

    fn check(command: &mut clap::Command, name: &str) {
        golden(&format!("help/{name}.txt"), &command.render_long_help().to_string());
        for below in command.get_subcommands_mut() {
            let name = format!("{name}-{}", below.get_name());
            check(below, &name);
        }
    }

    #[test]
    fn no_verb_takes_the_whole_fleet_by_omission() {
        for words in [vec![], vec!["-l", ""]] {
            let line = ["flota", "export", "run"].into_iter().chain(words);
            let Command::Export(export::ExportCommand::Run(run)) = Cli::try_parse_from(line).unwrap().command else {
                panic!("another command");
            };
            let failure = run.targets.choose("flota export run").unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
        }
        for line in [["flota", "export", "run", "--all", "web-1"], ["flota", "export", "run", "-lenv=x", "--all"]] {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
