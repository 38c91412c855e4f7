//! What the log says of verdicts: each change once, and not the same failure every few minutes.

use flota_proto::v1;

/// What the log has been told.
#[derive(Debug, Default)]
pub(super) struct VerdictLog {
    told: Option<Told>,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    kind: String,
    trust: String,
    reasons: Vec<String>,
}

/// How a verdict is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Something is wrong that was not told yet.
    Warning,
    /// The host stands otherwise than before.
    News,
    /// Like the last one.
    Quiet,
}

impl VerdictLog {
    /// Logs a verdict.
    pub(super) fn note(&mut self, verdict: &v1::Verdict) {
        let line = self.line(verdict);
        let v1::Verdict { verdict, reasons, trust, lease_until, .. } = verdict;
        let lease_until = if lease_until.is_empty() { "none: no new work" } else { lease_until };
        match line {
            Line::Warning => tracing::warn!(trust, lease_until, ?reasons, "attestation failed"),
            Line::News => tracing::info!(verdict, trust, lease_until, ?reasons, "attestation"),
            Line::Quiet => tracing::debug!(verdict, trust, lease_until, ?reasons, "attestation"),
        }
    }

    fn line(&mut self, verdict: &v1::Verdict) -> Line {
        let mut reasons = verdict.reasons.clone();
        reasons.sort_unstable();
        let next = Told { kind: verdict.verdict.clone(), trust: verdict.trust.clone(), reasons };
        // Inconclusive is no verdict on the host: what was told of it still holds.
        if next.kind == "retry" || self.told.as_ref() == Some(&next) {
            return Line::Quiet;
        }
        let line = if next.kind == "fail" { Line::Warning } else { Line::News };
        self.told = Some(next);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: &str, trust: &str, reasons: &[&str]) -> v1::Verdict {
        v1::Verdict {
            verdict: kind.to_owned(),
            trust: trust.to_owned(),
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            ..v1::Verdict::default()
        }
    }

    #[test]
    fn the_same_is_told_once_and_every_change_is_told() {
        let mut log = VerdictLog::default();
        let said = [
            (verdict("pass", "trusted", &[]), Line::News),
            (verdict("pass", "trusted", &[]), Line::Quiet),
            (verdict("fail", "drifted", &["a", "b"]), Line::Warning),
            (verdict("retry", "drifted", &["busy"]), Line::Quiet),
            (verdict("fail", "drifted", &["b", "a"]), Line::Quiet),
            (verdict("fail", "drifted", &["c"]), Line::Warning),
            (verdict("pass", "trusted", &[]), Line::News),
            (verdict("fail", "drifted", &["c"]), Line::Warning),
        ];
        for (verdict, line) in said {
            assert_eq!(log.line(&verdict), line, "{verdict:?}");
        }
    }

    #[test]
    fn a_pass_that_changes_the_trust_is_news() {
        let mut log = VerdictLog::default();
        assert_eq!(log.line(&verdict("pass", "stale", &[])), Line::News);
        assert_eq!(log.line(&verdict("pass", "trusted", &[])), Line::News);
    }
}
