//! `flota audit`.

use clap::{Args, Subcommand};
use flota_model::Timestamp;
use flota_proto::v1::{AuditEntry, ListAuditRequest, VerifyAuditRequest, VerifyAuditResponse};

use super::evidence;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, short};
use crate::output::{Format, Listing, Style, time};

/// Verbs on the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List entries, newest first
    List(List),
    /// Check the whole chain of hashes; ends with 1 if it is broken
    ///
    /// With a file, the evidence in it is checked without a controller and without a network.
    Verify(evidence::Verify),
    /// Write the log with its signed head, to be checked elsewhere
    Export(evidence::Export),
}

/// `flota audit list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only about this, as in rollout/R-3
    #[arg(long, value_name = "OBJECT", default_value = "", hide_default_value = true)]
    object: String,
    /// Only this action, as in rollout.pause
    #[arg(long, value_name = "ACTION", default_value = "", hide_default_value = true)]
    action: String,
    /// Most entries to print, 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: AuditCommand) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List(args) => list(invocation, args).await,
        AuditCommand::Verify(args) => match args.file() {
            Some(file) => evidence::verify_file(invocation, file, &args),
            None => verify(invocation).await,
        },
        AuditCommand::Export(args) => evidence::export(invocation, args).await,
    }
}

async fn list(invocation: &Invocation, args: List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let List { object, action, limit } = args;
    let answer = session.audit().list(session.ask(ListAuditRequest { object, action, limit })).await;
    let entries = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().entries;
    if entries.is_empty() {
        invocation.out.talk("no such entries.");
    }
    let (format, now) = (invocation.out.format, invocation.now());
    let listing = Listing {
        kind: "AuditEntry",
        items: &entries,
        columns: &COLUMNS,
        row,
        name: |entry: &AuditEntry| entry.hash.clone(),
    };
    invocation.out.listing(&listing, |style| table(&entries, format, now, style))?;
    Ok(Exit::Good)
}

async fn verify(invocation: &Invocation) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.audit().verify(session.ask(VerifyAuditRequest {})).await;
    let verdict = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    invocation.out.object("AuditVerdict", &verdict, &verdict.head, |style| verified(&verdict, style))?;
    Ok(if verdict.intact { Exit::Good } else { Exit::Bad })
}

fn verified(verdict: &VerifyAuditResponse, style: Style) -> String {
    let VerifyAuditResponse { intact, entries, first_bad, problem, head } = verdict;
    if *intact {
        return style.say(Sign::Ok, &format!("the chain is intact: {entries} entries, head {}", clean(head)));
    }
    let sentence = style.say(Sign::Failed, &format!("the chain is broken at entry {first_bad}: {}", clean(problem)));
    format!(
        "{sentence}\n  treat this as an incident: make no changes by hand, keep the database, compare with the last good head of a backup"
    )
}

const COLUMNS: [&str; 8] = ["sequence", "at", "actor", "action", "object", "outcome", "details", "hash"];

fn row(entry: &AuditEntry) -> Vec<String> {
    let AuditEntry { sequence, at, actor, action, object, outcome, details_json, hash, .. } = entry.clone();
    vec![sequence.to_string(), at, actor, action, object, outcome, details_json, hash]
}

fn table(entries: &[AuditEntry], format: Format, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["SEQ", "TIME", "ACTOR", "ACTION", "OBJECT", "OUTCOME"]).right(0);
    if format == Format::Wide {
        table.headings(&["HASH", "DETAILS"]);
    }
    for entry in entries {
        let bad = matches!(entry.outcome.as_str(), "denied" | "failed" | "fail");
        let mut cells = vec![
            Cell::from(entry.sequence.to_string()),
            Cell::from(time::clock(&entry.at, now)),
            Cell::from(&entry.actor),
            Cell::from(&entry.action),
            Cell::from(&entry.object),
            if bad { Cell::toned(Tone::Bad, &entry.outcome) } else { Cell::from(&entry.outcome) },
        ];
        if format == Format::Wide {
            cells.extend([Cell::from(short(&entry.hash)), Cell::from(&entry.details_json)]);
        }
        table.row_of(cells);
    }
    table.render(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PLAIN;

    #[test]
    fn a_broken_chain_says_where() {
        let broken = VerifyAuditResponse { first_bad: 7, problem: "entry 7 was changed".into(), ..Default::default() };
        assert!(verified(&broken, PLAIN).starts_with("✗ the chain is broken at entry 7: entry 7 was changed\n"));
        let intact = VerifyAuditResponse { intact: true, entries: 9, head: "ab".into(), ..Default::default() };
        assert_eq!(verified(&intact, PLAIN), "✓ the chain is intact: 9 entries, head ab");
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&AuditEntry::default()).len(), COLUMNS.len());
    }
}
