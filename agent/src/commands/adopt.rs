//! `adopt`: an installation that was made without Flota, from then on updated by it.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use flota_procedures::package::PackageBuilder;
use tokio::runtime::Runtime;

use super::Config;
use super::output::{Answer, Failure, or_exit};
use crate::settings::{EXIT_BAD_SETTINGS, Settings};
use flota_updater::Journal;
use flota_updater::adopt::{Adopted, Division, adopt, divide, undo};

/// It was not adopted, or not undone; nothing was changed.
const EXIT_NOT_DONE: u8 = 1;

#[derive(Args)]
pub(super) struct Adopt {
    #[command(flatten)]
    config: Config,
    /// Version of what is installed, as the release is to be called
    #[arg(long, value_name = "VERSION", required_unless_present = "undo")]
    version: Option<String>,
    /// Name of the package
    #[arg(long, value_name = "ID", default_value = "bot")]
    id: String,
    /// What it runs on, for the manifest
    #[arg(long, value_name = "TEXT", default_value = "linux")]
    platform: String,
    /// What runs it, for the manifest
    #[arg(long, value_name = "TEXT", default_value = "python")]
    runtime: String,
    /// A name in the bot's folder that is data and no program, beside config, exports, logs, secrets and var; repeat for
    /// more
    #[arg(long, value_name = "NAME")]
    data: Vec<String>,
    /// Say what is program and what is data, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take it back: the installation is as it was before
    #[arg(long, conflicts_with_all = ["version", "dry_run", "data"])]
    undo: bool,
}

impl Adopt {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        if Journal::is_open(&settings.updater.state_dir).map_err(or_exit(EXIT_NOT_DONE))? {
            return Err(Failure::because("the agent is running here: stop its service first", EXIT_NOT_DONE));
        }
        if self.undo {
            let Adopted { version, .. } = undo(&settings.updater).map_err(or_exit(EXIT_NOT_DONE))?;
            let text = format!(
                "{version} is no release any more; the installation is as it was.\n\
                 Next       let the bot's start command run {} again, not {0}/current\n",
                settings.root.display()
            );
            return Ok(Answer::text(text, 0));
        }
        let division = divide(&settings.updater, &self.data).map_err(or_exit(EXIT_NOT_DONE))?;
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<10} {value}");
        };
        let Division { program, data } = &division;
        line("Program", &program.join(" "));
        line("Data", &data.join(" "));
        if self.dry_run {
            return Ok(Answer::text(text, 0));
        }
        let version = self.version.unwrap_or_default();
        let package = PackageBuilder::new(&self.id, &version, &self.platform, &self.runtime);
        let settings = Arc::new(settings);
        let runtime = Runtime::new().map_err(or_exit(EXIT_NOT_DONE))?;
        let made = runtime.block_on(adopt(Arc::clone(&settings.updater), &division, &package, &self.id, &version));
        let Adopted { digest, version, package, size } = made.map_err(or_exit(EXIT_NOT_DONE))?;
        line("Release", &format!("{version} ({}, {size} bytes); nothing was moved", digest.short()));
        line("Package", &package.display().to_string());
        line(
            "Next",
            &format!("let the bot's start command run {}/current, and restart the bot", settings.root.display()),
        );
        line("", "sign the package, so that the fleet can come back to it: flota release sign");
        line("Undo", "flota-agent adopt --undo");
        Ok(Answer::text(text, 0))
    }
}
