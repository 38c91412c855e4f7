//! The thread that owns the TPM.
//!
//! A connection of libtss2 is one blocking conversation; so one thread holds it, takes requests from a bounded queue
//! and answers each on a channel of its own. Whoever asks waits no longer than the deadline, whatever the TPM does.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::identity::Identity;
use crate::tpm::TpmConfig;
use crate::{KeyChoice, TpmError};

/// Opening may make an RSA key, for which hardware TPMs take from one to tens of seconds.
const OPEN_DEADLINE: Duration = Duration::from_mins(1);
/// The slowest command, an activation that must first make the EK, takes seconds; everything else well under one.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);
/// How long the last user waits for the TPM's slots to be freed.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// An agent has one attestation and a few handshakes in flight. More waiting than this means a TPM that hangs.
const QUEUE: usize = 16;

type Job = Box<dyn FnOnce(&mut Device) + Send>;

/// The way to the owner thread, which ends when this is dropped.
pub(crate) struct Owner {
    jobs: Option<SyncSender<Job>>,
    /// Disconnects when the thread has flushed the TPM and ends.
    ended: Mutex<Receiver<()>>,
}

impl Owner {
    /// Starts the thread and opens the TPM in it.
    pub(crate) fn start(config: TpmConfig, choice: KeyChoice) -> Result<(Self, Identity), TpmError> {
        const DOING: &str = "opening the TPM";
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        let (ending, ended) = sync_channel(0);
        let (reply, answer) = sync_channel(1);
        thread::Builder::new()
            .name("tpm".to_owned())
            .spawn(move || {
                // Moved in to be dropped last, after the device.
                let _ending: SyncSender<()> = ending;
                match Device::open(config, choice) {
                    Ok((device, identity)) => {
                        let _ = reply.send(Ok(identity));
                        serve(device, &queue);
                    }
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                }
            })
            .map_err(|source| TpmError::Thread { source })?;
        let owner = Self { jobs: Some(jobs), ended: Mutex::new(ended) };
        let identity = receive(&answer, Instant::now() + OPEN_DEADLINE, OPEN_DEADLINE, DOING)?;
        Ok((owner, identity))
    }

    /// Runs `command` on the owner thread and waits for its answer.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        doing: &'static str,
        command: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let expires = Instant::now() + COMMAND_DEADLINE;
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |device| {
            // Nobody waits any more for a request that spent its time in the queue.
            if Instant::now() < expires {
                let _ = reply.send(command(device));
            }
        });
        let jobs = self.jobs.as_ref().ok_or(TpmError::Ended { doing })?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => TpmError::Busy { doing, source: None },
            TrySendError::Disconnected(_) => TpmError::Ended { doing },
        })?;
        receive(&answer, expires, COMMAND_DEADLINE, doing)
    }
}

impl Drop for Owner {
    /// Waits for the thread to free the TPM's slots: if the process ended first, a TPM without a resource manager
    /// would keep them occupied.
    fn drop(&mut self) {
        self.jobs = None;
        if let Ok(ended) = self.ended.get_mut() {
            let _ = ended.recv_timeout(CLOSE_DEADLINE);
        }
    }
}

fn serve(mut device: Device, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(&mut device);
    }
}

fn receive<T>(
    answer: &Receiver<Result<T, TpmError>>,
    expires: Instant,
    deadline: Duration,
    doing: &'static str,
) -> Result<T, TpmError> {
    match answer.recv_timeout(expires.saturating_duration_since(Instant::now())) {
        Ok(outcome) => outcome,
        // An expired request is dropped unanswered by the owner, perhaps a moment before we notice.
        Err(RecvTimeoutError::Disconnected) if Instant::now() < expires => Err(TpmError::Ended { doing }),
        Err(_) => Err(TpmError::Deadline { doing, seconds: deadline.as_secs() }),
    }
}
