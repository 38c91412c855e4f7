//! Addresses of other people's services.

use std::path::{Path, PathBuf};

/// Where escalations are sent.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Address: HTTPS, or HTTP to this machine.
    pub url: String,
    /// File with the secret that signs what is sent (`hex:`, `base64:` or text).
    pub key_file: PathBuf,
}

/// The webhook of escalations.
pub(super) fn webhook(
    data_dir: &Path,
    url: Option<String>,
    key_file: Option<PathBuf>,
) -> Result<Option<Webhook>, String> {
    match (url, key_file) {
        (None, None) => Ok(None),
        (Some(url), Some(key_file)) => {
            if !is_reachable(&url) {
                return Err("`webhook_url` must be https, or http to this machine".into());
            }
            Ok(Some(Webhook { url, key_file: data_dir.join(key_file) }))
        }
        _ => Err("`webhook_url` and `webhook_key_file` are given together: what is sent is signed".into()),
    }
}

/// Whether secrets may be sent there: HTTPS, or HTTP to this machine; and none of them in the address itself.
pub(super) fn is_reachable(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let local = url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    (url.scheme() == "https" || local) && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_sent_over_tls_or_to_this_machine() {
        for good in ["https://example.com/a?b=c", "http://127.0.0.1:80/x", "http://[::1]", "http://localhost"] {
            assert!(is_reachable(good), "{good}");
        }
        for bad in [
            "http://example.com",
            "http://127.0.0.1:80@example.com/",
            "http://localhost.example.com",
            "https://a:b@example.com",
            "ftp://127.0.0.1",
            "example.com",
        ] {
            assert!(!is_reachable(bad), "{bad}");
        }
    }
}
