//! Whether a release proves healthy: its bot, and the exchange.

use flota_daemon::error_chain::chain;
use flota_procedures::health::{CheckResult, Status};

use super::effects::Host;
use crate::procedures::{self, present};
use crate::settings::ExchangeCheck;

impl Host {
    /// Asks until the bot was healthy so many times in a row, and the exchange answers; not longer than probation.
    pub(super) async fn watch(&self, exchange: ExchangeCheck) -> Result<(), String> {
        let limit = self.settings.update.probation;
        let mut last = "it never answered".to_owned();
        match tokio::time::timeout(limit, self.watch_without_end(exchange, &mut last)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("not healthy within {} s: {last}", limit.as_secs())),
        }
    }

    async fn watch_without_end(&self, exchange: ExchangeCheck, last: &mut String) {
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
                match self.exchange(exchange).await {
                    Ok(()) => return,
                    Err(why) => *last = why,
                }
            }
            tokio::time::sleep(update.health_interval).await;
        }
    }

    pub(super) async fn exchange(&self, check: ExchangeCheck) -> Result<(), String> {
        if check == ExchangeCheck::Skipped || self.settings.health.is_none() {
            return Ok(());
        }
        match procedures::check_exchange(&self.settings, &[], &self.environment, &present).await {
            // Degraded is slow or near a limit: it trades, and no release is to blame.
            Ok(report) if report.overall() < Status::Unavailable => Ok(()),
            Ok(report) => {
                let failed = report.results().iter().filter(|result| result.status() == Status::Unavailable);
                let failed: Vec<_> = failed.map(CheckResult::name).collect();
                Err(format!("the exchange check failed: {}", failed.join(", ")))
            }
            Err(error) => Err(format!("the exchange could not be checked: {}", chain(&error))),
        }
    }
}
