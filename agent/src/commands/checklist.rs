//! The operator's checklist (manual §7).

use clap::{Args, ValueEnum};
use flota_procedures::checklist::{
    self, Checklist, ChecklistInputs, ChecklistItem, FileState, ItemStatus, KeyState, Outcome, Procedure, Proof, Record,
};
use flota_procedures::iso_time;

use super::Installation;
use super::environment;
use super::lang::{Lang, Term};
use super::output::{Answer, Failure, or_exit};
use crate::procedures::present;

/// What the host knows cannot be read or kept.
const EXIT_UNREADABLE: u8 = 2;

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    installation: Installation,
    /// Note first that the update was recorded in the ticket system, under this id
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t = Format::Json)]
    output: Format,
}

/// How the list is printed.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A table for people.
    Text,
    /// A document for programs.
    Json,
}

impl Show {
    pub(super) fn run(self, lang: Lang) -> Result<Answer, Failure> {
        let (root, at) = (self.installation.root, present());
        if let Some(id) = self.ticket {
            let proof = Some(Proof::Record { id });
            let ticket = Record { procedure: Procedure::Ticket, at, outcome: Outcome::Passed, proof };
            checklist::record(&root, ticket).map_err(or_exit(EXIT_UNREADABLE))?;
        }
        let records = checklist::load(&root).map_err(or_exit(EXIT_UNREADABLE))?;
        let export_file = match records.last(Procedure::SecurityExport).and_then(|export| export.proof.as_ref()) {
            Some(Proof::File { path, .. }) if root.join(path).is_file() => FileState::Present,
            _ => FileState::Gone,
        };
        let hmac_key = match environment::audit_key() {
            None => KeyState::Missing,
            Some(Ok(_)) => KeyState::Set,
            Some(Err(_)) => KeyState::Malformed,
        };
        let list = checklist::evaluate(&ChecklistInputs { hmac_key, export_file, records }, at);
        Ok(match self.output {
            Format::Text => Answer::text(table(&list, lang), list.exit_code()),
            Format::Json => Answer::json(&list.to_json(), list.exit_code()),
        })
    }
}

/// A line an item, ticked as in the manual, and a verdict.
fn table(list: &Checklist, lang: Lang) -> String {
    let head = [Term::Item, Term::State, Term::When, Term::Evidence].map(|term| lang.say(term).to_owned());
    let rows: Vec<_> = list.items().iter().map(|item| (item.status, row(item, lang))).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|(_, row)| &row[column]).chain([&head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths = [0, 1, 2].map(width);
    let line = |mark: &str, [item, state, when, evidence]: &[String; 4]| {
        let [first, second, third] = widths;
        format!("{mark} {item:<first$}  {state:<second$}  {when:<third$}  {evidence}").trim_end().to_owned() + "\n"
    };
    let verdict = lang.say(if list.is_done() { Term::AllDone } else { Term::SomeOpen });
    let rows = rows.iter().map(|(status, row)| line(if *status == ItemStatus::Done { "[x]" } else { "[ ]" }, row));
    [line("   ", &head)].into_iter().chain(rows).collect::<String>() + verdict + "\n"
}

fn row(item: &ChecklistItem, lang: Lang) -> [String; 4] {
    let state = lang.say(match item.status {
        ItemStatus::Done => Term::Done,
        ItemStatus::Failed => Term::Failed,
        ItemStatus::Missing => Term::Missing,
        ItemStatus::Stale => Term::Stale,
    });
    let when = item.when.map_or_else(|| "-".to_owned(), iso_time::format);
    let evidence = match &item.evidence {
        None => "-".to_owned(),
        Some(Proof::File { path, .. }) => path.clone(),
        Some(Proof::Record { id }) => id.clone(),
    };
    [lang.describe(item.id, item.title).to_owned(), state.to_owned(), when, evidence]
}
