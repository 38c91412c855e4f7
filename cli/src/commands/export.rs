//! `flota export`.

mod archive;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use flota_proto::v1::{Export, ListExportsRequest, RunTaskRequest, Task};

use super::download::{self, Overwrite};
use super::find::Kind;
use crate::args::Targets;
use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::text::{bytes, clean, count, words};
use crate::output::{Format, Listing, Style, json, time};
use crate::view::tasks;
use crate::wait::{self, Waited};

/// Verbs on security exports.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Have hosts write and upload a security export now
    ///
    /// Waits and prints one line a host. Ends with 0 if all succeeded, 3 if some did, 1 if none. With -o name it
    /// prints the ids of the exports.
    Run(Run),
    /// List the archive, newest first
    List(List),
    /// Fetch an export from the archive, and check it against its digest
    Get(Get),
    /// Look for entries of audit logs and alerts in the archive
    ///
    /// All words must be in an entry, whatever their case. Ends with 1 when there is none.
    Search(archive::Search),
    /// Keep exports of hosts whatever the retention says
    Hold(archive::Hold),
    /// List legal holds
    Holds(archive::Holds),
    /// Release a legal hold
    Release(archive::Release),
}

/// `flota export run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// How long hosts may take
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration, default_value = "2m")]
    within: Duration,
    /// Print the tasks and do not wait for them
    #[arg(long)]
    no_wait: bool,
}

/// `flota export list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Most exports to print, 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// `flota export get`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "host"]))]
pub(crate) struct Get {
    /// Id from the list, or its beginning if that is unique
    id: Option<String>,
    /// The newest of this host, with --latest
    #[arg(long, value_name = "HOST", requires = "latest")]
    host: Option<String>,
    /// The newest, with --host
    #[arg(long, requires = "host")]
    latest: bool,
    /// Write to this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// Write to this folder, under a name made of host and time
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: ExportCommand) -> Result<Exit, Failure> {
    match command {
        ExportCommand::Run(args) => start(invocation, args).await,
        ExportCommand::List(args) => list(invocation, args).await,
        ExportCommand::Get(args) => get(invocation, args).await,
        ExportCommand::Search(args) => archive::search(invocation, args).await,
        ExportCommand::Hold(args) => archive::hold(invocation, args).await,
        ExportCommand::Holds(args) => archive::holds(invocation, &args).await,
        ExportCommand::Release(args) => archive::release(invocation, args).await,
    }
}

async fn start(invocation: &Invocation, args: Run) -> Result<Exit, Failure> {
    let chosen = args.targets.choose("flota export run")?;
    let mut session = invocation.session().await?;
    let request = RunTaskRequest {
        selector: chosen.selector,
        all_hosts: chosen.all,
        hosts: chosen.hosts,
        checks: Vec::new(),
        reason: args.reason,
        timeout_seconds: u32::try_from(args.within.as_secs()).unwrap_or(u32::MAX).max(1),
    };
    let answer = session.exports().run(session.ask(request)).await;
    let tasks = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner().tasks;
    wait::none_chosen(&tasks)?;
    if args.no_wait {
        print_tasks(invocation, &tasks)?;
        invocation.out.talk(&format!("{} asked.  Later: flota export list", count(tasks.len(), "host")));
        return Ok(Exit::Good);
    }
    let Waited { tasks, cut } = wait::until_done(invocation, &mut session, tasks).await?;
    let judged = judged(&tasks);
    finish(invocation, &tasks, cut.unwrap_or(judged), "flota export list")
}

/// The last words on tasks that were waited for.
pub(crate) fn finish(invocation: &Invocation, tasks: &[Task], exit: Exit, later: &str) -> Result<Exit, Failure> {
    let out = &invocation.out;
    match out.format {
        Format::Table | Format::Wide => {}
        Format::Jsonl => {
            out.data(&json::line("Verdict", &serde_json::json!({ "exit_code": exit.code() })))?;
        }
        Format::Json | Format::Tsv | Format::Name => print_tasks(invocation, tasks)?,
    }
    let done = tasks.iter().filter(|task| task.state == "done").count();
    let open = tasks.iter().filter(|task| !tasks::is_over(task)).count();
    let tally = format!("{done} of {} done", count(tasks.len(), "host"));
    out.talk(&match exit {
        Exit::TimedOut => format!("{tally}, {open} go on; --timeout reached here (exit 124).  Later: {later}"),
        Exit::Interrupted => format!("{tally}, {open} go on without us (exit 130).  Later: {later}"),
        _ => tally,
    });
    Ok(exit)
}

/// The tasks as a listing.
pub(crate) fn print_tasks(invocation: &Invocation, list: &[Task]) -> Result<(), Failure> {
    let width = list.iter().map(|task| task.host_name.len()).max().unwrap_or(0);
    let listing = Listing { kind: "Task", items: list, columns: &tasks::COLUMNS, row: tasks::row, name: tasks::name };
    invocation.out.listing(&listing, |style| list.iter().map(|task| tasks::line(task, width, style) + "\n").collect())
}

