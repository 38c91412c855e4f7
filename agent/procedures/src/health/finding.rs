//! A judged answer on its way into the report.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_seal::json::Json;

use super::exchange::{Answer, Exchange};
use super::names::CheckName;
use super::refusal::Refusal;
use super::report::{CheckResult, Status};
use super::request::HealthRequest;
use super::transport::{Reply, TransportError};
use crate::causes;

/// A judged answer.
pub(super) struct Finding {
    pub(super) status: Status,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
    pub(super) details: BTreeMap<&'static str, Json>,
}

impl Finding {
    pub(super) fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), remedy: None, details: BTreeMap::new() }
    }

    pub(super) fn healthy(message: impl Into<String>) -> Self {
        Self::new(Status::Healthy, message)
    }

    /// Neither good nor bad.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self::new(Status::Unknown, message)
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(super) fn detail(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.details.insert(name, value.into());
        self
    }

    /// Judges a reply: `read` for a good answer, the same words for every failure.
    pub(super) fn of(
        reply: &Reply,
        exchange: &dyn Exchange,
        read: impl FnOnce(&Answer) -> Result<Self, Refusal>,
    ) -> Self {
        match &reply.answer {
            Err(error) => Self::no_answer(error),
            Ok(answer) => match exchange.refusal(answer).map_or_else(|| read(answer), Err) {
                Ok(finding) => finding,
                Err(refusal) => Self::refused(refusal, answer),
            },
        }
    }

    pub(super) fn no_answer(error: &TransportError) -> Self {
        let remedy = match error {
            error if error.is_tls() => {
                "compare the certificate with the exchange's: something may stand between, or ca_file is not its authority"
            }
            TransportError::Broken(_) => "check network, firewall and base_url",
            TransportError::TimedOut(_) | TransportError::OutOfTime => {
                "check the network and the exchange's status page, then run the check again"
            }
            TransportError::Unsigned(unusable) => unusable.remedy,
            TransportError::TooLong => "check base_url: this is not how the exchange answers",
        };
        Self::new(Status::Unavailable, causes::on_one_line(error)).remedy(remedy)
    }

    fn refused(refusal: Refusal, answer: &Answer) -> Self {
        let Refusal { code, meaning, remedy, setback: _ } = refusal;
        let mut finding = Self::new(Status::Unavailable, format!("the exchange answered {}: {meaning}", answer.status));
        finding.remedy = remedy.map(str::to_owned);
        finding = finding.detail("http_status", u32::from(answer.status));
        if let Some(code) = code {
            // Where codes are numbers, reports have numbers.
            finding = match code.parse::<i64>() {
                Ok(code) => finding.detail("code", code),
                Err(_) => finding.detail("code", code.as_str()),
            };
        }
        if let Some(wait) = answer.retry_after() {
            finding = finding.detail("retry_after_s", wait.as_secs());
        }
        finding
    }

    /// A good answer that took too long is not a good one.
    pub(super) fn unless_slow(mut self, reply: &Reply, request: &HealthRequest) -> Self {
        let bound = request.limits().slow_after;
        if self.status == Status::Healthy && reply.latency > bound {
            self.status = Status::Degraded;
            self.message = format!("{}, and the answer took more than {:.1} s", self.message, bound.as_secs_f64());
            self.remedy = Some("check the network and the exchange's status page".to_owned());
        }
        self
    }

    pub(super) fn result(self, name: CheckName, reply: &Reply) -> CheckResult {
        self.detail("attempts", reply.attempts).with_latency(name, Some(reply.latency))
    }

    pub(super) fn with_latency(self, name: CheckName, latency: Option<Duration>) -> CheckResult {
        let Self { status, message, remedy, details } = self;
        CheckResult { name: name.name().into(), status, latency, message, remedy, details }
    }
}
