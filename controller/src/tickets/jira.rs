//! Jira: a comment on an issue (REST API version 2, which both cloud and server have: POST /rest/api/2/issue/KEY/comment).

use serde_json::{Value, json};

use super::{TicketRequest, TicketSystem, TicketText};

/// Longest issue key, in bytes.
const MAX_KEY: usize = 80;

/// A site.
pub(super) struct Jira {
    /// Without a slash at its end.
    pub(super) url: String,
}

impl TicketSystem for Jira {
    fn request(&self, note: &TicketText) -> Result<TicketRequest, String> {
        let key = &note.ticket;
        if !is_key(key) {
            return Err(format!("`{key}` is no Jira issue: a key is as OPS-912"));
        }
        Ok(TicketRequest {
            url: format!("{}/rest/api/2/issue/{key}/comment", self.url),
            body: json!({ "body": note.text }),
        })
    }

    fn reference(&self, answer: &Value) -> Option<String> {
        Some(format!("comment {}", answer.get("id")?.as_str()?))
    }
}

/// As OPS-912: letters, digits and `_` that begin with a capital letter, a hyphen, a number.
fn is_key(key: &str) -> bool {
    let Some((project, number)) = key.rsplit_once('-') else { return false };
    let of_project = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    key.len() <= MAX_KEY
        && project.starts_with(|first: char| first.is_ascii_uppercase())
        && project.bytes().all(of_project)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_keys_and_nothing_that_leads_elsewhere() {
        for good in ["OPS-912", "A1_B-1"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "OPS", "OPS-", "ops-1", "1A-1", "OPS-1/../2", "OPS-1?x", "OPS 1-2"] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
