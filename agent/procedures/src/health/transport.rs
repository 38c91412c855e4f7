//! HTTPS to an exchange: trust, time limits, retries, bounded answers.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::redirect::Policy;
use reqwest::tls::TlsInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::exchange::{Answer, Ask, Moment};
use super::refusal::Unusable;
use super::request::{HealthRequest, Limits};
use super::retry::{Jitter, Setback, pause};

/// Longest answer that is read, in bytes: an account lists some hundred assets, which is tens of kilobytes.
const MAX_ANSWER: usize = 2 << 20;
/// How requests introduce themselves.
pub(super) const USER_AGENT: &str = concat!("flota-agent/", env!("CARGO_PKG_VERSION"));

/// Why a check-up could not begin.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The file of trusted authorities is missing or holds no certificate.
    #[error("reading the trusted certificates of {}: it must hold at least one in PEM", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What was wrong with it, unless it was just empty.
        #[source]
        source: Option<rustls::pki_types::pem::Error>,
    },
    /// A certificate of that file cannot be an authority's.
    #[error("trusting the certificates of {}", path.display())]
    UntrustableCa {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// TLS cannot be set up, most likely because the system has no store of authorities.
    #[error("setting up TLS: install the system's CA certificates or set ca_file")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("setting up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// Never reached, or broken off. The URL is taken out of the source, because its query holds a signature.
    #[error("no connection")]
    Broken(#[source] reqwest::Error),
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    #[error("the time for the whole check-up was used up")]
    OutOfTime,
    /// Nothing was asked, because nothing could be signed.
    #[error("the key cannot be used")]
    Unsigned(#[source] Unusable),
}

/// What one request came to.
pub(super) struct Reply {
    pub(super) answer: Result<Answer, TransportError>,
    /// When the last attempt was sent.
    pub(super) sent_at: Timestamp,
    /// How long the last attempt took.
    pub(super) latency: Duration,
    pub(super) attempts: u32,
}

/// A client for one check-up.
pub(super) struct Transport<'a> {
    client: reqwest::Client,
    request: &'a HealthRequest,
    limits: &'a Limits,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    deadline: Instant,
    /// The nonce of the last signed request.
    nonce: AtomicI64,
    /// What to add to the host's clock before signing, in milliseconds, once it is known.
    correction_ms: OnceLock<i64>,
}

impl<'a> Transport<'a> {
    pub(super) fn new(
        request: &'a HealthRequest,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
    ) -> Result<Self, HealthError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(request.ca_file())?)
            .tls_info(true)
            .user_agent(USER_AGENT)
            .https_only(true)
            // A signed request is meant for the host it was made for.
            .redirect(Policy::none())
            // The path to the exchange is part of what is checked: a variable must not change it unseen.
            .no_proxy()
            .build()
            .map_err(HealthError::Client)?;
        let limits = request.limits();
        let deadline = Instant::now() + limits.total;
        let (nonce, correction_ms) = (AtomicI64::new(0), OnceLock::new());
        Ok(Self { client, request, limits, clock, deadline, nonce, correction_ms })
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What is left of the time for the whole check-up.
    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The addresses that the exchange's name resolves to.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, std::io::Error> {
        let name = (self.request.base_url().host(), self.request.base_url().port());
        let lookup = timeout(self.limits.attempt, tokio::net::lookup_host(name));
        match timeout_at(self.deadline, lookup).await {
            Ok(Ok(addresses)) => Ok(addresses?.collect()),
            Ok(Err(_)) | Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether what must be added to this host's clock is known, and how much it is, in milliseconds.
    pub(super) fn correction_ms(&self) -> Option<i64> {
        self.correction_ms.get().copied()
    }

    /// Signs from now on with a corrected clock. The first correction holds.
    pub(super) fn correct(&self, correction_ms: i64) {
        // A second measurement is no better than the first.
        let _ = self.correction_ms.set(correction_ms);
    }

    /// Asks what anyone may ask.
    pub(super) async fn ask(&self, make: impl Fn() -> Ask + Send + Sync) -> Reply {
        self.ask_signed(self.limits.attempts, |_| Ok(make())).await
    }

    /// Asks until there is an answer that will not change, within the limits and at most so many `attempts`. `make` is
    /// called for each attempt, because a signature covers the time.
    pub(super) async fn ask_signed(&self, most: u32, make: impl Fn(&Moment) -> Result<Ask, Unusable> + Send) -> Reply {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let sent_at = self.now();
            let began = Instant::now();
            let bound = self.limits.attempt.min(self.deadline.saturating_duration_since(began));
            if bound.is_zero() {
                let answer = Err(TransportError::OutOfTime);
                return Reply { answer, sent_at, latency: Duration::ZERO, attempts };
            }
            let ask = match make(&self.moment(sent_at)) {
                Ok(ask) => ask,
                Err(unusable) => {
                    let answer = Err(TransportError::Unsigned(unusable));
                    return Reply { answer, sent_at, latency: Duration::ZERO, attempts };
                }
            };
            let answer = match timeout(bound, self.attempt(ask)).await {
                Ok(answer) => answer,
                Err(_) => Err(TransportError::TimedOut(bound)),
            };
            let latency = began.elapsed();
            let again = self
                .setback(&answer)
                .filter(|_| attempts < most)
                .and_then(|setback| pause(self.limits, attempts, setback, jitter()))
                .filter(|pause| Instant::now() + *pause < self.deadline);
            let Some(pause) = again else {
                return Reply { answer, sent_at, latency, attempts };
            };
            tracing::debug!(attempts, pause_ms = pause.as_secs_f64() * 1e3, "exchange request is tried again");
            sleep(pause).await;
        }
    }

    async fn attempt(&self, ask: Ask) -> Result<Answer, TransportError> {
        let broken = |error: reqwest::Error| TransportError::Broken(error.without_url());
        let Ask { method, elsewhere, path, query, headers, body } = ask;
        let root = self.request.root_for(elsewhere);
        let mut request = self.client.request(method, root.endpoint(&path, &query));
        if !body.is_empty() {
            request = request.body(body);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(broken)?;
        let certificate =
            response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec);
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(TransportError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body, certificate, received_at: self.now() })
    }

    fn moment(&self, sent_at: Timestamp) -> Moment {
        let correction = SignedDuration::from_millis(self.correction_ms().unwrap_or_default());
        let now = sent_at.checked_add(correction).unwrap_or(sent_at);
        let clock = now.as_millisecond();
        let last = self.nonce.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(clock.max(last + 1)));
        let nonce = clock.max(last.unwrap_or_default() + 1);
        let mut random = [0; 16];
        random[..8].copy_from_slice(&fresh().to_be_bytes());
        random[8..].copy_from_slice(&fresh().to_be_bytes());
        Moment { now, nonce, random, network: self.request.network() }
    }

    /// Whether an answer is worth another attempt; `None` for a good one.
    fn setback(&self, answer: &Result<Answer, TransportError>) -> Option<Setback> {
        match answer {
            Ok(answer) => self.request.exchange().adapter().refusal(answer).map(|refusal| refusal.setback),
            // A certificate that was refused once is refused twice.
            Err(error) if error.is_tls() => Some(Setback::Final),
            Err(TransportError::Broken(_) | TransportError::TimedOut(_)) => Some(Setback::Transient),
            Err(TransportError::TooLong | TransportError::OutOfTime | TransportError::Unsigned(_)) => {
                Some(Setback::Final)
            }
        }
    }
}

