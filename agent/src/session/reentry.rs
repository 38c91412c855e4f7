//! When a host whose certificate is worth nothing any more comes back by itself, with the TPM that it enrolled with.
//!
//! The usual cause is a host, or a controller, that was away for longer than a certificate lives. Asking costs the
//! controller a verification and is in vain for a host that was shut out, so it is done seldom.

use std::time::Duration;

use flota_net::dial::DialError;
use rustls::AlertDescription;
use tokio::time::Instant;

use super::connection::ConnectError;
use super::refusal::{Refusal, UNKNOWN_CERTIFICATE};
use super::serve::SessionEnd;

/// Shortest pause between two attempts; doubles up to [`LONGEST_PAUSE`] while they are refused.
const SHORTEST_PAUSE: Duration = Duration::from_mins(4);
/// Longest pause: a host that a person lets in again is back within the hour without being touched.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The pace of attempts.
#[derive(Debug)]
pub(super) struct Reentry {
    not_before: Option<Instant>,
    pause: Duration,
}

impl Reentry {
    /// The first attempt may be made at once.
    pub(super) fn new() -> Self {
        Self { not_before: None, pause: SHORTEST_PAUSE }
    }

    /// Whether an attempt may be made now; then the next one may be made after the pause, which `spread` shortens a little
    /// so that a fleet does not ask in one instant.
    pub(super) fn begins(&mut self, now: Instant, spread: impl FnOnce(Duration) -> Duration) -> bool {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return false;
        }
        self.not_before = Some(now + spread(self.pause));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        true
    }

    /// There was a session, or nobody heard the attempt: the pause after the next one is short again.
    pub(super) fn relax(&mut self) {
        self.pause = SHORTEST_PAUSE;
    }
}

/// Alerts that say that the certificate is worth nothing; the last is what a controller with a new CA of the old name says.
/// Revoked is none of them: such a host was shut out, and waits for a person.
const ALERTS: [AlertDescription; 4] = [
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::DecryptError,
];

/// Whether the controller was reached and does not take the certificate. `has_expired` is what the host thinks of it.
pub(super) fn blames_certificate(end: &SessionEnd, has_expired: bool) -> bool {
    match end {
        SessionEnd::Refused(Refusal { code, .. }) => code == UNKNOWN_CERTIFICATE,
        SessionEnd::Connect(ConnectError::OtherKey(_)) => true,
        SessionEnd::Alert(alert) => ALERTS.contains(alert),
        // The alert may be lost with the connection.
        SessionEnd::Broken(_)
        | SessionEnd::Connect(ConnectError::Dial(DialError::Handshake { .. } | DialError::Http { .. })) => has_expired,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_rare_and_rarer_while_they_are_in_vain() {
        let (mut reentry, mut now) = (Reentry::new(), Instant::now());
        let whole = |pause| pause;
        assert!(reentry.begins(now, whole));
        for minutes in [4, 8, 16, 32, 60, 60] {
            let pause = Duration::from_mins(minutes);
            assert!(!reentry.begins(now + pause.saturating_sub(Duration::from_secs(1)), whole), "{minutes}");
            now += pause;
            assert!(reentry.begins(now, whole), "{minutes}");
        }
        // A session shortens the pause after the next attempt, not the one that runs.
        reentry.relax();
        assert!(!reentry.begins(now + Duration::from_mins(59), whole));
        now += Duration::from_hours(1);
        assert!(reentry.begins(now, whole));
        assert!(reentry.begins(now + Duration::from_mins(4), whole));
    }

    #[test]
    fn only_what_is_about_the_certificate_is_a_reason() {
        let refused = |code: &str| {
            SessionEnd::Refused(Refusal {
                code: code.to_owned(),
                sentence: String::new(),
                request_id: String::new(),
                grpc: tonic::Code::PermissionDenied,
            })
        };
        let handshake = || DialError::Handshake { address: "c:1".to_owned(), source: std::io::Error::other("cut") };
        let away = DialError::Timeout("c:1".to_owned());
        for (end, when_valid, when_expired) in [
            (refused("FLT-0201"), true, true),
            (refused("FLT-0601"), false, false),
            (SessionEnd::Alert(AlertDescription::UnknownCA), true, true),
            (SessionEnd::Alert(AlertDescription::CertificateRevoked), false, false),
            (SessionEnd::Broken("cut".to_owned()), false, true),
            (SessionEnd::Connect(handshake().into()), false, true),
            (SessionEnd::Connect(away.into()), false, false),
            (SessionEnd::Closed, false, false),
        ] {
            let blames = [blames_certificate(&end, false), blames_certificate(&end, true)];
            assert_eq!(blames, [when_valid, when_expired], "{end}");
        }
    }
}
