//! Whether a release proves healthy: its bot, and the exchange.

use flota_daemon::error_chain::chain;
use tokio::time::Instant;

use crate::effects::Host;
use crate::outside::Outside;
use crate::service::is_named;
use crate::settings::{Component, ExchangeCheck};

impl Host {
    /// Asks until the bot was healthy so many times in a row, and the exchange answers; not longer than probation.
    pub(crate) async fn watch(&self, outside: &dyn Outside, check: ExchangeCheck) -> Result<(), String> {
        let limit = self.settings.update.probation;
        let mut last = "it never answered".to_owned();
        match tokio::time::timeout(limit, self.watch_without_end(outside, check, &mut last)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("not healthy within {} s: {last}", limit.as_secs())),
        }
    }

    /// Goes on asking for as long as the settings say; so many failures in a row as there must be healthy answers are too
    /// many.
    pub(crate) async fn soak(&self) -> Result<(), String> {
        let update = &self.settings.update;
        let Some(soak) = update.soak else { return Ok(()) };
        let (end, mut in_a_row) = (Instant::now() + soak, 0);
        while Instant::now() < end {
            match self.healthy().await {
                Ok(()) => in_a_row = 0,
                Err(why) => {
                    in_a_row += 1;
                    if in_a_row >= update.health_polls.get() {
                        return Err(format!("it did not stay healthy for {} s: {why}", soak.as_secs()));
                    }
                }
            }
            tokio::time::sleep(update.health_interval).await;
        }
        Ok(())
    }

    /// Whether what is updated is well. An agent that does not come to its supervisor is none; and where a release of it does not
    /// run, the installed one does, and comes.
    async fn healthy(&self) -> Result<(), String> {
        self.bot.health().await.map_err(|error| chain(&error))?;
        if self.settings.package.component != Component::Agent {
            return Ok(());
        }
        let program = self.outsides.controller.program();
        let program = program.ok_or("the agent does not connect to the supervisor")?;
        match is_named(&self.settings.root, &program) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("another agent runs in its place: {}", program.display())),
            Err(error) => Err(format!("which agent runs cannot be told: {error}")),
        }
    }

    async fn watch_without_end(&self, outside: &dyn Outside, check: ExchangeCheck, last: &mut String) {
        let update = &self.settings.update;
        let mut in_a_row = 0;
        loop {
            match self.healthy().await {
                Ok(()) => in_a_row += 1,
                Err(why) => {
                    in_a_row = 0;
                    *last = why;
                }
            }
            if in_a_row >= update.health_polls.get() {
                match exchange(outside, check).await {
                    Ok(()) => return,
                    Err(why) => *last = why,
                }
            }
            tokio::time::sleep(update.health_interval).await;
        }
    }
}

/// Asks whether the exchange would trade, where that counts.
pub(crate) async fn exchange(outside: &dyn Outside, check: ExchangeCheck) -> Result<(), String> {
    match check {
        ExchangeCheck::Required => outside.exchange().await,
        ExchangeCheck::Skipped => Ok(()),
    }
}