impl TransportError {
    /// Whether TLS was refused, in contrast to a network that does not carry it.
    pub(super) fn is_tls(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = self.source();
        while let Some(error) = cause {
            if error.is::<rustls::Error>() {
                return true;
            }
            // An io::Error hides the error that it wraps from source(), which gives that one's cause.
            cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        false
    }
}

/// A fresh random number; the standard library's hasher keys are its only source of them, and good enough to spread load
/// and to tell requests apart.
fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn jitter() -> Jitter {
    Jitter::from_random(u32::try_from(fresh() >> 32).unwrap_or_default())
}

pub(super) fn tls_config(ca_file: Option<&PathBuf>) -> Result<ClientConfig, HealthError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(HealthError::Tls)?;
    let mut config = match ca_file {
        Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
        None => builder.with_platform_verifier().map_err(HealthError::Tls)?.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(path: &PathBuf) -> Result<RootCertStore, HealthError> {
    let unreadable = |source| HealthError::CaFile { path: path.clone(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(Some(error)))? {
        let certificate = certificate.map_err(|error| unreadable(Some(error)))?;
        roots.add(certificate).map_err(|source| HealthError::UntrustableCa { path: path.clone(), source })?;
    }
    if roots.is_empty() { Err(unreadable(None)) } else { Ok(roots) }
}
