//! `flota health`.

use std::time::Duration;

use clap::{Args, Subcommand};
use flota_model::Timestamp;
use flota_model::health::checks;
use flota_proto::v1::{
    HealthCause, HealthRow, HostHealth, RunTaskRequest, ShowHealthRequest, ShowHealthResponse, Task,
};

use super::export::{finish, print_tasks};
use crate::args::{Filter, Targets};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::table::{Cell, Table};
use crate::output::text::count;
use crate::output::{Listing, Style, time};
use crate::view::health_causes::{self, sign};
use crate::wait::{self, Waited};

/// Verbs on health.
#[derive(Debug, Subcommand)]
pub(crate) enum HealthCommand {
    /// Have hosts check their exchanges now
    ///
    /// Ends with 0 if all are healthy, 1 if one is not, 3 if those that answered are and some did not answer.
    Run(Run),
    /// Show the newest report of each host, check by check
    ///
    /// What is wrong with several hosts at once is said once more below: whether it is the exchange, a label that they share, or
    /// the hosts. With `--by` hosts are counted instead.
    Show(Show),
}

/// `flota health run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    targets: Targets,
    /// Only this check; may be given more than once
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// How long hosts may take
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration, default_value = "2m")]
    within: Duration,
    /// Print the tasks and do not wait for them
    #[arg(long)]
    no_wait: bool,
}

/// `flota health show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    filter: Filter,
    /// Only this host, by name
    #[arg(value_name = "HOST", conflicts_with = "selector")]
    host: Option<flota_model::HostName>,
    /// Count hosts at each exchange, or by this label at each exchange, as in venue
    #[arg(long, value_name = "exchange|LABEL", conflicts_with = "host")]
    by: Option<String>,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: HealthCommand) -> Result<Exit, Failure> {
    match command {
        HealthCommand::Run(args) => check(invocation, args).await,
        HealthCommand::Show(args) => show(invocation, args).await,
    }
}

async fn check(invocation: &Invocation, args: Run) -> Result<Exit, Failure> {
    let chosen = args.targets.choose("flota health run")?;
    let mut session = invocation.session().await?;
    let request = RunTaskRequest {
        selector: chosen.selector,
        all_hosts: chosen.all,
        hosts: chosen.hosts,
        checks: args.checks,
        reason: String::new(),
        timeout_seconds: u32::try_from(args.within.as_secs()).unwrap_or(u32::MAX).max(1),
    };
    let answer = session.health().run(session.ask(request)).await;
    let tasks = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner().tasks;
    wait::none_chosen(&tasks)?;
    if args.no_wait {
        print_tasks(invocation, &tasks)?;
        invocation.out.talk(&format!("{} asked.  Later: flota health show", count(tasks.len(), "host")));
        return Ok(Exit::Good);
    }
    let Waited { tasks, cut } = wait::until_done(invocation, &mut session, tasks).await?;
    let judged = judged(&tasks);
    finish(invocation, &tasks, cut.unwrap_or(judged), "flota health show")
}

/// A host known to be ill weighs more than one that did not answer.
fn judged(tasks: &[Task]) -> Exit {
    let healthy = |task: &Task| task.state == "done" && task.health == "healthy";
    let silent = |task: &Task| task.state == "expired";
    if tasks.iter().all(healthy) {
        return Exit::Good;
    }
    let none_ill = tasks.iter().all(|task| healthy(task) || silent(task));
    if none_ill && tasks.iter().any(healthy) { Exit::Partial } else { Exit::Bad }
}

async fn show(invocation: &Invocation, args: Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let selector = args.host.as_ref().map_or_else(|| args.filter.text(), |host| format!("host={host}"));
    let by = args.by.unwrap_or_default();
    let answer = session.health().show(session.ask(ShowHealthRequest { selector, by: by.clone() })).await;
    let answer = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    let ShowHealthResponse { hosts, rows, causes } = answer;
    if hosts.is_empty() {
        invocation.out.talk("no health reports.  Check now: flota health run --all");
    }
    if !by.is_empty() {
        let listing = Listing {
            kind: "HealthRow",
            items: &rows,
            columns: &ROW_COLUMNS,
            row: counted,
            name: |row: &HealthRow| row.exchange.clone(),
        };
        invocation.out.listing(&listing, |style| joined(&health_causes::rows(&rows, &by, style), &causes, style))?;
        return Ok(Exit::Good);
    }
    let listing = Listing {
        kind: "HostHealth",
        items: &hosts,
        columns: &COLUMNS,
        row,
        name: |health: &HostHealth| health.host_name.clone(),
    };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| joined(&table(&hosts, now, style), &causes, style))?;
    Ok(Exit::Good)
}

