//! An agent that has its updater at the other end of a socket: it connects again whenever the supervisor was away.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_daemon::lifecycle::Lifecycle;
use flota_model::update::UpdateReport;
use tokio::sync::{mpsc, watch};

use super::client::{CallError, Client, ConnectError, Service};
use super::message::Call;
use crate::driver::{UpdaterHandle, WAITING_GOALS, Want, WantError};
use crate::outside::{Origin, Outside};
use crate::settings::Component;

/// Pause before the supervisor is looked for again: systemd has it back in less than that.
const PAUSE: Duration = Duration::from_millis(500);
/// Pace of the reminder that there is none.
const REMINDER: Duration = Duration::from_secs(30);

/// Connects to the supervisor, waiting for it if need be, and stays connected as the outside of a controller's goals.
pub async fn attach(socket: &Path, outside: Arc<dyn Outside>, lifecycle: &Lifecycle) -> UpdaterHandle {
    let (wants_in, wants) = mpsc::channel(WAITING_GOALS);
    let service = Service { origin: Origin::Controller, outside };
    let (first, report) = first_report(socket, &service).await;
    let (reports, watched) = watch::channel(report);
    let (socket, stopping) = (socket.to_owned(), lifecycle.stopping());
    lifecycle.spawn_vital("supervisor's socket", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = stay(first, &socket, &service, wants, &reports) => {}
        }
    });
    UpdaterHandle { wants: wants_in, reports: watched }
}

async fn stay(
    mut client: Client,
    socket: &Path,
    service: &Service,
    mut wants: mpsc::Receiver<Want>,
    reports: &watch::Sender<UpdateReport>,
) {
    loop {
        attend(&client, &mut wants, reports).await;
        tracing::warn!(why = client.goodbye(), "the supervisor is away; looking for it");
        tokio::time::sleep(PAUSE).await;
        let report;
        (client, report) = first_report(socket, service).await;
        reports.send_replace(report);
    }
}

/// Until the connection ends.
async fn attend(client: &Client, wants: &mut mpsc::Receiver<Want>, reports: &watch::Sender<UpdateReport>) {
    let mut said = client.reports();
    loop {
        tokio::select! {
            changed = said.changed() => {
                if changed.is_err() {
                    return;
                }
                if let Some(report) = said.borrow_and_update().clone() {
                    reports.send_replace(report);
                }
            }
            Some(Want { desired, answer }) = wants.recv() => {
                let outcome = match client.call(Call::Want { desired }).await {
                    Ok(_) => Ok(()),
                    Err(CallError::Refused(why)) => Err(WantError::Refused(why)),
                    Err(CallError::Gone) => Err(WantError::Stopped),
                };
                // Whoever asked may be gone.
                let _ = answer.send(outcome);
            }
        }
    }
}

/// A connection, and where the host stands.
async fn first_report(socket: &Path, service: &Service) -> (Client, UpdateReport) {
    let mut reminded: Option<tokio::time::Instant> = None;
    loop {
        let why = match Client::connect(socket, Component::Bot, Some(service.clone())).await {
            Ok(client) => match said_first(&client).await {
                Some(report) => {
                    tracing::info!(socket = %socket.display(), "the supervisor is there");
                    return (client, report);
                }
                None => client.goodbye().unwrap_or_else(|| "it closed the connection".to_owned()),
            },
            Err(error @ ConnectError::Absent(_)) => error.to_string(),
            Err(error) => chain(&error),
        };
        if reminded.is_none_or(|reminded| reminded.elapsed() >= REMINDER) {
            tracing::warn!(why, "no supervisor; nothing is updated until there is one");
            reminded = Some(tokio::time::Instant::now());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn said_first(client: &Client) -> Option<UpdateReport> {
    let mut reports = client.reports();
    let said = reports.wait_for(Option::is_some).await;
    said.ok().and_then(|said| said.clone())
}
