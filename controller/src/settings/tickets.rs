//! `[tickets]` of the settings: where rollouts that name a ticket are noted.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::outside::is_reachable;

/// A ticket system.
#[derive(Debug, Clone)]
pub struct TicketSettings {
    /// Which.
    pub system: TicketSystemKind,
    /// Its address: HTTPS, or HTTP to this machine.
    pub url: String,
    /// GitHub: `owner/name`, of tickets that name none.
    pub repository: String,
    /// Who it is asked as; none: the token says so.
    pub user: Option<String>,
    /// File with the token or password.
    pub token_file: Option<PathBuf>,
    /// File with the secret that signs what is sent.
    pub key_file: Option<PathBuf>,
}

/// Which ticket system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TicketSystemKind {
    /// Notes as JSON to an address.
    Webhook,
    /// Comments on issues of Jira.
    Jira,
    /// Comments on issues of GitHub.
    GitHub,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketsFragment {
    system: TicketSystemKind,
    url: String,
    repository: Option<String>,
    user: Option<String>,
    token_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

/// Checks what was written.
pub(super) fn tickets(data_dir: &Path, fragment: TicketsFragment, problems: &mut Vec<String>) -> TicketSettings {
    let TicketsFragment { system, url, repository, user, token_file, key_file } = fragment;
    if !is_reachable(&url) {
        problems.push("`tickets.url` must be https, or http to this machine".into());
    }
    match system {
        TicketSystemKind::Webhook if key_file.is_none() => {
            problems.push("`tickets.key_file` is missing: what a webhook is sent is signed".into());
        }
        TicketSystemKind::Jira | TicketSystemKind::GitHub if token_file.is_none() => {
            problems.push("`tickets.token_file` is missing: it lets nobody write without one".into());
        }
        _ => {}
    }
    let repository = repository.unwrap_or_default();
    let is_named = repository.is_empty() || crate::tickets::is_repository(&repository);
    if !is_named || (system != TicketSystemKind::GitHub && !repository.is_empty()) {
        problems.push("`tickets.repository` is of GitHub, as in owner/name".into());
    }
    if user.is_some() && token_file.is_none() {
        problems.push("`tickets.user` needs `tickets.token_file`: its password or token".into());
    }
    let file = |file: Option<PathBuf>| file.map(|file| data_dir.join(file));
    TicketSettings { system, url, repository, user, token_file: file(token_file), key_file: file(key_file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        tickets(Path::new("/data"), toml::from_str(text).unwrap(), &mut problems);
        problems
    }

    #[test]
    fn each_system_has_what_it_needs() {
        let url = "url = 'https://tickets.example'";
        for good in [
            format!("system = 'jira'\n{url}\nuser = 'flota@example.com'\ntoken_file = 'jira.token'"),
            format!("system = 'github'\n{url}\nrepository = 'acme/ops'\ntoken_file = 'github.token'"),
            format!("system = 'webhook'\n{url}\nkey_file = 'tickets.key'"),
        ] {
            assert_eq!(problems(&good), Vec::<String>::new());
        }
        for bad in [
            format!("system = 'jira'\n{url}"),
            format!("system = 'webhook'\n{url}"),
            format!("system = 'github'\n{url}\ntoken_file = 't'\nrepository = '../x'"),
            format!("system = 'jira'\n{url}\ntoken_file = 't'\nrepository = 'acme/ops'"),
            "system = 'jira'\nurl = 'http://tickets.example'\ntoken_file = 't'".to_owned(),
        ] {
            assert_eq!(problems(&bad).len(), 1, "{bad}");
        }
    }
}
