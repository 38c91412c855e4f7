//! `update cancel` and `update rollback`.

use std::sync::Arc;

use clap::Args;
use flota_model::Digest;
use flota_updater::socket::{Call, Client, Returned};
use tokio::runtime::Runtime;

use super::UNEXPECTED;
use super::follow::{EXIT_REFUSED, answer, connect, follow, uncalled};
use crate::commands::output::{Answer, Failure, or_exit};
use crate::commands::{Config, environment};
use crate::outside::BundleSide;
use crate::procedures::Environment;
use crate::settings::{EXIT_BAD_SETTINGS, Settings};

#[derive(Args)]
pub(in crate::commands) struct Cancel {
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
pub(in crate::commands) struct Rollback {
    #[command(flatten)]
    config: Config,
    /// SHA-256 of the package that is to run again, as `status` shows it; anything else is refused
    #[arg(long, value_name = "SHA256")]
    expect: Option<Digest>,
}

impl Cancel {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let runtime = Runtime::new().map_err(or_exit(EXIT_REFUSED))?;
        runtime.block_on(cancel(&settings))
    }
}

/// A bot that was asked to come to rest trades again before this returns.
async fn cancel(settings: &Settings) -> Result<Answer, Failure> {
    let client = Client::connect(&settings.updater.socket, None).await.map_err(or_exit(EXIT_REFUSED))?;
    let Returned::Accepted { generation } = client.call(Call::Cancel).await.map_err(uncalled)? else {
        return Err(Failure::because(UNEXPECTED, EXIT_REFUSED));
    };
    let report = follow(&client, generation).await?;
    let runs = if report.version.is_empty() { "what ran" } else { &report.version };
    Ok(Answer::text(format!("called off: {runs} runs on.\n"), 0))
}

impl Rollback {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = Arc::new(Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?);
        let runtime = Runtime::new().map_err(or_exit(EXIT_REFUSED))?;
        runtime.block_on(self.roll_back(settings))
    }

    async fn roll_back(self, settings: Arc<Settings>) -> Result<Answer, Failure> {
        let environment = Environment::new(environment::variable);
        let outside = Arc::new(BundleSide::new(Arc::clone(&settings), environment, None, None));
        let client = connect(&settings, outside).await?;
        match client.call(Call::RollBack { expected: self.expect }).await.map_err(uncalled)? {
            Returned::Accepted { generation } => Ok(answer(&follow(&client, generation).await?, "the release before")),
            _ => Err(Failure::because(UNEXPECTED, EXIT_REFUSED)),
        }
    }
}
