//! Writes verdicts in groups: the disk is waited for once for all that came in while it was busy.
//!
//! A verdict counts when it is stored; whoever recorded it waits for that.

use std::sync::Arc;

use flota_model::audit::AuditEntry;
use flota_store::{Store, VerdictRecord};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::fault::{Code, Fault};

/// Verdicts of one transaction. A larger group makes nobody faster and everybody wait longer.
const GROUP: usize = 256;
/// Verdicts that may wait. Sessions whose verdict does not fit wait for room.
const WAITING: usize = 4096;

type Entry = (VerdictRecord, Vec<AuditEntry>);

struct Pending {
    entry: Entry,
    stored: oneshot::Sender<Result<(), Fault>>,
}

/// Takes verdicts.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Pending>,
}

/// The other end, for [`keep_recording`].
pub struct Queue(mpsc::Receiver<Pending>);

impl Recorder {
    /// A recorder and its queue.
    pub fn new() -> (Self, Queue) {
        let (queue, pending) = mpsc::channel(WAITING);
        (Self { queue }, Queue(pending))
    }

    /// Stores a verdict; returns when it is stored.
    pub async fn record(&self, verdict: VerdictRecord, audit: Vec<AuditEntry>) -> Result<(), Fault> {
        let stopped = || Fault::new(Code::Unavailable, "the controller is stopping");
        let (stored, answer) = oneshot::channel();
        self.queue.send(Pending { entry: (verdict, audit), stored }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// Stores what is recorded until told to stop; what is in the queue then is stored first.
pub async fn keep_recording(store: Arc<dyn Store>, Queue(mut queue): Queue, stopping: CancellationToken) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        tokio::select! {
            biased;
            received = queue.recv_many(&mut group, GROUP) => if received == 0 { return },
            () = stopping.cancelled() => return,
        }
        store_group(&*store, &mut group).await;
    }
}

async fn store_group(store: &dyn Store, group: &mut Vec<Pending>) {
    let (entries, waiting): (Vec<Entry>, Vec<_>) = group.drain(..).map(|one| (one.entry, one.stored)).unzip();
    match store.record_verdicts(&entries).await {
        // A session that has ended meanwhile does not wait any more; its verdict is stored all the same.
        Ok(()) => waiting.into_iter().for_each(|stored| drop(stored.send(Ok(())))),
        Err(error) if entries.len() == 1 => {
            if let Some(stored) = waiting.into_iter().next() {
                drop(stored.send(Err(error.into())));
            }
        }
        // One of them cannot be stored: the others shall not suffer for it.
        Err(_) => {
            for (entry, stored) in entries.into_iter().zip(waiting) {
                let alone = store.record_verdicts(&[entry]).await.map_err(Fault::from);
                drop(stored.send(alone));
            }
        }
    }
}
