//! GitHub: a comment on an issue (REST API: POST /repos/OWNER/REPOSITORY/issues/NUMBER/comments).

use serde_json::{Value, json};

use super::{TicketRequest, TicketSystem, TicketText};

/// A repository of it, on github.com or a server of one's own.
pub(super) struct GitHub {
    /// Of its API, without a slash at its end.
    pub(super) url: String,
    /// `owner/name`: tickets are of that alone. Empty: each ticket names its own.
    pub(super) repository: String,
}

impl TicketSystem for GitHub {
    fn request(&self, note: &TicketText) -> Result<TicketRequest, String> {
        let ticket = &note.ticket;
        let (named, number) = ticket.rsplit_once('#').unwrap_or(("", ticket));
        let repository = if named.is_empty() { self.repository.as_str() } else { named };
        let is_number = !number.is_empty() && number.len() <= 12 && number.bytes().all(|byte| byte.is_ascii_digit());
        // Whoever names a ticket does not choose how far the token reaches.
        let elsewhere = !self.repository.is_empty() && !repository.eq_ignore_ascii_case(&self.repository);
        if elsewhere {
            return Err(format!("`{ticket}` is not of {}, which the settings name", self.repository));
        }
        if !is_number || !is_repository(repository) {
            return Err(format!("`{ticket}` is no GitHub issue: #912 or owner/repository#912"));
        }
        let url = format!("{}/repos/{repository}/issues/{number}/comments", self.url);
        Ok(TicketRequest { url, body: json!({ "body": note.text }) })
    }

    fn reference(&self, answer: &Value) -> Option<String> {
        Some(answer.get("html_url")?.as_str()?.to_owned())
    }
}

/// `owner/name`, of letters, digits, `.`, `_` and `-`.
pub(crate) fn is_repository(text: &str) -> bool {
    let plain = |part: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        (1..=100).contains(&part.len()) && part.bytes().all(of_name) && !part.bytes().all(|byte| byte == b'.')
    };
    text.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_are_of_the_repository_or_name_their_own() {
        let github = GitHub { url: "https://api.example".into(), repository: "acme/ops".into() };
        let url = |ticket: &str| {
            let note = TicketText { ticket: ticket.into(), event: "started", rollout: "R-1".into(), text: "x".into() };
            github.request(&note).map(|request| request.url)
        };
        for ticket in ["912", "#912"] {
            assert_eq!(url(ticket).unwrap(), "https://api.example/repos/acme/ops/issues/912/comments");
        }
        assert_eq!(url("acme/ops#7").unwrap(), "https://api.example/repos/acme/ops/issues/7/comments");
        assert_eq!(url("acme/bot#7").unwrap_err(), "`acme/bot#7` is not of acme/ops, which the settings name");
        for bad in ["OPS-912", "#", "#1/x", "../..#1", "a/b/c#1", "acme#1"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
