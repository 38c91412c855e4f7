//! `flota token`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use flota_proto::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Token};

use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::text::clean;
use crate::output::{Listing, Style, time};

/// Verbs on tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token that admits one host, once
    ///
    /// The token is a secret and is printed once, alone on stdout.
    Create(Create),
    /// List tokens; never their secrets
    List,
    /// Withdraw a token that was not used yet
    Revoke(Revoke),
}

/// `flota token create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name that the host gets [default: its id]
    #[arg(value_name = "NAME")]
    host_name: Option<flota_model::HostName>,
    /// Label that the host gets; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// How long the token can be used
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration, default_value = "1h")]
    ttl: Duration,
    /// The host waits for a person after it has proven its TPM
    #[arg(long)]
    approval: bool,
    /// For a host without a TPM: its key is in a file, and whoever copies that is the host
    ///
    /// The controller must allow it (allow_software_keys).
    #[arg(long)]
    software_key: bool,
}

/// `flota token revoke`
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Id from the list
    id: String,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create(args) => create(invocation, args).await,
        TokenCommand::List => list(invocation).await,
        TokenCommand::Revoke(args) => revoke(invocation, args).await,
    }
}

async fn create(invocation: &Invocation, args: Create) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let request = CreateTokenRequest {
        host_name: args.host_name.map(String::from).unwrap_or_default(),
        labels: args.labels.into_iter().collect::<BTreeMap<_, _>>(),
        ttl_seconds: u32::try_from(args.ttl.as_secs()).unwrap_or(u32::MAX).max(1),
        approval: args.approval,
        software_key: args.software_key,
    };
    let stake = Stake::LookFirst("flota token list");
    let answer = session.tokens().create(session.ask(request)).await;
    let token = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    invocation.out.object("Token", &token, &token.id, |_| token.token.clone())?;
    let (id, until) = (clean(&token.id), time::stamp(&token.expires_at));
    let mut lines = vec![format!("token {id} admits one host until {until}; it is shown this once.")];
    if args.software_key {
        lines.push("the host needs no TPM: its key is in a file, and whoever copies that file is the host.".to_owned());
    }
    lines.push(format!("next: give it to flota-agent enroll on the host; withdraw it:  flota token revoke {id}"));
    if args.approval {
        lines.push("then: the host awaits approval:  flota enrolment list".to_owned());
    }
    invocation.out.talk(&lines.join("\n"));
    Ok(Exit::Good)
}

async fn list(invocation: &Invocation) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.tokens().list(session.ask(ListTokensRequest {})).await;
    let tokens = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().tokens;
    if tokens.is_empty() {
        invocation.out.talk("no tokens.  Make one: flota token create NAME");
    }
    let listing =
        Listing { kind: "Token", items: &tokens, columns: &COLUMNS, row, name: |token: &Token| token.id.clone() };
    invocation.out.listing(&listing, |style| table(&tokens, style))?;
    Ok(Exit::Good)
}

async fn revoke(invocation: &Invocation, args: Revoke) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.tokens().revoke(session.ask(RevokeTokenRequest { id: args.id.clone() })).await;
    answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?;
    invocation.out.talk(&format!("token {} is revoked: no host can enrol with it any more.", args.id));
    Ok(Exit::Good)
}

const COLUMNS: [&str; 9] =
    ["id", "host_name", "state", "expires_at", "created_by", "used_by", "created_at", "approval", "software_key"];

fn row(token: &Token) -> Vec<String> {
    let Token { id, host_name, state, created_at, expires_at, created_by, used_by, approval, software_key, .. } =
        token.clone();
    let [approval, software_key] = [approval, software_key].map(|flag| flag.to_string());
    vec![id, host_name, state, expires_at, created_by, used_by, created_at, approval, software_key]
}

/// What it asks of the host that uses it.
fn admits(token: &Token) -> Cell {
    match (token.software_key, token.approval) {
        (true, true) => Cell::signed(Sign::Warning, "key in a file, after approval"),
        (true, false) => Cell::signed(Sign::Warning, "key in a file"),
        (false, true) => Cell::from("TPM, after approval"),
        (false, false) => Cell::from("TPM"),
    }
}

fn table(tokens: &[Token], style: Style) -> String {
    let mut table = Table::new(["TOKEN", "HOST", "LABELS", "STATE", "ADMITS", "EXPIRES", "BY", "USED BY"]);
    for token in tokens {
        let sign = match token.state.as_str() {
            "open" => Sign::Waiting,
            "used" => Sign::Ok,
            _ => Sign::Skipped,
        };
        let labels = token.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        table.row([
            Cell::from(&token.id),
            Cell::from(&token.host_name),
            Cell::from(labels),
            Cell::signed(sign, &token.state),
            admits(token),
            Cell::from(time::stamp(&token.expires_at)),
            Cell::from(&token.created_by),
            Cell::from(&token.used_by),
        ]);
    }
    table.render(style)
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    let pair = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    // The controller checks too; here the mistake is shown beside the flag.
    flota_model::Labels::try_from(pair).map_err(|error| error.to_string())?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden};

    #[test]
    fn a_token_for_a_key_in_a_file_is_marked() {
        let token = |id: &str, state: &str, approval, software_key| Token {
            id: id.into(),
            host_name: "waw-bot-05".into(),
            labels: [("env".into(), "prod".into())].into(),
            state: state.into(),
            created_at: "2026-11-23T14:00:00Z".into(),
            expires_at: "2026-11-23T15:00:00Z".into(),
            created_by: "operator/anna".into(),
            used_by: String::new(),
            approval,
            software_key,
        };
        let tokens =
            [token("t-1", "open", false, false), token("t-2", "open", true, false), token("t-3", "used", true, true)];
        golden("token-list.txt", &table(&tokens, PLAIN));
    }

    #[test]
    fn labels_are_checked_beside_the_flag() {
        assert_eq!(label("env=prod"), Ok(("env".to_owned(), "prod".to_owned())));
        for bad in ["env", "env=", "=x", "host=a", "env=a b"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&Token::default()).len(), COLUMNS.len());
    }
}
