//! `--list-checks`: the built-in checks, and the operator's own where somebody keeps some.

use std::fmt::Write as _;

use flota_procedures::health::{CheckName, CustomCheck, CustomKind, own_checks};

use super::{Check, EXIT_UNAVAILABLE, Subject};
use crate::commands::environment;
use crate::commands::lang::{Lang, Term};
use crate::commands::output::{Failure, or_exit};

/// What a variable that is not set stands for while checks are only listed, which needs no secret: text, a number,
/// hexadecimal and Base64 at once, so that every field takes it.
const STAND_IN: &str = "0000";

/// The operator's own checks, with the exchange that they are kept with.
type OwnChecks = Vec<(String, Vec<CustomCheck>)>;

impl Check {
    /// A line a check.
    pub(super) fn list(&self, lang: Lang) -> Result<String, Failure> {
        let mut text = String::new();
        for check in CheckName::ALL {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {}", check.name(), describe(check, lang));
        }
        for (exchange, checks) in self.own_checks()? {
            for check in checks {
                // As above.
                let _ = writeln!(text, "{}: {}", check.name(), describe_own(&check, &exchange, lang));
            }
        }
        Ok(text)
    }

    /// Those that a run with these flags would know; without an exchange, those of every exchange in the credentials file.
    fn own_checks(&self) -> Result<OwnChecks, Failure> {
        let variable = |name: &str| Some(environment::variable(name).unwrap_or_else(|| STAND_IN.to_owned()));
        if self.exchange.is_some() || self.environment_config.is_some() {
            let Subject { exchange, entry, .. } = self.subject(&variable)?;
            return Ok(vec![(exchange.name().to_owned(), entry.settings.custom)]);
        }
        match self.credentials_path() {
            Some(path) => own_checks(&path, &variable).map_err(or_exit(EXIT_UNAVAILABLE)),
            None => Ok(Vec::new()),
        }
    }
}

pub(super) fn describe(check: CheckName, lang: Lang) -> &'static str {
    lang.describe(check.name(), check.description())
}

fn describe_own(check: &CustomCheck, exchange: &str, lang: Lang) -> String {
    let own = format!("{} {exchange}", lang.say(Term::OwnCheckOf));
    match check.kind() {
        CustomKind::Command(program) => format!("{own}: {} {program}", lang.say(Term::RunsProgram)),
        CustomKind::Http(status) => format!("{own}: {} {status}", lang.say(Term::AddressAnswers)),
    }
}
