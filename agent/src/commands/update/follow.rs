//! Follows an update to its end, with a line for each thing that happens.

use std::io::Write as _;
use std::sync::Arc;

use flota_model::Generation;
use flota_model::update::{UpdatePhase, UpdateReport};
use flota_updater::socket::{CallError, Client, ConnectError, Service};
use flota_updater::{Origin, Outside};

use crate::commands::output::{Answer, Failure, or_exit};
use crate::settings::Settings;

/// The host went back.
const EXIT_WENT_BACK: u8 = 1;
/// It was refused, or cannot be asked for; nothing was changed.
pub(super) const EXIT_REFUSED: u8 = 2;
/// Neither release is healthy: a person must help.
const EXIT_SAFE_HOLD: u8 = 3;
/// The updater went away: the update goes on where it was when it starts again.
const EXIT_GONE: u8 = 4;

/// Connects as the outside of what is asked for.
pub(super) async fn connect(settings: &Settings, outside: Arc<dyn Outside>) -> Result<Client, Failure> {
    let service = Service { origin: Origin::Host, outside };
    let client = Client::connect(&settings.updater.socket, Some(service)).await;
    client.map_err(|error: ConnectError| or_exit(EXIT_REFUSED)(error))
}

/// A refusal of the updater, or its end.
pub(super) fn uncalled(error: CallError) -> Failure {
    match error {
        CallError::Refused(why) => Failure::because(why, EXIT_REFUSED),
        CallError::Gone => or_exit(EXIT_GONE)(error),
    }
}

/// Waits for the end of a goal.
pub(super) async fn follow(client: &Client, generation: Generation) -> Result<UpdateReport, Failure> {
    let (mut reports, mut last) = (client.reports(), String::new());
    loop {
        let report = reports.borrow_and_update().clone();
        if report.as_ref().is_some_and(|report| report.generation > Some(generation)) {
            return Err(Failure::because("something newer was asked of this host: see update status", EXIT_REFUSED));
        }
        if let Some(report) = report.filter(|report| report.generation == Some(generation)) {
            let line = format!("{:<13} {}", report.phase.as_str(), report.detail);
            if line != last {
                // Nobody looking is no reason to stop.
                let _ = writeln!(std::io::stderr(), "{line}");
                last = line;
            }
            if report.phase.is_terminal() {
                return Ok(report);
            }
        }
        if reports.changed().await.is_err() {
            let why = client.goodbye().map_or(CallError::Gone, CallError::Refused);
            return Err(uncalled(why));
        }
    }
}

/// The end, in a sentence and a code.
pub(super) fn answer(report: &UpdateReport, wanted: &str) -> Answer {
    let runs = if report.version.is_empty() { "nothing" } else { &report.version };
    let (sentence, code) = match report.phase {
        UpdatePhase::Committed => (format!("{runs} runs here."), 0),
        UpdatePhase::RolledBack => (format!("{wanted} did not prove healthy; {runs} runs here again."), EXIT_WENT_BACK),
        UpdatePhase::SafeHold => {
            ("neither release is healthy: the bot is stopped, and a person must help.".to_owned(), EXIT_SAFE_HOLD)
        }
        _ => (format!("{wanted} was refused; nothing was changed, {runs} runs on."), EXIT_REFUSED),
    };
    let why = if code == 0 || report.detail.is_empty() { String::new() } else { format!("why: {}\n", report.detail) };
    Answer::text(format!("{sentence}\n{why}"), code)
}
