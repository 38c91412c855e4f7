//! Keeps the standing of evidence and licence at hand for quotes: checked beside the session, never waited for long.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flota_model::host::OemStanding;
use flota_procedures::evidence::EvidenceStatus;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::procedures::{Environment, OemFindings, check_oem, present};
use crate::settings::{OemSettings, Settings};

/// How long a quote waits for a check that is under way. The files are small; a disk that hangs must not hold a quote up.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a result counts beyond its interval while the next check does not end. After it, nobody knows any more.
const GRACE: Duration = Duration::from_mins(5);

/// The newest result, and the check that makes the next one.
#[derive(Clone)]
pub(super) struct OemCheck(Arc<Shared>);

struct Shared {
    interval: Duration,
    /// What is said while there is no result: of what is set up, nothing is proved.
    unproved: OemFindings,
    check: Box<dyn Fn() -> OemFindings + Send + Sync>,
    newest: watch::Sender<Option<Result>>,
    is_running: AtomicBool,
}

struct Result {
    at: Instant,
    findings: OemFindings,
}

impl OemCheck {
    /// Checks what the settings name.
    pub(super) fn new(settings: Arc<Settings>, environment: Environment) -> Self {
        let OemSettings { evidence_file, licence_file, check_interval, .. } = &settings.oem;
        let unproved = OemFindings {
            evidence: evidence_file.as_ref().map(|_| EvidenceStatus::Unverified),
            licence: licence_file.as_ref().map(|_| EvidenceStatus::Unverified),
            problems: Vec::new(),
        };
        Self::of(*check_interval, unproved, move || check_oem(&settings, &environment, present()))
    }

    fn of(interval: Duration, unproved: OemFindings, check: impl Fn() -> OemFindings + Send + Sync + 'static) -> Self {
        let (newest, _) = watch::channel(None);
        let is_running = AtomicBool::new(false);
        Self(Arc::new(Shared { interval, unproved, check: Box::new(check), newest, is_running }))
    }

    /// The standing, in words for the claims. What is older than the interval is checked again; if that takes too long, the
    /// last result counts a while longer.
    pub(super) async fn standing(&self) -> OemStanding {
        if self.0.unproved == OemFindings::default() {
            return OemStanding::default();
        }
        let mut newest = self.0.newest.subscribe();
        let age = |result: &Option<Result>| result.as_ref().map(|result| result.at.elapsed());
        if age(&newest.borrow_and_update()).is_none_or(|age| age >= self.0.interval) {
            self.begin();
            // Without a newer one the last one has to do.
            let _newer = timeout(PATIENCE, newest.changed()).await;
        }
        let counts = self.0.interval.saturating_add(GRACE);
        match &*newest.borrow() {
            Some(result) if result.at.elapsed() < counts => words(&result.findings),
            _ => words(&self.0.unproved),
        }
    }

    /// Starts a check unless one is under way.
    fn begin(&self) {
        if self.0.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Running(Arc::clone(&self.0));
        drop(tokio::task::spawn_blocking(move || {
            let shared = Arc::clone(&running.0);
            let findings = (shared.check)();
            // Before the result is out: whoever finds it too old begins the next check.
            drop(running);
            tell(shared.newest.borrow().as_ref().map(|last| &last.findings), &findings);
            shared.newest.send_replace(Some(Result { at: Instant::now(), findings }));
        }));
    }
}

/// A check that panics is over as well.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
    }
}

impl fmt::Debug for OemCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OemCheck").field("interval", &self.0.interval).finish_non_exhaustive()
    }
}

fn words(findings: &OemFindings) -> OemStanding {
    let word = |status: Option<EvidenceStatus>| status.map(EvidenceStatus::as_str).unwrap_or_default().to_owned();
    OemStanding { evidence: word(findings.evidence), licence: word(findings.licence) }
}

/// Says once what has changed.
fn tell(last: Option<&OemFindings>, found: &OemFindings) {
    if last == Some(found) {
        return;
    }
    let OemStanding { evidence, licence } = words(found);
    if found.problems.is_empty() {
        tracing::info!(evidence, licence, "evidence and licence checked");
    } else {
        let problems = found.problems.join("; ");
        tracing::warn!(evidence, licence, problems, "evidence or licence are not in order (manual §3)");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// A check that answers with what it is told, or hangs while it is told nothing.
    #[derive(Default)]
    struct Answer {
        next: Mutex<Option<EvidenceStatus>>,
        told: Condvar,
    }

    impl Answer {
        fn tell(&self, status: Option<EvidenceStatus>) {
            *self.next.lock().unwrap() = status;
            self.told.notify_all();
        }

        fn wait(&self) -> OemFindings {
            let next = self.told.wait_while(self.next.lock().unwrap(), |next| next.is_none()).unwrap();
            OemFindings { evidence: *next, ..OemFindings::default() }
        }
    }

    fn check(interval: Duration) -> (Arc<Answer>, OemCheck) {
        let answer = Arc::new(Answer::default());
        let unproved = OemFindings { evidence: Some(EvidenceStatus::Unverified), ..OemFindings::default() };
        let asked = Arc::clone(&answer);
        (answer, OemCheck::of(interval, unproved, move || asked.wait()))
    }

    async fn evidence(check: &OemCheck) -> String {
        let asked = Instant::now();
        let standing = check.standing().await;
        // Far above, for a machine that is busy; a check that hangs here hangs for ever.
        assert!(asked.elapsed() < PATIENCE * 20, "{:?}", asked.elapsed());
        assert_eq!(standing.licence, "", "none is set up");
        standing.evidence
    }

    #[tokio::test]
    async fn a_result_counts_for_the_interval() {
        let (answer, check) = check(Duration::from_hours(1));
        answer.tell(Some(EvidenceStatus::Ok));
        assert_eq!(evidence(&check).await, "ok");
        answer.tell(Some(EvidenceStatus::Missing));
        assert_eq!(evidence(&check).await, "ok");
    }

    #[tokio::test]
    async fn an_old_result_is_checked_again() {
        let (answer, check) = check(Duration::ZERO);
        for status in [EvidenceStatus::Ok, EvidenceStatus::Invalid, EvidenceStatus::Ok] {
            answer.tell(Some(status));
            assert_eq!(evidence(&check).await, status.as_str());
        }
    }

    #[tokio::test]
    async fn a_check_that_hangs_holds_nothing_up() {
        let (answer, check) = check(Duration::ZERO);
        assert_eq!(evidence(&check).await, "unverified", "nothing is known yet");
        answer.tell(Some(EvidenceStatus::Ok));
        // Whether the first check has ended by now or a second one runs, this is the answer.
        assert_eq!(evidence(&check).await, "ok");
        answer.tell(None);
        assert_eq!(evidence(&check).await, "ok", "the last result counts a while longer");
        answer.tell(Some(EvidenceStatus::Expired));
        assert_eq!(evidence(&check).await, "expired");
    }

    #[tokio::test]
    async fn a_host_that_is_set_up_for_neither_says_nothing() {
        let check = OemCheck::of(Duration::ZERO, OemFindings::default(), || panic!("there is nothing to check"));
        assert_eq!(check.standing().await, OemStanding::default());
    }
}
