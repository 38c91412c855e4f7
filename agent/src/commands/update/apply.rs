//! `update apply`: a signed release from a folder, with the checks and gates of a rollout.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use flota_model::release::ReleaseRef;
use flota_model::update::Goal;
use flota_model::{Generation, RolloutId};
use flota_release::Bundle;
use flota_updater::socket::{Call, Client, Returned};
use tokio::runtime::Runtime;

use super::UNEXPECTED;
use super::follow::{EXIT_REFUSED, answer, connect, follow, uncalled};
use crate::commands::output::{Answer, Failure, or_exit};
use crate::commands::{Config, environment};
use crate::outside::BundleSide;
use crate::procedures::{Environment, ExportFile};
use crate::settings::{EXIT_BAD_SETTINGS, Settings};

#[derive(Args)]
pub(in crate::commands) struct Apply {
    #[command(flatten)]
    config: Config,
    /// The folder, as `flota release export` makes it
    folder: PathBuf,
    /// Which version [default: the newest whose package is there]
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// Copy the security export there as well, to be carried to the archive
    #[arg(long, value_name = "DIR")]
    exports: Option<PathBuf>,
}

impl Apply {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = Arc::new(Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?);
        let bundle = Bundle::open(&self.folder).map_err(or_exit(EXIT_REFUSED))?;
        let chosen = bundle.choose(self.release.as_deref()).map_err(or_exit(EXIT_REFUSED))?;
        let release = ReleaseRef { digest: chosen.digest, version: chosen.terms.version.clone(), size: chosen.size };
        let runtime = Runtime::new().map_err(or_exit(EXIT_REFUSED))?;
        runtime.block_on(self.apply(settings, bundle.clone(), release))
    }

    async fn apply(self, settings: Arc<Settings>, bundle: Bundle, release: ReleaseRef) -> Result<Answer, Failure> {
        let environment = Environment::new(environment::variable);
        let outside = BundleSide::new(Arc::clone(&settings), environment, Some(bundle), self.exports);
        let outside = Arc::new(outside);
        let client = connect(&settings, Arc::clone(&outside) as Arc<_>).await?;
        let generation = match under_way(&client, &release).await? {
            Some(generation) => generation,
            None => match client.call(Call::Apply { release: release.clone() }).await.map_err(uncalled)? {
                Returned::Accepted { generation } => generation,
                _ => return Err(Failure::because(UNEXPECTED, EXIT_REFUSED)),
            },
        };
        let report = follow(&client, generation).await?;
        let answer = answer(&report, &release.version);
        Ok(match outside.export_made().await {
            Some(ExportFile { path, digest, .. }) => {
                answer.and(&format!("security export before it: {} (sha256 {digest})\n", path.display()))
            }
            None => answer,
        })
    }
}

/// The same update, asked for before this command was interrupted.
async fn under_way(client: &Client, release: &ReleaseRef) -> Result<Option<Generation>, Failure> {
    let Returned::State { state } = client.call(Call::State).await.map_err(uncalled)? else {
        return Err(Failure::because(UNEXPECTED, EXIT_REFUSED));
    };
    let Some(state) = state.filter(|state| !state.phase().is_rest()) else { return Ok(None) };
    let mine = state.accepted().filter(|desired| desired.rollout == RolloutId::ON_THE_HOST);
    Ok(mine.and_then(|desired| match &desired.goal {
        Goal::Install { release: wanted, .. } if wanted == release => Some(desired.generation),
        _ => None,
    }))
}
