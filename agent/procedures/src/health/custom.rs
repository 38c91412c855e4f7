//! The operator's own checks: a command, or an address that must answer. They run like the built-in ones.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::names::CheckName;
use super::refusal::quote;
use super::report::{CheckResult, Status};
use super::transport::{HealthError, USER_AGENT, tls_config};
use crate::causes;

/// Longest name of a check; it stands at the start of a line.
const MAX_NAME: usize = 40;
/// Longest time that one check may ask for, in seconds: the whole check-up must stay a matter of a minute.
const MAX_TIMEOUT_S: u64 = 60;
/// Time limit where none is set.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a command's output is looked at: its first line is shown.
const MAX_OUTPUT: u64 = 4096;
/// The status that an address must answer with where none is set.
const EXPECTED: u16 = 200;

/// One of the operator's own checks.
#[derive(Clone, PartialEq)]
pub struct CustomCheck {
    name: String,
    timeout: Duration,
    probe: Probe,
}

/// Why such a check cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomCheckError {
    /// The name would not fit into a report, or is one of the built-in checks'.
    #[error("the name must be 1 to {MAX_NAME} of a-z, 0-9 and _, and not a built-in check's")]
    Name,
    /// Neither or both.
    #[error("a check has either a command or a url")]
    CommandOrUrl,
    /// An empty list.
    #[error("the command must name a program")]
    NoProgram,
    /// Arguments show to everyone on the host.
    #[error("a command's arguments show to everyone on the host: let the program read ${{NAME}} from its environment")]
    Placeholder,
    /// Zero or too long.
    #[error("the time limit must be 1 to {MAX_TIMEOUT_S} seconds")]
    Timeout,
    /// Not an address.
    #[error("the url must be http or https, without user")]
    Url,
    /// Not a status.
    #[error("the expected status must be 100 to 599")]
    Status,
}

/// What one of these checks does, as far as it may be shown: arguments and addresses may hold what is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomKind<'a> {
    /// It runs this program.
    Command(&'a str),
    /// It asks an address, which must answer with this status.
    Http(u16),
}

#[derive(Clone, PartialEq)]
enum Probe {
    Command { program: String, arguments: Vec<String> },
    Http { url: Url, expected: u16, ca_file: Option<PathBuf> },
}

impl CustomCheck {
    /// A check that runs a program and takes its exit code as the manual's: 0 healthy, 1 degraded, anything else
    /// unavailable. No shell is involved.
    pub fn command(name: &str, words: Vec<String>, timeout_s: Option<u64>) -> Result<Self, CustomCheckError> {
        if words.iter().any(|word| word.contains("${")) {
            return Err(CustomCheckError::Placeholder);
        }
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or(CustomCheckError::NoProgram)?;
        Self::new(name, timeout_s, Probe::Command { program, arguments: words.collect() })
    }

    /// A check that asks an address and expects a status, 200 if none is named. `ca_file` holds the only authorities to
    /// trust, in place of the system's.
    pub fn http(
        name: &str,
        url: &str,
        expected: Option<u64>,
        ca_file: Option<PathBuf>,
        timeout_s: Option<u64>,
    ) -> Result<Self, CustomCheckError> {
        let url = Url::parse(url).map_err(|_| CustomCheckError::Url)?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
            return Err(CustomCheckError::Url);
        }
        let expected = expected.map_or(Ok(EXPECTED), u16::try_from).map_err(|_| CustomCheckError::Status)?;
        if !(100..600).contains(&expected) {
            return Err(CustomCheckError::Status);
        }
        Self::new(name, timeout_s, Probe::Http { url, expected, ca_file })
    }

    fn new(name: &str, timeout_s: Option<u64>, probe: Probe) -> Result<Self, CustomCheckError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let free = name.parse::<CheckName>().is_err();
        if !free || !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(CustomCheckError::Name);
        }
        let timeout = match timeout_s {
            None => DEFAULT_TIMEOUT,
            Some(seconds @ 1..=MAX_TIMEOUT_S) => Duration::from_secs(seconds),
            Some(_) => return Err(CustomCheckError::Timeout),
        };
        Ok(Self { name: name.to_owned(), timeout, probe })
    }

    /// The name that flags and reports use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    pub fn kind(&self) -> CustomKind<'_> {
        match &self.probe {
            Probe::Command { program, .. } => CustomKind::Command(program),
            Probe::Http { expected, .. } => CustomKind::Http(*expected),
        }
    }

    /// Runs it, for at most `remaining`.
    pub(super) async fn run(&self, remaining: Duration) -> CheckResult {
        let bound = self.timeout.min(remaining);
        let began = Instant::now();
        let verdict = async {
            match &self.probe {
                Probe::Command { program, arguments } => run_command(program, arguments).await,
                Probe::Http { url, expected, ca_file } => run_http(url, *expected, ca_file.as_ref()).await,
            }
        };
        let (status, message) = timeout(bound, verdict)
            .await
            .unwrap_or_else(|_| (Status::Unavailable, format!("it did not end within {:.1} s", bound.as_secs_f64())));
        let remedy =
            (status > Status::Healthy).then(|| "see this check's entry under checks in the credentials file".into());
        let (name, latency) = (Cow::Owned(self.name.clone()), Some(began.elapsed()));
        CheckResult { name, status, latency, message, remedy, details: BTreeMap::new() }
    }
}

/// The name alone: an address may hold a token.
impl fmt::Debug for CustomCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomCheck").field(&self.name).finish()
    }
}

async fn run_command(program: &str, arguments: &[String]) -> (Status, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A command that overruns its time must not live on.
    command.kill_on_drop(true);
    let failed = |error: std::io::Error| (Status::Unavailable, format!("running {program}: {error}"));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    let said = first_line(&mut child).await;
    let ended = match child.wait().await {
        Ok(ended) => ended,
        Err(error) => return failed(error),
    };
    let status = match ended.code() {
        Some(0) => Status::Healthy,
        Some(1) => Status::Degraded,
        _ => Status::Unavailable,
    };
    (status, if said.is_empty() { format!("{program}: {ended}") } else { format!("{program}: {ended}: {said}") })
}

/// The first line of a command's output; the rest is read and dropped, so that the command does not block on it.
async fn first_line(child: &mut Child) -> String {
    let Some(mut stdout) = child.stdout.take() else {
        return String::new();
    };
    let head = read_head(&mut stdout).await;
    // What cannot be read is not shown; the exit code decides.
    let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    quote(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().trim())
}

async fn read_head(stdout: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut head = Vec::new();
    // As above.
    let _ = stdout.take(MAX_OUTPUT).read_to_end(&mut head).await;
    head
}

/// For plain http, which must not need a store of authorities.
fn trusting_nobody() -> Result<ClientConfig, HealthError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(HealthError::Tls)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

async fn run_http(url: &Url, expected: u16, ca_file: Option<&PathBuf>) -> (Status, String) {
    let tls = if url.scheme() == "https" { tls_config(ca_file) } else { trusting_nobody() };
    let tls = match tls {
        Ok(tls) => tls,
        Err(error) => return (Status::Unavailable, causes::on_one_line(&error)),
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .no_proxy()
        .build();
    let answer = match client {
        Ok(client) => client.get(url.clone()).send().await,
        Err(error) => Err(error),
    };
    match answer.map(|answer| answer.status().as_u16()) {
        Ok(status) if status == expected => (Status::Healthy, format!("it answered {status}")),
        Ok(status) => (Status::Unavailable, format!("it answered {status} instead of {expected}")),
        // The address may hold a token.
        Err(error) => (Status::Unavailable, causes::on_one_line(&error.without_url())),
    }
}
