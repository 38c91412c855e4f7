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
    };
    let stake = Stake::LookFirst("flota token list");
    let answer = session.tokens().create(session.ask(request)).await;
    let token = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    invocation.out.object("Token", &token, &token.id, |_| token.token.clone())?;
    invocation.out.talk(&format!(
        "token {} admits one host until {}; it is shown this once.\nnext: give it to flota-agent enrol on the host; withdraw it:  flota token revoke {}",
        token.id,
        time::stamp(&token.expires_at),
        token.id
    ));
    Ok(Exit::Good)
}

async fn list(invocation: &Invocation) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.tokens().list(session.ask(ListTokensRequest {})).await;
    let tokens = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().tokens;
    if tokens.is_empty() {
        invocation.out.talk("no tokens.  Make one: flota token create NAME");
    }
    let listing = Listing { kind: "Token", items: &tokens, columns: &COLUMNS, row, name: |token: &Token| &token.id };
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

const COLUMNS: [&str; 7] = ["id", "host_name", "state", "expires_at", "created_by", "used_by", "created_at"];

fn row(token: &Token) -> Vec<String> {
    let Token { id, host_name, state, created_at, expires_at, created_by, used_by, .. } = token.clone();
    vec![id, host_name, state, expires_at, created_by, used_by, created_at]
}

fn table(tokens: &[Token], style: Style) -> String {
    let mut table = Table::new(["TOKEN", "HOST", "LABELS", "STATE", "EXPIRES", "BY", "USED BY"]);
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
