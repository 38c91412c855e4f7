//! Owns the state: takes events in, writes the state down, acts, and tells where the host stands.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_daemon::lifecycle::Lifecycle;
use flota_engine::{Effect, Event, Rejected, State, report, step};
use flota_model::update::{DesiredState, UpdateReport};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::effects::Host;
use crate::history;
use crate::journal::{Journal, JournalError};
use crate::outside::{Origin, Outsides};
use crate::settings::UpdaterSettings;
use crate::slots::{SlotError, Slots};

/// Goals that may wait for the updater. They supersede each other, so more would only be older.
pub(crate) const WAITING_GOALS: usize = 4;
/// Pause before the state is written again after that failed. A full disk does not empty in a second.
const JOURNAL_PAUSE: Duration = Duration::from_secs(5);

/// The task that brings the host to what is wanted of it.
pub struct Updater {
    pub(crate) state: State,
    journal: Arc<Journal>,
    pub(crate) host: Arc<Host>,
    wants: mpsc::Receiver<Want>,
    reports: watch::Sender<UpdateReport>,
    /// The effect that the state waits for, under way.
    pub(crate) work: Option<(Effect, UnderWay)>,
}

/// An effect under way, to end in an event.
type UnderWay = Pin<Box<dyn Future<Output = Event> + Send>>;

/// Speaks to the updater, in this process or at the other end of a socket; may be cloned.
#[derive(Debug, Clone)]
pub struct UpdaterHandle {
    pub(crate) wants: mpsc::Sender<Want>,
    pub(crate) reports: watch::Receiver<UpdateReport>,
}

