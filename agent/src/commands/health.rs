//! The check of the exchange (manual §4).

mod environments;
mod list;
mod yaml;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flota_procedures::checklist::Procedure;
use flota_procedures::durable;
use flota_procedures::health::{
    self, Amount, Asset, CheckName, CheckResult, ExchangeEntry, ExchangeId, HealthReport, HealthRequest,
    HealthSettings, Limits, Mode, Network, Status, Symbol, WantedCheck,
};

use super::delegate;
use super::environment;
use super::lang::{Lang, Term};
use super::output::{self, Answer, Failure, or_exit, outcome_of, remember};
use super::{EXIT_USAGE, Installation};
use crate::procedures::present;
use environments::Environment;
use list::describe;

/// The check-up could not begin, so nobody can say that the host can trade.
pub(super) const EXIT_UNAVAILABLE: u8 = 2;
/// The manual's credentials file.
const CREDENTIALS_FILE: &str = "config/exchanges.json";
/// Permissions of a report: it names no secret.
const REPORT_MODE: u32 = 0o644;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the manual's script")]
pub(super) struct Check {
    #[command(flatten)]
    installation: Installation,
    /// The exchange; may carry the mode, as in binance_spot
    #[arg(long, value_name = "ID", required_unless_present_any = ["list_checks", "delegate", "environment_config"])]
    pub(super) exchange: Option<String>,
    /// Keys and settings, JSON or TOML [default: config/exchanges.json]
    #[arg(long, value_name = "FILE")]
    pub(super) credentials_file: Option<PathBuf>,
    /// spot, margin, futures or paper
    #[arg(long)]
    pub(super) mode: Option<Mode>,
    /// Ask the exchange's test network
    #[arg(long)]
    pub(super) testnet: bool,
    /// The bot's file of environments, YAML; what it says goes before the credentials file
    #[arg(long, value_name = "FILE")]
    pub(super) environment_config: Option<PathBuf>,
    /// Which of them [default: the one that its defaults name]
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<String>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) output: Format,
    /// List the checks, your own too, and run none
    #[arg(long)]
    pub(super) list_checks: bool,
    /// Run this check only, built in or your own; may be given several times
    #[arg(long = "check", value_name = "NAME")]
    pub(super) checks: Vec<String>,
    /// Leave the public API out
    #[arg(long)]
    pub(super) skip_public: bool,
    /// Leave the account out
    #[arg(long)]
    pub(super) skip_private: bool,
    /// Ask for this symbol's price instead of the list of markets
    #[arg(long, value_name = "SYMBOL")]
    pub(super) public_symbol: Option<String>,
    /// The account must hold this asset
    #[arg(long, value_name = "ASSET")]
    pub(super) private_asset: Option<String>,
    /// At least this much of it, free
    #[arg(long, value_name = "AMOUNT")]
    pub(super) private_min_balance: Option<String>,
    /// Write the result to this file as well
    #[arg(long, value_name = "FILE")]
    pub(super) output_path: Option<PathBuf>,
    /// Let the bot's own program do the check, with these flags, and return its exit code
    #[arg(long)]
    delegate: bool,
    /// That program and its first arguments, separated by spaces
    #[arg(long, value_name = "WORDS", default_value = delegate::DEFAULT_COMMAND)]
    delegate_command: String,
}

/// What is asked, and with which key.
struct Subject {
    exchange: ExchangeId,
    entry: ExchangeEntry,
    limits: Limits,
}

/// How a result is printed.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    JsonPretty,
}

impl Check {
    pub(super) fn run(self, lang: Lang) -> Result<Answer, Failure> {
        if self.delegate {
            return delegate::run(&self, &self.delegate_command, &self.installation.root);
        }
        if self.list_checks {
            return Ok(Answer::text(self.list(lang)?, 0));
        }
        let report = self.check()?;
        let code = report.overall().exit_code();
        remember(&self.installation.root, Procedure::ExchangeHealth, present(), outcome_of(code), None);
        let text = match self.output {
            Format::Text => in_words(&report, lang),
            Format::Json => output::compact(&report.to_json()),
            Format::JsonPretty => report.to_json().pretty(),
        };
        if let Some(path) = &self.output_path {
            let path = self.installation.root.join(path);
            let contents = format!("{}\n", text.trim_end());
            durable::write_file(&path, REPORT_MODE, contents.as_bytes()).map_err(or_exit(EXIT_UNAVAILABLE))?;
        }
        Ok(Answer::text(text, code))
    }

