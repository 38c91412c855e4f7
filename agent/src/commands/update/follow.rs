//! Follows an update to its end, with a line for each thing that happens.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flota_model::Generation;
use flota_model::update::{UpdatePhase, UpdateReport};
use flota_updater::settings::Component;
use flota_updater::socket::{CallError, Client, ConnectError, Service};
use flota_updater::{Origin, Outside};
use tokio::time::Instant;

use super::Known;
use crate::commands::output::{Answer, Failure, or_exit};

/// The host went back.
const EXIT_WENT_BACK: u8 = 1;
/// It was refused, or cannot be asked for; nothing was changed.
pub(super) const EXIT_REFUSED: u8 = 2;
/// Neither release is healthy: a person must help.
const EXIT_SAFE_HOLD: u8 = 3;
/// The updater went away: the update goes on where it was when it starts again.
const EXIT_GONE: u8 = 4;

/// How long an updater that went away is waited for.
const RETURN_BOUND: Duration = Duration::from_mins(1);
/// Pause before it is looked for again.
const RETURN_PAUSE: Duration = Duration::from_millis(200);

/// Connects, as the outside of what is asked for if there is one.
pub(super) async fn connect(known: &Known, outside: Option<&Arc<dyn Outside>>) -> Result<Client, Failure> {
    let service = outside.map(|outside| Service { origin: Origin::Host, outside: Arc::clone(outside) });
    let client = Client::connect(&known.settings.updater.socket, known.component, service).await;
    client.map_err(|error: ConnectError| or_exit(EXIT_REFUSED)(error))
}

/// A refusal of the updater, or its end.
pub(super) fn uncalled(error: CallError) -> Failure {
    match error {
        CallError::Refused(why) => Failure::because(why, EXIT_REFUSED),
        CallError::Gone => or_exit(EXIT_GONE)(error),
    }
}

/// Waits for the end of a goal, also through a restart of the updater, which a supervisor's own update takes.
pub(super) async fn follow(
    mut client: Client,
    known: &Known,
    outside: Option<&Arc<dyn Outside>>,
    generation: Generation,
) -> Result<(UpdateReport, Client), Failure> {
    let mut last = String::new();
    loop {
        if let Some(report) = follow_here(&client, generation, &mut last).await? {
            return Ok((report, client));
        }
        let deadline = Instant::now() + RETURN_BOUND;
        client = loop {
            tokio::time::sleep(RETURN_PAUSE).await;
            match connect(known, outside).await {
                Ok(client) => break client,
                Err(_) if Instant::now() < deadline => {}
                Err(_) => return Err(uncalled(CallError::Gone)),
            }
        };
    }
}

/// The same over one connection; none if that ends first.
async fn follow_here(
    client: &Client,
    generation: Generation,
    last: &mut String,
) -> Result<Option<UpdateReport>, Failure> {
    let mut reports = client.reports();
    loop {
        let report = reports.borrow_and_update().clone();
        if report.as_ref().is_some_and(|report| report.generation > Some(generation)) {
            return Err(Failure::because("something newer was asked of this host: see update status", EXIT_REFUSED));
        }
        if let Some(report) = report.filter(|report| report.generation == Some(generation)) {
            let line = format!("{:<13} {}", report.phase.as_str(), report.detail);
            if line != *last {
                // Nobody looking is no reason to stop.
                let _ = writeln!(std::io::stderr(), "{line}");
                *last = line;
            }
            if report.phase.is_terminal() {
                return Ok(Some(report));
            }
        }
        if reports.changed().await.is_err() {
            return client.goodbye().map_or(Ok(None), |why| Err(uncalled(CallError::Refused(why))));
        }
    }
}

/// The end, in a sentence and a code.
pub(super) fn answer(report: &UpdateReport, known: &Known, wanted: &str) -> Answer {
    let runs = match (report.version.as_str(), known.component) {
        ("", Component::Bot) => "nothing",
        ("", _) => "the installed program",
        (version, _) => version,
    };
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
