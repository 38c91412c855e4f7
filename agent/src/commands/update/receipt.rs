//! `update receipt`: what became of the newest update, signed, for a controller that this host does not reach.

use std::path::{Path, PathBuf};

use clap::Args;
use flota_engine::State;
use flota_model::Digest;
use flota_procedures::durable;
use tokio::runtime::Runtime;

use super::{Known, state};
use crate::commands::Config;
use crate::commands::output::{Answer, Failure, or_exit};
use crate::receipt::seal;
use crate::settings::{EXIT_BAD_SETTINGS, Settings};

/// There is no receipt.
const EXIT_NONE: u8 = 1;
/// Permissions: there is nothing secret in it, and it is carried elsewhere.
const MODE: u32 = 0o644;

#[derive(Args)]
pub(in crate::commands) struct Receipt {
    #[command(flatten)]
    config: Config,
    /// Where to write it
    file: PathBuf,
}

impl Receipt {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let known = Known::of_the_bot(settings);
        let state = state(&known).map_err(|why| Failure::because(why, EXIT_NONE))?;
        let Some(state) = state.filter(|state| state.accepted().is_some()) else {
            return Err(Failure::because("no update yet: there is nothing to give a receipt of", EXIT_NONE));
        };
        let runtime = Runtime::new().map_err(or_exit(EXIT_NONE))?;
        runtime.block_on(write(&known.settings, &state, None, &self.file))?;
        Ok(Answer::text(written(&self.file), 0))
    }
}

/// Writes the receipt.
pub(super) async fn write(
    settings: &Settings,
    state: &State,
    export: Option<Digest>,
    file: &Path,
) -> Result<(), Failure> {
    let sealed = seal(settings, state, export).await.map_err(or_exit(EXIT_NONE))?;
    let text = serde_json::to_string_pretty(&sealed).map_err(or_exit(EXIT_NONE))? + "\n";
    durable::write_file(file, MODE, text.as_bytes()).map_err(or_exit(EXIT_NONE))
}

/// A sentence on it.
pub(super) fn written(file: &Path) -> String {
    format!("receipt: {} (for the controller: flota receipt import FILE)\n", file.display())
}