/// Why there is no updater.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The journal cannot be used.
    #[error("opening the update journal")]
    Journal(#[from] JournalError),
    /// The releases cannot be used.
    #[error("looking at the installed releases")]
    Slots(#[from] SlotError),
}

/// Why a goal was not taken.
#[derive(Debug, thiserror::Error)]
pub enum WantError {
    /// It is stale, or contradicts what was said before.
    #[error("the goal was refused")]
    Rejected(#[from] Rejected),
    /// The same, in the words of an updater at the other end of a socket.
    #[error("the goal was refused: {0}")]
    Refused(String),
    /// The agent is stopping.
    #[error("the updater has stopped")]
    Stopped,
}

/// A goal, and where the answer to it goes.
#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) desired: DesiredState,
    pub(crate) answer: oneshot::Sender<Result<(), WantError>>,
}

impl Updater {
    /// Opens the journal and starts the updater, which first finishes what a crash interrupted.
    pub fn spawn(
        settings: Arc<UpdaterSettings>,
        outsides: Outsides,
        lifecycle: &Lifecycle,
    ) -> Result<UpdaterHandle, SpawnError> {
        let stopping = lifecycle.stopping();
        let (updater, handle) = Self::open(settings, outsides, stopping.clone())?;
        lifecycle.spawn_vital("updater", async move {
            // Dropped wherever it is: the journal knows how to go on.
            tokio::select! {
                () = stopping.cancelled() => {}
                () = updater.run() => {}
            }
        });
        Ok(handle)
    }

    pub(crate) fn open(
        settings: Arc<UpdaterSettings>,
        outsides: Outsides,
        stopping: CancellationToken,
    ) -> Result<(Self, UpdaterHandle), SpawnError> {
        let (journal, state) = Journal::open(&settings.state_dir)?;
        let slots = Slots::open(&settings.root)?;
        // A host without a journal is what its `current` says it is.
        let state = match state {
            Some(state) => state,
            None => State::new(slots.current()?),
        };
        let (wants_in, wants) = mpsc::channel(WAITING_GOALS);
        let (reports, watched) = watch::channel(report(&state));
        let host = Arc::new(Host::new(settings, outsides, slots, stopping));
        let updater = Self { state, journal: Arc::new(journal), host, wants, reports, work: None };
        Ok((updater, UpdaterHandle { wants: wants_in, reports: watched }))
    }

    /// Runs until every handle is gone and nothing is under way.
    pub(crate) async fn run(mut self) {
        self.begin().await;
        while self.turn().await {}
    }

    /// Takes up what an earlier life left.
    pub(crate) async fn begin(&mut self) {
        let current = self.host.slots.current();
        let current = current.unwrap_or_else(|error| {
            tracing::error!(error = chain(&error), "what `current` names is unknown; going by the journal");
            self.state.running().cloned()
        });
        // A crash may have come between an end and its note.
        self.note_end().await;
        // No state rejects it.
        let _ = self.apply(&Event::Restarted { current }).await;
    }

    /// Waits for one event and lets it happen; false when there will be no more.
    pub(crate) async fn turn(&mut self) -> bool {
        let event = match &mut self.work {
            Some((_, outcome)) => tokio::select! {
                event = outcome => event,
                Some(want) = self.wants.recv() => {
                    self.receive(want).await;
                    return true;
                }
            },
            None => match self.wants.recv().await {
                Some(want) => {
                    self.receive(want).await;
                    return true;
                }
                None => return false,
            },
        };
        self.work = None;
        if let Err(rejected) = self.apply(&event).await {
            tracing::error!(error = %rejected, "an effect ended in a state that does not know it");
        }
        true
    }

    async fn receive(&mut self, Want { desired, answer }: Want) {
        let generation = desired.generation.number();
        let outcome = self.apply(&Event::Desired(desired)).await;
        if let Err(rejected) = &outcome {
            tracing::warn!(generation, error = %rejected, "a goal was refused");
        }
        // Whoever asked may be gone.
        let _ = answer.send(outcome.map_err(WantError::Rejected));
    }

    /// Decides, writes down, then acts; in this order.
    async fn apply(&mut self, event: &Event) -> Result<(), Rejected> {
        let (next, effects) = step(&self.state, event)?;
        if next != self.state {
            write_down(&self.journal, &next).await;
            let of = self.host.settings.package.component.name();
            tracing::info!(of, event = event.name(), phase = next.phase().name(), detail = next.detail(), "update");
            self.state = next;
            self.note_end().await;
        }
        for effect in effects {
            self.act(effect).await;
        }
        Ok(())
    }

    /// Notes how an update ended, once its end is on disk.
    async fn note_end(&mut self) {
        if !self.state.phase().is_rest() {
            return;
        }
        let (host, state) = (Arc::clone(&self.host), self.state.clone());
        // A panic in there was reported by the runtime, and the update stands.
        let noted = tokio::task::spawn_blocking(move || history::note(&host.settings.state_dir, &state)).await;
        if let Ok(Some(entry)) = noted {
            self.host.outsides.of(Origin::of(entry.rollout)).ended(&entry).await;
        }
    }

    /// Whose goal is worked on.
    fn origin(&self) -> Origin {
        self.state.accepted().map_or(Origin::Controller, |desired| Origin::of(desired.rollout))
    }

    async fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Report => {
                self.reports.send_replace(report(&self.state));
            }
            Effect::Cleanup { keep } => {
                // Whatever was under way is over; its files go.
                self.work = None;
                self.host.sweep(keep).await;
            }
            work if self.work.as_ref().is_some_and(|(under_way, _)| *under_way == work) => {}
            work => {
                let (host, effect, origin) = (Arc::clone(&self.host), work.clone(), self.origin());
                self.work = Some((work, Box::pin(async move { host.perform(&effect, origin).await })));
            }
        }
    }
}

impl UpdaterHandle {
    /// Tells the updater what is wanted; returns once that is on disk, or with why it is not taken.
    pub async fn want(&self, desired: DesiredState) -> Result<(), WantError> {
        let (answer, answered) = oneshot::channel();
        self.wants.send(Want { desired, answer }).await.map_err(|_| WantError::Stopped)?;
        answered.await.map_err(|_| WantError::Stopped)?
    }

    /// Where the host stands, newest first and only: reports in between may be missed, their sequence tells.
    pub fn reports(&self) -> watch::Receiver<UpdateReport> {
        self.reports.clone()
    }
}

/// Returns once the state is on disk. As long as it is not, nothing may be done, so there is nothing else to do.
async fn write_down(journal: &Arc<Journal>, state: &State) {
    loop {
        let (journal, state) = (Arc::clone(journal), state.clone());
        match tokio::task::spawn_blocking(move || journal.write(&state)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(error = chain(&error), "the update state cannot be written; waiting"),
            Err(error) => tracing::error!(error = chain(&error), "the update state was not written; trying again"),
        }
        tokio::time::sleep(JOURNAL_PAUSE).await;
    }
}