/// A table, and below it what several hosts share.
fn joined(table: &str, causes: &[HealthCause], style: Style) -> String {
    let causes = health_causes::causes(causes, style);
    if causes.is_empty() { table.to_owned() } else { format!("{table}\n{causes}") }
}

const ROW_COLUMNS: [&str; 6] = ["exchange", "value", "healthy", "degraded", "unavailable", "unknown"];

fn counted(row: &HealthRow) -> Vec<String> {
    let HealthRow { exchange, value, healthy, degraded, unavailable, unknown } = row.clone();
    let numbers = [healthy, degraded, unavailable, unknown].map(|number| number.to_string());
    [exchange, value].into_iter().chain(numbers).collect()
}

const COLUMNS: [&str; 4] = ["host", "overall", "at", "host_id"];

fn row(health: &HostHealth) -> Vec<String> {
    let HostHealth { host_id, host_name, overall, at, .. } = health.clone();
    vec![host_name, overall, at, host_id]
}

fn table(hosts: &[HostHealth], now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["HOST", "HEALTH", "AGE", "CHECK", "STATE", "LATENCY", "DETAILS"]).right(2).right(5);
    for health in hosts {
        let age = if health.at.is_empty() { String::new() } else { time::ago(&health.at, now) };
        let overall = Cell::signed(sign(&health.overall), &health.overall);
        let checks = checks(&health.report_json);
        if checks.is_empty() {
            table.row_of(vec![Cell::from(&health.host_name), overall, Cell::from(age)]);
            continue;
        }
        for (index, check) in checks.iter().enumerate() {
            // The host stands in its first row alone; a space keeps the dash for unknown values away.
            let [name, overall, age] = if index == 0 {
                [Cell::from(&health.host_name), overall.clone(), Cell::from(&age)]
            } else {
                [Cell::from(" "), Cell::from(" "), Cell::from(" ")]
            };
            let latency = check.latency.map(|seconds| format!("{seconds:.3} s")).unwrap_or_default();
            let state = Cell::signed(sign(&check.status), &check.status);
            table.row([
                name,
                overall,
                age,
                Cell::from(&check.name),
                state,
                Cell::from(latency),
                Cell::from(&check.details),
            ]);
        }
    }
    table.render(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn illness_weighs_more_than_silence() {
        let task = |state: &str, health: &str| Task { state: state.into(), health: health.into(), ..Task::default() };
        let (well, ill, silent) = (task("done", "healthy"), task("done", "degraded"), task("expired", ""));
        assert_eq!(judged(&[well.clone(), well.clone()]), Exit::Good);
        assert_eq!(judged(&[well.clone(), ill.clone()]), Exit::Bad);
        assert_eq!(judged(&[well.clone(), silent.clone()]), Exit::Partial);
        assert_eq!(judged(&[ill, silent.clone()]), Exit::Bad);
        assert_eq!(judged(&[silent.clone(), silent]), Exit::Bad);
        assert_eq!(judged(&[well, task("failed", "")]), Exit::Bad);
    }

    #[test]
    fn reports_are_shown_check_by_check() {
        let report = r#"{"exchange":"binance_spot","results":[
            {"name":"public_api","status":"healthy","latency":0.1234,"details":{}},
            {"name":"private_api","status":"unavailable","latency":null,"details":"401 from api.binance.com"}]}"#;
        let health = |host: &str, overall: &str, report: &str| HostHealth {
            host_id: String::new(),
            host_name: host.into(),
            overall: overall.into(),
            at: "2026-11-23T14:31:07Z".into(),
            report_json: report.into(),
        };
        let hosts = [health("fra-bot-01", "unavailable", report), health("fra-bot-02", "healthy", "not json")];
        golden("health-show.txt", &table(&hosts, now(), PLAIN));
    }
}
