//! What a check-up found, for people and for programs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use flota_seal::json::Json;
use jiff::Timestamp;

use super::names::CheckName;
use super::request::HealthRequest;
use super::settings::Network;
use crate::iso_time;

/// How well a check, or the whole host, is. Ordered from good to bad, after the one that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing could be learnt: of a single check, never of the whole host.
    Unknown,
    /// As it should be.
    Healthy,
    /// It works, and will not for long, or not well.
    Degraded,
    /// It does not work.
    Unavailable,
}

/// The answer to one check.
#[derive(Clone, Debug)]
pub struct CheckResult {
    pub(super) name: Cow<'static, str>,
    pub(super) status: Status,
    pub(super) latency: Option<Duration>,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
    pub(super) details: BTreeMap<&'static str, Json>,
}

/// A finished check-up.
#[derive(Clone, Debug)]
pub struct HealthReport {
    exchange: &'static str,
    mode: &'static str,
    network: Network,
    base_url: String,
    checked_at: Timestamp,
    results: Vec<CheckResult>,
    notes: Vec<String>,
}

impl Status {
    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }

    /// The exit code of `check-runtime-health` (manual section 4): 0, 1 or 2.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Unknown | Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Unavailable => 2,
        }
    }
}

impl CheckResult {
    /// Which check it was: one of [`CheckName`], or the name that the operator gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it went.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How long the last attempt took; `None` if nothing was asked.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// What was found, in one sentence; lower case, no full stop.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    fn text(&self) -> String {
        let mut line = format!("{}: {}", self.name, self.status.name());
        if let Some(latency) = self.latency {
            // Writing to a String cannot fail.
            let _ = write!(line, " (latency={:.3}s)", latency.as_secs_f64());
        }
        if self.status != Status::Healthy {
            let _ = write!(line, ": {}", self.message);
            if let Some(remedy) = &self.remedy {
                let _ = write!(line, "; {remedy}");
            }
        }
        line
    }

    fn json(&self) -> Json {
        let mut details: BTreeMap<String, Json> =
            self.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        details.insert("message".to_owned(), self.message.as_str().into());
        if let Some(remedy) = self.remedy() {
            details.insert("remedy".to_owned(), remedy.into());
        }
        Json::object([
            ("name", (*self.name).into()),
            ("status", self.status.name().into()),
            ("latency", self.latency.map(|latency| latency.as_secs_f64()).into()),
            ("details", Json::Object(details)),
        ])
    }
}

impl HealthReport {
    pub(super) fn new(request: &HealthRequest, checked_at: Timestamp, results: Vec<CheckResult>) -> Self {
        Self {
            exchange: request.exchange().name(),
            mode: request.mode().name(),
            network: request.network(),
            base_url: request.base_url().to_string(),
            checked_at,
            results,
            notes: request.notes().to_vec(),
        }
    }

    /// The worst of the results. One from which nothing could be learnt does not count.
    pub fn overall(&self) -> Status {
        let worst = self.results.iter().map(CheckResult::status).max().unwrap_or(Status::Unavailable);
        worst.max(Status::Healthy)
    }

    /// Every result, in the order in which the checks ran.
    pub fn results(&self) -> &[CheckResult] {
        &self.results
    }

    /// The result of one check, if it ran.
    pub fn result(&self, name: CheckName) -> Option<&CheckResult> {
        self.results.iter().find(|result| result.name == name.name())
    }

    /// Remarks that are no verdict: what was skipped, a credentials file that others can read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// For people: a line a check, the notes, the verdict. Ends with a line feed.
    pub fn to_text(&self) -> String {
        let lines = self.results.iter().map(CheckResult::text);
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        let overall = format!("Overall status: {}", self.overall().name());
        lines.chain(notes).chain([overall]).map(|line| line + "\n").collect()
    }

    /// For programs: `exchange`, `mode`, `testnet`, `base_url`, `checked_at`, `results` of `name`, `status`, `latency`
    /// (seconds or null) and `details` (`message`, perhaps `remedy`, and numbers of the check), `overall_status`,
    /// `notes`.
    pub fn to_json(&self) -> Json {
        let Self { exchange, mode, network, base_url, checked_at, results, notes } = self;
        Json::object([
            ("exchange", (*exchange).into()),
            ("mode", (*mode).into()),
            ("testnet", (*network == Network::Testnet).into()),
            ("base_url", base_url.as_str().into()),
            ("checked_at", iso_time::format(*checked_at).into()),
            ("results", Json::Array(results.iter().map(CheckResult::json).collect())),
            ("overall_status", self.overall().name().into()),
            ("notes", Json::Array(notes.iter().map(|note| note.as_str().into()).collect())),
        ])
    }
}
