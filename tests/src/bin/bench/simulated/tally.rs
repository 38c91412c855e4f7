//! What all sessions were told, in one place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use flota_model::host::VerdictKind;
use flota_sim::agent::{Observer, SessionEnd, SessionEvent};
use tokio::sync::Notify;

/// Verdicts of every session.
pub(crate) struct Tally {
    counts: Mutex<Counts>,
    changed: Notify,
    hosts: usize,
}

#[derive(Default)]
struct Counts {
    /// By host.
    passed_once: Vec<bool>,
    passed_hosts: usize,
    /// Milliseconds from evidence to verdict since the last [`Tally::take`].
    latencies: Vec<f64>,
    /// Whatever should not have happened, the first of it.
    wrong: Option<String>,
}

impl Tally {
    pub(crate) fn new(hosts: usize) -> Self {
        let counts = Counts { passed_once: vec![false; hosts], ..Counts::default() };
        Self { counts: Mutex::new(counts), changed: Notify::new(), hosts }
    }

    /// For the session of this host.
    pub(crate) fn observer(self: &Arc<Self>, host: usize) -> Observer {
        let tally = Arc::clone(self);
        Arc::new(move |event| {
            if let SessionEvent::Verdict { verdict, reasons, took } = event {
                tally.verdict(host, *verdict, reasons, *took);
            }
        })
    }

    /// A session ended, which none should.
    pub(crate) fn ended(&self, host: &str, end: &SessionEnd) {
        self.wrong(format!("the session of {host} ended: {}", flota_daemon::error_chain::chain(end)));
    }

    /// Waits until every host has passed once.
    pub(crate) async fn all_passed_once(&self, bound: Duration) -> anyhow::Result<()> {
        let passed = tokio::time::timeout(bound, async {
            loop {
                let changed = self.changed.notified();
                self.check()?;
                if self.lock().passed_hosts == self.hosts {
                    return anyhow::Ok(());
                }
                changed.await;
            }
        });
        let in_time = passed.await;
        in_time
            .with_context(|| format!("{} of {} hosts were attested in time", self.lock().passed_hosts, self.hosts))?
    }

    /// Milliseconds from evidence to verdict of all verdicts since the last call.
    pub(crate) fn take(&self) -> anyhow::Result<Vec<f64>> {
        self.check()?;
        Ok(std::mem::take(&mut self.lock().latencies))
    }

    fn check(&self) -> anyhow::Result<()> {
        match &self.lock().wrong {
            Some(wrong) => bail!("{wrong}"),
            None => Ok(()),
        }
    }

    fn verdict(&self, host: usize, verdict: VerdictKind, reasons: &[String], took: Duration) {
        if verdict != VerdictKind::Pass {
            return self.wrong(format!("host {host}: {} ({})", verdict.as_str(), reasons.join("; ")));
        }
        let mut counts = self.lock();
        counts.latencies.push(took.as_secs_f64() * 1000.0);
        if let Some(passed) = counts.passed_once.get_mut(host).filter(|passed| !**passed) {
            *passed = true;
            counts.passed_hosts = counts.passed_hosts.saturating_add(1);
            if counts.passed_hosts == self.hosts {
                self.changed.notify_one();
            }
        }
    }

    fn wrong(&self, what: String) {
        self.lock().wrong.get_or_insert(what);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value that this share of all is below, or at.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> anyhow::Result<f64> {
    ensure!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    let index = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(index).copied().context("a percentile is at most 100")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=200).map(f64::from).collect();
        let [half, most, all] = [50, 99, 100].map(|percent| percentile(&mut values, percent).unwrap());
        assert!((half - 100.0).abs() < f64::EPSILON && (most - 198.0).abs() < f64::EPSILON);
        assert!((all - 200.0).abs() < f64::EPSILON);
        assert!(percentile(&mut [], 50).is_err());
    }
}
