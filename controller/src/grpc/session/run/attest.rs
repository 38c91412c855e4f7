//! Challenges and what comes of them.

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use flota_model::Digest;
use flota_model::host::VerdictKind;
use flota_proto::v1;
use flota_proto::v1::controller_message::Body as Down;
use tokio::time::Instant;

use super::{CHALLENGE_TTL, Challenge, End, Session};
use crate::attestation::subject::Subject;
use crate::attestation::{self, Binding, Evidence, Outcome};
use crate::fault::{Code, Fault};
use crate::grpc::enrollment::pcr_values;

/// After an inconclusive verdict the host is asked again this soon.
const RETRY_AFTER: Duration = Duration::from_secs(3);

impl Session {
    /// Asks for a quote, unless one is asked for already or the host cannot make one.
    pub(super) fn challenge_if_free(&mut self) -> Result<(), End> {
        if self.challenge.is_some() || self.subject.is_none() { Ok(()) } else { self.send_challenge() }
    }

    pub(super) fn send_challenge(&mut self) -> Result<(), End> {
        let mut nonce = [0; 32];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| Fault::new(Code::Unavailable, "the system gives no random numbers"))?;
        let id = uuid::Uuid::now_v7().simple().to_string();
        self.challenge = Some(Challenge { id: id.clone(), nonce, expires: Instant::now() + CHALLENGE_TTL });
        self.send(Down::Challenge(v1::Challenge {
            id,
            nonce: nonce.to_vec(),
            pcrs: self.core.selection.indices().map(u32::from).collect(),
            ttl_seconds: u32::try_from(CHALLENGE_TTL.as_secs()).unwrap_or(u32::MAX),
            known_boot_log: self.subject.as_ref().map(Subject::known_log).unwrap_or_default(),
        }))
    }

    pub(super) async fn judge(&mut self, message: v1::Evidence) -> Result<(), End> {
        // Taken out first: a nonce is good for one answer. The open challenge stays open for its own.
        let answers = |open: &mut Challenge| open.id == message.challenge_id && open.expires > Instant::now();
        let Some(challenge) = self.challenge.take_if(answers) else {
            tracing::warn!(host.id = %self.host, "evidence for no open challenge was ignored");
            return Ok(());
        };
        let Some(subject) = &mut self.subject else { return Ok(()) };
        let leased = |subject: &Subject, now| subject.lease_until.is_some_and(|until| until > now);
        let worked = leased(subject, self.core.now());
        let outcome = if message.failure.is_empty() {
            let certificate = self.peer.certificate.as_ref().map(|certificate| certificate.digest);
            let certificate: Digest =
                certificate.ok_or_else(|| Fault::new(Code::Bug, "a session without a certificate"))?;
            let binding = Binding {
                host: &self.host,
                challenge_id: &challenge.id,
                nonce: &challenge.nonce,
                certificate_sha256: certificate.as_bytes(),
                exporter: &self.peer.exporter,
            };
            let evidence = Evidence {
                // Values that are none are not those that were quoted: a verdict says so.
                pcr_values: pcr_values(&message.pcr_values).unwrap_or_default(),
                attest: message.attest,
                signature: message.signature,
                claims: message.claims,
                boot_log: message.boot_log,
            };
            attestation::judge(&self.core, subject, &binding, &evidence).await?
        } else {
            let why: String = message.failure.chars().take(500).collect();
            attestation::inconclusive(&self.core, subject, &why).await?
        };
        let pause = self.pause_after(&outcome);
        self.next_attestation = Instant::now() + pause;
        self.send(Down::Verdict(v1::Verdict {
            challenge_id: challenge.id,
            verdict: outcome.verdict.as_str().to_owned(),
            reasons: outcome.reasons.clone(),
            trust: outcome.trust.to_string(),
            lease_until: outcome.lease_until.map(|until| until.to_string()).unwrap_or_default(),
            next_after_seconds: u32::try_from(pause.as_secs()).unwrap_or(u32::MAX),
        }))?;
        for waiter in self.verdict_waiters.drain(..) {
            // The operator may have stopped waiting.
            let _gone = waiter.send(outcome.clone());
        }
        if !outcome.trust.admits_connection() {
            let sentence = "the host is shut out of the fleet: its evidence is not genuine";
            return Err(Fault::new(Code::UnknownCertificate, sentence)
                .fix("flota attest clear, then a fresh quote")
                .into());
        }
        // A lease has begun: there may be work that waited for it.
        if !worked && outcome.lease_until.is_some() {
            self.look().await?;
        }
        if std::mem::take(&mut self.challenge_again) { self.send_challenge() } else { Ok(()) }
    }

    /// The interval, up to a fifth shorter, so that hosts that connected together do not quote together for ever.
    fn pause_after(&self, outcome: &Outcome) -> Duration {
        if outcome.verdict == VerdictKind::Retry {
            return RETRY_AFTER;
        }
        let interval = self.core.settings.attest_interval;
        let spread = Digest::of(self.host.as_str().as_bytes()).as_bytes().first().copied().unwrap_or(0);
        interval.saturating_sub(interval.mul_f64(f64::from(spread) / 1280.0))
    }
}