fn judged(tasks: &[Task]) -> Exit {
    match tasks.iter().filter(|task| task.state == "done").count() {
        done if done == tasks.len() => Exit::Good,
        0 => Exit::Bad,
        _ => Exit::Partial,
    }
}

async fn list(invocation: &Invocation, args: List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let exports = fetch(&session, args.host.unwrap_or_default(), args.limit).await?;
    if exports.is_empty() {
        invocation.out.talk("no exports.  Make one: flota export run HOST");
    }
    let listing =
        Listing { kind: "Export", items: &exports, columns: &COLUMNS, row, name: |export: &Export| export.id.clone() };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| table(&exports, now, style))?;
    Ok(Exit::Good)
}

async fn fetch(session: &Session, host: String, limit: u32) -> Result<Vec<Export>, Failure> {
    let answer = session.exports().list(session.ask(ListExportsRequest { host, limit })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().exports)
}

async fn get(invocation: &Invocation, args: Get) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let export = match (&args.id, &args.host) {
        (Some(id), _) => EXPORTS.find(fetch(&session, String::new(), 0).await?, id)?,
        (None, host) => newest(&session, host.as_deref().unwrap_or_default()).await?,
    };
    let name = format!("{}-{}.bundle.json", clean(&export.host_name), time::compact(&export.at));
    // A host name is a DNS label; a controller that says otherwise must not choose the folder.
    let path = args.file.unwrap_or_else(|| args.dir.join(name.replace('/', "_")));
    let overwrite = if args.force { Overwrite::Allowed } else { Overwrite::Refused };
    download::to_file(&session, &export.blob, export.size_bytes, &path, overwrite).await?;
    let shown = path.display().to_string();
    invocation.out.object("Export", &export, &shown, |_| shown.clone())?;
    invocation.out.talk(&format!(
        "{} from {}, checked against sha256 {}",
        bytes(export.size_bytes),
        clean(&export.host_name),
        export.blob
    ));
    Ok(Exit::Good)
}

const EXPORTS: Kind<Export> = Kind {
    noun: "export",
    list: "flota export list",
    id: |export| &export.id,
    line: |export| format!("{}  {}", clean(&export.id), clean(&export.host_name)),
};

async fn newest(session: &Session, host: &str) -> Result<Export, Failure> {
    let newest = fetch(session, host.to_owned(), 1).await?.into_iter().next();
    newest.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("{host} has no export in the archive"))
            .fix(format!("flota export run {host}"))
    })
}

const COLUMNS: [&str; 11] = [
    "id",
    "host",
    "at",
    "size_bytes",
    "audit_entries",
    "alert_entries",
    "status",
    "key_id",
    "blob",
    "reason",
    "signature",
];

fn row(export: &Export) -> Vec<String> {
    let Export {
        id,
        host_name,
        at,
        size_bytes,
        audit_entries,
        alert_entries,
        status,
        key_id,
        blob,
        reason,
        signature,
        ..
    } = export.clone();
    let numbers = [size_bytes, audit_entries, alert_entries].map(|number| number.to_string());
    let [size, audit, alerts] = numbers;
    vec![id, host_name, at, size, audit, alerts, status, key_id, blob, reason, signature]
}

fn table(exports: &[Export], now: flota_model::Timestamp, style: Style) -> String {
    let mut table =
        Table::new(["HOST", "AGE", "STATE", "SIGNATURE", "AUDIT", "ALERTS", "SIZE", "KEY", "REASON", "EXPORT"])
            .right(1)
            .right(4)
            .right(5)
            .right(6);
    for export in exports {
        let sign = if export.status == "ok" { Sign::Ok } else { Sign::Warning };
        table.row([
            Cell::from(&export.host_name),
            Cell::from(time::ago(&export.at, now)),
            Cell::signed(sign, &export.status),
            signature(export),
            Cell::from(export.audit_entries.to_string()),
            Cell::from(export.alert_entries.to_string()),
            Cell::from(bytes(export.size_bytes)),
            Cell::from(&export.key_id),
            Cell::from(&export.reason),
            Cell::from(&export.id),
        ]);
    }
    table.render(style)
}

/// What came of checking it when it arrived.
fn signature(export: &Export) -> Cell {
    match export.signature.as_str() {
        "valid" => Cell::signed(Sign::Ok, "valid"),
        "not_checked" | "" => Cell::from(""),
        bad => Cell::signed(Sign::Failed, &words(bad)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_counts_hosts() {
        let task = |state: &str| Task { state: state.into(), ..Task::default() };
        assert_eq!(judged(&[task("done"), task("done")]), Exit::Good);
        assert_eq!(judged(&[task("done"), task("expired")]), Exit::Partial);
        assert_eq!(judged(&[task("failed"), task("expired")]), Exit::Bad);
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&Export::default()).len(), COLUMNS.len());
        assert_eq!(tasks::row(&Task::default()).len(), tasks::COLUMNS.len());
    }
}