    fn check(&self) -> Result<HealthReport, Failure> {
        let checks: Vec<_> = self.checks.iter().map(|name| WantedCheck::from(name.as_str())).collect();
        let Subject { exchange, entry, limits } = self.subject(&environment::variable)?;
        let settings = self.settings()?.or(entry.settings);
        let request = HealthRequest::new(exchange, &checks, settings)
            .map_err(or_exit(EXIT_UNAVAILABLE))?
            .with_notes(entry.notes)
            .with_limits(limits);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let checked = runtime.map_err(or_exit(EXIT_UNAVAILABLE))?.block_on(health::check(
            &request,
            entry.credentials.as_ref(),
            &present,
        ));
        checked.map_err(or_exit(EXIT_UNAVAILABLE))
    }

    /// The exchange, with what the environment and then the credentials file say of it.
    fn subject(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Subject, Failure> {
        let Some(file) = &self.environment_config else {
            if self.environment.is_some() {
                return Err(Failure::because("--environment needs --environment-config", EXIT_USAGE));
            }
            let exchange = self.exchange.as_deref().unwrap_or_default().parse().map_err(or_exit(EXIT_UNAVAILABLE))?;
            return Ok(Subject { exchange, entry: self.entry(exchange, variable)?, limits: Limits::default() });
        };
        let path = self.installation.root.join(file);
        let (name, given) = (self.environment.as_deref(), self.exchange.as_deref());
        let environment = Environment::read(&path, name, given, variable);
        let Environment { exchange, entry, limits } = environment.map_err(or_exit(EXIT_UNAVAILABLE))?;
        // A key in the environment needs no credentials file, not even to remark on its absence.
        if entry.credentials.is_some() && self.credentials_file.is_none() {
            return Ok(Subject { exchange, entry, limits });
        }
        let file = self.entry(exchange, variable)?;
        let entry = ExchangeEntry {
            credentials: entry.credentials.or(file.credentials),
            settings: entry.settings.or(file.settings),
            notes: entry.notes.into_iter().chain(file.notes).collect(),
        };
        Ok(Subject { exchange, entry, limits })
    }

    /// What the credentials file says. One that was not asked for may be absent.
    fn entry(&self, exchange: ExchangeId, variable: &dyn Fn(&str) -> Option<String>) -> Result<ExchangeEntry, Failure> {
        let Some(path) = self.credentials_path() else {
            let notes = vec![format!("there is no {CREDENTIALS_FILE}: no key, no settings from there")];
            return Ok(ExchangeEntry { notes, ..ExchangeEntry::default() });
        };
        ExchangeEntry::read(&path, exchange, variable).map_err(or_exit(EXIT_UNAVAILABLE))
    }

    /// The credentials file: the one that was asked for, or the usual one if it is there.
    fn credentials_path(&self) -> Option<PathBuf> {
        let root = &self.installation.root;
        let usual = || Some(root.join(CREDENTIALS_FILE)).filter(|path| path.exists());
        self.credentials_file.as_ref().map(|path| root.join(path)).or_else(usual)
    }

    fn settings(&self) -> Result<HealthSettings, Failure> {
        fn parsed<T>(text: Option<&String>) -> Result<Option<T>, Failure>
        where
            T: std::str::FromStr<Err: std::error::Error + 'static>,
        {
            text.map(|text| text.parse().map_err(or_exit(EXIT_UNAVAILABLE))).transpose()
        }
        Ok(HealthSettings {
            mode: self.mode,
            network: self.testnet.then_some(Network::Testnet),
            public_symbol: parsed::<Symbol>(self.public_symbol.as_ref())?,
            private_asset: parsed::<Asset>(self.private_asset.as_ref())?,
            private_min_balance: parsed::<Amount>(self.private_min_balance.as_ref())?,
            skip_public: self.skip_public,
            skip_private: self.skip_private,
            ..HealthSettings::default()
        })
    }
}

impl Format {
    /// The word on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::JsonPretty => "json-pretty",
        }
    }
}

/// The lines of the manual, which runbooks read, in every language the same; in Polish, a sentence for each check that
/// is not healthy and one on the whole.
fn in_words(report: &HealthReport, lang: Lang) -> String {
    let text = report.to_text();
    if lang == Lang::En {
        return text;
    }
    let verdict = lang.say(match report.overall() {
        Status::Unknown | Status::Healthy => Term::CanTrade,
        Status::Degraded => Term::TradesBadly,
        Status::Unavailable => Term::CannotTrade,
    });
    let open = report.results().iter().filter(|result| result.status() > Status::Healthy);
    let open = open.map(CheckResult::name).fold(String::new(), |mut lines, name| {
        // The operator's own checks have no description. Writing to a String cannot fail.
        let _ = match name.parse::<CheckName>() {
            Ok(check) => writeln!(lines, "  {name}: {}: {}", lang.say(Term::NotSo), describe(check, lang)),
            Err(_) => writeln!(lines, "  {name}: {}", lang.say(Term::Failed)),
        };
        lines
    });
    format!("{text}{verdict}\n{open}")
}
