//! `update apply`: a signed release from a folder, with the checks and gates of a rollout.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use flota_engine::State;
use flota_model::release::ReleaseRef;
use flota_model::update::Goal;
use flota_model::{Generation, RolloutId};
use flota_release::Bundle;
use flota_updater::Outside;
use flota_updater::settings::Component;
use flota_updater::socket::{Call, Client, Returned};
use tokio::runtime::Runtime;

use super::follow::{EXIT_REFUSED, answer, connect, follow, uncalled};
use super::{Known, Target, UNEXPECTED, receipt};
use crate::commands::environment;
use crate::commands::output::{Answer, Failure, or_exit};
use crate::outside::BundleSide;
use crate::procedures::{Environment, ExportFile};

#[derive(Args)]
pub(in crate::commands) struct Apply {
    #[command(flatten)]
    target: Target,
    /// The folder, as `flota release export` makes it
    folder: PathBuf,
    /// Which version [default: the newest whose package is there]
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// Copy the security export there as well, to be carried to the archive
    #[arg(long, value_name = "DIR")]
    exports: Option<PathBuf>,
    /// Write a receipt of the update there, for a controller that this host does not reach
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl Apply {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let known = self.target.load()?;
        let bundle = Bundle::open(&self.folder).map_err(or_exit(EXIT_REFUSED))?;
        let chosen = bundle
            .choose(self.release.as_deref(), |entry| holds(&entry.name, known.component))
            .map_err(or_exit(EXIT_REFUSED))?;
        let release = ReleaseRef { digest: chosen.digest, version: chosen.terms.version.clone(), size: chosen.size };
        let runtime = Runtime::new().map_err(or_exit(EXIT_REFUSED))?;
        runtime.block_on(self.apply(known, bundle.clone(), release))
    }

    async fn apply(self, known: Known, bundle: Bundle, release: ReleaseRef) -> Result<Answer, Failure> {
        let settings = Arc::clone(&known.settings);
        let environment = Environment::new(environment::variable);
        let outside = BundleSide::new(Arc::clone(&settings), environment, Some(bundle), self.exports.clone());
        let outside = Arc::new(outside);
        let serving = Arc::clone(&outside) as Arc<dyn Outside>;
        let client = connect(&known, Some(&serving)).await?;
        let generation = match under_way(&client, &release).await? {
            Some(generation) => generation,
            None => match client.call(Call::Apply { release: release.clone() }).await.map_err(uncalled)? {
                Returned::Accepted { generation } => generation,
                _ => return Err(Failure::because(UNEXPECTED, EXIT_REFUSED)),
            },
        };
        let (report, client) = follow(client, &known, Some(&serving), generation).await?;
        let mut answer = answer(&report, &known, &release.version);
        let export = outside.export_made().await;
        if let Some(ExportFile { path, digest, .. }) = &export {
            answer = answer.and(&format!("security export before it: {} (sha256 {digest})\n", path.display()));
        }
        if let Some(file) = &self.receipt {
            let state = asked_state(&client).await?.ok_or_else(|| Failure::because(UNEXPECTED, EXIT_REFUSED))?;
            receipt::write(&settings, &state, export.map(|export| export.digest), file).await?;
            answer = answer.and(&receipt::written(file));
        }
        Ok(answer)
    }
}

/// Whether a package of this name holds that, by the names that packages are built with. The updater looks into it.
fn holds(name: &str, component: Component) -> bool {
    let is_of = |component: Component| component.package_id().is_some_and(|id| name.starts_with(id));
    match component {
        Component::Bot => !Component::ALL.into_iter().any(is_of),
        program => is_of(program),
    }
}

async fn asked_state(client: &Client) -> Result<Option<State>, Failure> {
    match client.call(Call::State).await.map_err(uncalled)? {
        Returned::State { state } => Ok(state.map(|state| *state)),
        _ => Err(Failure::because(UNEXPECTED, EXIT_REFUSED)),
    }
}

/// The same update, asked for before this command was interrupted.
async fn under_way(client: &Client, release: &ReleaseRef) -> Result<Option<Generation>, Failure> {
    let Some(state) = asked_state(client).await?.filter(|state| !state.phase().is_rest() && state.waiting().is_none())
    else {
        return Ok(None);
    };
    let mine = state.accepted().filter(|desired| desired.rollout == RolloutId::ON_THE_HOST);
    Ok(mine.and_then(|desired| match &desired.goal {
        Goal::Install { release: wanted, .. } if wanted == release => Some(desired.generation),
        _ => None,
    }))
}
