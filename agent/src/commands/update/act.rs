//! `update cancel` and `update rollback`.

use std::sync::Arc;

use clap::Args;
use flota_model::Digest;
use flota_updater::Outside;
use flota_updater::socket::{Call, Returned};
use tokio::runtime::Runtime;

use super::follow::{EXIT_REFUSED, answer, connect, follow, uncalled};
use super::{Known, Target, UNEXPECTED};
use crate::commands::environment;
use crate::commands::output::{Answer, Failure, or_exit};
use crate::outside::BundleSide;
use crate::procedures::Environment;

#[derive(Args)]
pub(in crate::commands) struct Cancel {
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub(in crate::commands) struct Rollback {
    #[command(flatten)]
    target: Target,
    /// SHA-256 of the package that is to run again, as `status` shows it; anything else is refused
    #[arg(long, value_name = "SHA256")]
    expect: Option<Digest>,
}

impl Cancel {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let known = self.target.load()?;
        let runtime = Runtime::new().map_err(or_exit(EXIT_REFUSED))?;
        runtime.block_on(cancel(&known))
    }
}

/// A bot that was asked to come to rest trades again before this returns.
async fn cancel(known: &Known) -> Result<Answer, Failure> {
    let client = connect(known, None).await?;
    let Returned::Accepted { generation } = client.call(Call::Cancel).await.map_err(uncalled)? else {
        return Err(Failure::because(UNEXPECTED, EXIT_REFUSED));
    };
    let (report, _) = follow(client, known, None, generation).await?;
    let runs = if report.version.is_empty() { "what ran" } else { &report.version };
    Ok(Answer::text(format!("called off: {runs} runs on.\n"), 0))
}

impl Rollback {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let known = self.target.load()?;
        let runtime = Runtime::new().map_err(or_exit(EXIT_REFUSED))?;
        runtime.block_on(self.roll_back(known))
    }

    async fn roll_back(self, known: Known) -> Result<Answer, Failure> {
        let environment = Environment::new(environment::variable);
        let outside: Arc<dyn Outside> = Arc::new(BundleSide::new(Arc::clone(&known.settings), environment, None, None));
        let client = connect(&known, Some(&outside)).await?;
        match client.call(Call::RollBack { expected: self.expect }).await.map_err(uncalled)? {
            Returned::Accepted { generation } => {
                let (report, _) = follow(client, &known, Some(&outside), generation).await?;
                Ok(answer(&report, &known, "the release before"))
            }
            _ => Err(Failure::because(UNEXPECTED, EXIT_REFUSED)),
        }
    }
}
