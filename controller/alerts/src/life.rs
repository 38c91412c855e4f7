//! The life of one alert: it is there for a while before anybody is told, it is over for a while before anybody is told so,
//! and what comes and goes is told once.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::alert::{Alert, AlertKey, AlertState, Finding};

/// So many comings and goings within [`Timing::window`] make it flap: twice each.
pub const FLAPS: usize = 4;
/// Comings and goings that are remembered of an alert.
pub const EDGES_KEPT: usize = 32;

/// What a look at the fleet says of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It is there.
    Present(Finding),
    /// It is not.
    Absent,
    /// Nobody can tell, or nobody is to be told: what is known stays as it is.
    Unknown,
}

/// How patient a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// It must be there for that long before people are told.
    pub after: Duration,
    /// It must be gone for that long before they are told that it is over.
    pub settle: Duration,
    /// Within that time comings and goings are counted; what flaps must be gone for that long.
    pub window: Duration,
}

/// What becomes of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an alert that nobody stores is forgotten"]
pub enum Step {
    /// It stays as it is.
    Same,
    /// It is stored; nobody is told.
    Kept(Alert),
    /// It is stored, and people are told that it is there, or that it got worse.
    Fired(Alert),
    /// It is stored, and they are told that it is over.
    Ended(Alert),
    /// It was never told and is gone for good.
    Forgotten,
}

/// What follows. `known` is the alert of this key that has not ended, or else the one that ended last.
pub fn step(known: Option<&Alert>, key: &AlertKey, observed: &Observed, timing: Timing, now: Timestamp) -> Step {
    match (known, observed) {
        (_, Observed::Unknown) | (None, Observed::Absent) => Step::Same,
        (None, Observed::Present(finding)) => come(key, finding, Vec::new(), timing, now),
        (Some(known), Observed::Present(finding)) => match known.state {
            AlertState::Ended | AlertState::Quiet => come(key, finding, known.edges.clone(), timing, now),
            AlertState::Pending => wait(known, finding, timing, now),
            AlertState::Firing => go_on(known, finding, timing, now),
        },
        (Some(known), Observed::Absent) => match known.state {
            AlertState::Quiet if recent(&known.edges, timing, now) == 0 => Step::Forgotten,
            AlertState::Quiet | AlertState::Ended => Step::Same,
            AlertState::Pending => Step::Kept(Alert { state: AlertState::Quiet, ..turned(known, timing, now) }),
            AlertState::Firing => fade(known, timing, now),
        },
    }
}

fn come(key: &AlertKey, finding: &Finding, edges: Vec<Timestamp>, timing: Timing, now: Timestamp) -> Step {
    let alert = Alert {
        key: key.clone(),
        finding: finding.clone(),
        state: AlertState::Pending,
        flapping: false,
        since: now,
        fired_at: None,
        gone_since: None,
        ended_at: None,
        edges,
    };
    let alert = turned(&alert, timing, now);
    // What was seen to come and go long enough is told at once: it would never stay for as long as it must.
    if alert.flapping || timing.after.is_zero() { fire(alert, now) } else { Step::Kept(alert) }
}

fn wait(known: &Alert, finding: &Finding, timing: Timing, now: Timestamp) -> Step {
    let alert = Alert { finding: finding.clone(), ..known.clone() };
    if now.since(alert.since) >= timing.after {
        return fire(alert, now);
    }
    if alert == *known { Step::Same } else { Step::Kept(alert) }
}

fn fire(alert: Alert, now: Timestamp) -> Step {
    Step::Fired(Alert { state: AlertState::Firing, fired_at: Some(now), ..alert })
}

fn go_on(known: &Alert, finding: &Finding, timing: Timing, now: Timestamp) -> Step {
    let back = if known.gone_since.is_some() { turned(known, timing, now) } else { known.clone() };
    let alert = Alert { finding: finding.clone(), gone_since: None, ..back };
    if alert.finding.severity > known.finding.severity {
        return Step::Fired(alert);
    }
    if alert == *known { Step::Same } else { Step::Kept(alert) }
}

fn fade(known: &Alert, timing: Timing, now: Timestamp) -> Step {
    let Some(gone_since) = known.gone_since else {
        let alert = Alert { gone_since: Some(now), ..turned(known, timing, now) };
        return if timing.settle.is_zero() && !alert.flapping { end(alert, now) } else { Step::Kept(alert) };
    };
    let patience = if known.flapping { timing.window } else { timing.settle };
    if now.since(gone_since) >= patience { end(known.clone(), now) } else { Step::Same }
}

fn end(alert: Alert, now: Timestamp) -> Step {
    Step::Ended(Alert { state: AlertState::Ended, ended_at: Some(now), ..alert })
}

/// It came or went just now.
fn turned(alert: &Alert, timing: Timing, now: Timestamp) -> Alert {
    let mut edges = alert.edges.clone();
    edges.push(now);
    edges.retain(|edge| now.since(*edge) < timing.window);
    edges.drain(..edges.len().saturating_sub(EDGES_KEPT));
    Alert { flapping: edges.len() >= FLAPS, edges, ..alert.clone() }
}

fn recent(edges: &[Timestamp], timing: Timing, now: Timestamp) -> usize {
    edges.iter().filter(|edge| now.since(**edge) < timing.window).count()
}

#[cfg(test)]
mod tests;
