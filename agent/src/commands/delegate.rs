//! The bot's own health check, run with our flags.

use std::path::Path;
use std::process::Command;

use super::health::{Check, EXIT_UNAVAILABLE};
use super::output::{Answer, Failure};

/// What the manual runs.
pub(super) const DEFAULT_COMMAND: &str = "python -m bot_core.cli health-check";

/// Runs `command` in the installation with the flags of `check`; its output is the answer, its exit code ours.
pub(super) fn run(check: &Check, command: &str, root: &Path) -> Result<Answer, Failure> {
    let mut words = command.split_whitespace();
    let program =
        words.next().ok_or_else(|| Failure::because("--delegate-command names no program", EXIT_UNAVAILABLE))?;
    let status = Command::new(program).args(words).args(flags(check)).current_dir(root).status();
    let status = status.map_err(|error| Failure::because(format!("running {program}: {error}"), EXIT_UNAVAILABLE))?;
    // A bot that was killed gave no verdict.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(EXIT_UNAVAILABLE);
    Ok(Answer::silent(code))
}

/// Every flag that was given, as it was given; `--output` always, because our default is not the bot's to know.
fn flags(check: &Check) -> Vec<String> {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let valued = [
        ("--exchange", check.exchange.clone()),
        ("--credentials-file", path(&check.credentials_file)),
        ("--mode", check.mode.map(|mode| mode.name().to_owned())),
        ("--environment-config", path(&check.environment_config)),
        ("--environment", check.environment.clone()),
        ("--output", Some(check.output.name().to_owned())),
        ("--public-symbol", check.public_symbol.clone()),
        ("--private-asset", check.private_asset.clone()),
        ("--private-min-balance", check.private_min_balance.clone()),
        ("--output-path", path(&check.output_path)),
    ];
    let switches = [
        ("--testnet", check.testnet),
        ("--list-checks", check.list_checks),
        ("--skip-public", check.skip_public),
        ("--skip-private", check.skip_private),
    ];
    let valued = valued.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten();
    let checks = check.checks.iter().flat_map(|name| ["--check".to_owned(), name.clone()]);
    let switches = switches.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned());
    valued.chain(checks).chain(switches).collect()
}
