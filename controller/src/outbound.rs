//! What the controller sends to other people's services: signed, bounded in time, never redirected.

use std::path::Path;
use std::time::Duration;

use flota_seal::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, RequestBuilder};
use rustls_platform_verifier::BuilderVerifierExt;
use sha2::Sha256;

use crate::fault::{Code, Fault};
use crate::files;

/// Time that the other side has for its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes: an id, a link, an error.
const MAX_ANSWER: usize = 64 * 1024;
/// Header with the hex HMAC-SHA256 of the body.
const SIGNATURE_HEADER: &str = "Flota-Signature-256";

/// Asks other services.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: reqwest::Client,
}

/// Something to send.
pub struct Message<'a> {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: &'a str,
    /// JSON.
    pub body: String,
    /// File with the secret that signs it.
    pub key_file: Option<&'a Path>,
    /// What proves who we are; without the word before it, as in `Bearer`.
    pub credential: Credential<'a>,
}

/// What proves to the other side who we are.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// A file with a bearer token (RFC 6750).
    Bearer(&'a Path),
    /// A name and a file with its password (RFC 7617).
    Basic(&'a str, &'a Path),
}

impl Outbound {
    /// Trusts what the machine trusts.
    pub fn new() -> Result<Self, Fault> {
        let unusable = |error: rustls::Error| {
            Fault::new(Code::Unavailable, "TLS to other services cannot be prepared").because(error)
        };
        let mut tls = rustls::ClientConfig::builder_with_provider(flota_net::tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_platform_verifier()
            .map_err(unusable)?
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("flota-controller/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Fault::new(Code::Unavailable, "no client for other services").because(error))?;
        Ok(Self { client })
    }

    /// Sends it; gives what was answered if the other side took it.
    pub async fn send(&self, message: Message<'_>) -> Result<Vec<u8>, Fault> {
        let Message { method, url, body, key_file, credential } = message;
        let mut request = self
            .client
            .request(method, url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json");
        if let Some(key_file) = key_file {
            request = request.header(SIGNATURE_HEADER, sign(key_file, body.as_bytes())?);
        }
        let request = prove(request, credential)?.body(body);
        let broken = |error: reqwest::Error| {
            Fault::new(Code::Unavailable, "the other side does not answer").because(error.without_url())
        };
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER {
                return Err(Fault::new(Code::Unavailable, "the other side's answer has no end"));
            }
        }
        if status.is_success() {
            return Ok(answer);
        }
        Err(Fault::new(Code::Unavailable, format!("the other side answered {status}")))
    }
}

fn prove(request: RequestBuilder, credential: Credential<'_>) -> Result<RequestBuilder, Fault> {
    Ok(match credential {
        Credential::None => request,
        Credential::Bearer(file) => request.bearer_auth(secret_line(file)?),
        Credential::Basic(name, file) => request.basic_auth(name, Some(secret_line(file)?)),
    })
}

/// The secret of a file, as text on one line.
fn secret_line(file: &Path) -> Result<String, Fault> {
    let text = files::read_text(file).map_err(unreadable)?;
    let line = text.trim();
    if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        let sentence = "a token file is empty, or is not one line of visible characters";
        return Err(Fault::new(Code::Unavailable, sentence).fix(file.display().to_string()));
    }
    Ok(line.to_owned())
}

fn sign(key_file: &Path, body: &[u8]) -> Result<String, Fault> {
    let text = files::read_text(key_file).map_err(unreadable)?;
    let key = Secret::decode(&text, "key_file").map_err(|error| {
        Fault::new(Code::Unavailable, "the key that signs what is sent is malformed").because(error)
    })?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose())
        .map_err(|_| Fault::new(Code::Bug, "a key of any length makes an HMAC"))?;
    mac.update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

fn unreadable(error: files::FileError) -> Fault {
    Fault::new(Code::Unavailable, "a secret for another service cannot be read").because(error)
}

/// Pause after so many failures: it doubles from `first` up to `longest`.
pub fn pause(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    first.saturating_mul(1 << doublings).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pause = |failures| pause(failures, Duration::from_secs(5), Duration::from_mins(15));
        assert_eq!([pause(1), pause(3), pause(300)], [5, 20, 900].map(Duration::from_secs));
    }
}
