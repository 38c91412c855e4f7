//! Tasks: security exports and health checks that the controller asks for.
//!
//! A task that is offered again (after a lost connection, say) is not done twice: its result is sent again.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use flota_daemon::error_chain::chain;
use flota_procedures::health::CheckName;
use flota_proto::v1;
use flota_proto::v1::task_offer::Kind;
use flota_proto::v1::task_result::Result as Outcome;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::transfer::ControllerTransfer;
use crate::procedures::{self, Environment};
use crate::settings::Settings;

/// Results remembered for repeated offers. The oldest are forgotten; the controller takes a result once anyway.
const REMEMBERED: usize = 256;
/// Results that may wait for the session.
pub(super) const WAITING: usize = 64;

/// What tasks need.
#[derive(Clone)]
pub(super) struct Workshop {
    pub(super) settings: Arc<Settings>,
    pub(super) environment: Environment,
    pub(super) transfer: Arc<ControllerTransfer>,
    pub(super) results: mpsc::Sender<v1::TaskResult>,
}

/// Tasks taken so far; none while one is under way.
#[derive(Default)]
pub(super) struct Tasks {
    taken: HashMap<String, Option<v1::TaskResult>>,
    order: std::collections::VecDeque<String>,
}

/// What to do with an offer.
pub(super) enum Offer {
    /// It is new: do it.
    New,
    /// It is under way.
    UnderWay,
    /// It is done: send this again.
    Done(Box<v1::TaskResult>),
}

impl Tasks {
    pub(super) fn take(&mut self, id: &str) -> Offer {
        match self.taken.get(id) {
            Some(None) => return Offer::UnderWay,
            Some(Some(result)) => return Offer::Done(Box::new(result.clone())),
            None => {}
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.taken.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.taken.insert(id.to_owned(), None);
        Offer::New
    }

    pub(super) fn finish(&mut self, result: &v1::TaskResult) {
        if let Some(slot) = self.taken.get_mut(&result.id) {
            *slot = Some(result.clone());
        }
    }
}

/// Does a task and hands its result over.
pub(super) async fn carry_out(workshop: Workshop, offer: v1::TaskOffer) {
    let done = match offer.kind {
        Some(Kind::Export(v1::ExportTask { reason: _ })) => export(&workshop).await,
        Some(Kind::Health(v1::HealthTask { checks })) => health(&workshop, &checks).await,
        None => Err("this agent does not know that kind of task: update the agent".to_owned()),
    };
    let result = match done {
        Ok(outcome) => v1::TaskResult { id: offer.id, ok: true, detail: String::new(), result: Some(outcome) },
        Err(detail) => v1::TaskResult { id: offer.id, ok: false, detail, result: None },
    };
    if workshop.results.send(result).await.is_err() {
        tracing::debug!("the agent stops; the controller will offer the task again");
    }
}

async fn export(workshop: &Workshop) -> Result<Outcome, String> {
    let settings = Arc::clone(&workshop.settings);
    let work = tokio::task::spawn_blocking(move || procedures::take_export(&settings, Timestamp::now()));
    let made = work.await.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
    workshop.transfer.upload(&made).await.map_err(|error| chain(&error))?;
    Ok(Outcome::Export(super::transfer::result(&made, None)))
}

async fn health(workshop: &Workshop, checks: &[String]) -> Result<Outcome, String> {
    let checks: Result<Vec<CheckName>, _> = checks.iter().map(|name| CheckName::from_str(name)).collect();
    let checks = checks.map_err(|error| chain(&error))?;
    let report = procedures::check_exchange(&workshop.settings, &checks, &workshop.environment, &Timestamp::now);
    let report = report.await.map_err(|error| chain(&error))?;
    Ok(Outcome::Health(v1::HealthResult {
        overall: report.overall().name().to_owned(),
        report_json: report.to_json().pretty(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_offer_is_answered_and_not_done_again() {
        let mut tasks = Tasks::default();
        assert!(matches!(tasks.take("a"), Offer::New));
        assert!(matches!(tasks.take("a"), Offer::UnderWay));
        tasks.finish(&v1::TaskResult { id: "a".into(), ok: true, ..v1::TaskResult::default() });
        assert!(matches!(tasks.take("a"), Offer::Done(result) if result.ok));
    }

    #[test]
    fn old_results_are_forgotten() {
        let mut tasks = Tasks::default();
        for number in 0..=REMEMBERED {
            assert!(matches!(tasks.take(&number.to_string()), Offer::New));
        }
        assert_eq!(tasks.taken.len(), REMEMBERED);
        assert!(matches!(tasks.take("0"), Offer::New));
    }
}
