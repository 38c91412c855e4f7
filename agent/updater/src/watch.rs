//! Whether a release proves healthy: its bot, and the exchange.

use flota_daemon::error_chain::chain;

use crate::effects::Host;
use crate::outside::Outside;
use crate::settings::ExchangeCheck;

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

    async fn watch_without_end(&self, outside: &dyn Outside, check: ExchangeCheck, last: &mut String) {
        let update = &self.settings.update;
        let mut in_a_row = 0;
        loop {
            match self.bot.health().await {
                Ok(()) => in_a_row += 1,
                Err(error) => {
                    in_a_row = 0;
                    *last = chain(&error);
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
