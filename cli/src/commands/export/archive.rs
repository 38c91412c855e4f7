//! The archive of exports: search, and legal holds.

use clap::{Args, ValueEnum};
use flota_proto::v1::{
    ExportHold, HoldExportsRequest, ListHoldsRequest, ReleaseHoldRequest, SearchExportsRequest, SearchHit,
};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::Value;

use crate::args::Many;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::text::clean;
use crate::output::time::{Moment, parse_moment};
use crate::output::{Listing, Style, time};

/// Time that a search may take: an archive of some hundred gigabytes.
const SEARCH_TIME: std::time::Duration = std::time::Duration::from_mins(30);

/// `flota export search`
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words that an entry must have
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
    /// Only exports of this host
    #[arg(long, value_name = "HOST", default_value = "", hide_default_value = true)]
    host: String,
    /// Only exports of these hosts, as in venue=binance
    #[arg(short = 'l', long, value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    selector: String,
    /// Only in the audit log or in the alerts [default: both]
    #[arg(long = "in", value_name = "audit|alert", hide_possible_values = true)]
    source: Option<Source>,
    /// Every export, not only the newest of each host, which has all that its log had
    #[arg(long)]
    all_exports: bool,
    /// Only exports made from then on: a time, or how long ago
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    since: Option<Moment>,
    /// Only exports made before then: a time, or how long ago
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    until: Option<Moment>,
    /// Most entries to print
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// Where an entry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    Audit,
    Alert,
}

/// `flota export hold`
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    targets: Many,
    /// Why: the case, the request
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `flota export holds`
#[derive(Debug, Args)]
pub(crate) struct Holds {
    /// Those that are released too
    #[arg(long)]
    all: bool,
}

/// `flota export release`
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// Its number, from the list
    id: u32,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// A hit, for machines: the entry as the bot wrote it.
#[derive(Debug, Serialize)]
struct Hit {
    host_name: String,
    export_id: String,
    exported_at: String,
    source: String,
    entry: Value,
}

pub(super) async fn search(invocation: &Invocation, args: Search) -> Result<Exit, Failure> {
    let ago = |moment: Option<Moment>| match moment {
        None => String::new(),
        Some(Moment::At(time)) => time.to_string(),
        Some(Moment::After(duration)) => {
            invocation.now().minus(duration).map_or_else(String::new, |time| time.to_string())
        }
    };
    let source = match args.source {
        None => "",
        Some(Source::Audit) => "audit",
        Some(Source::Alert) => "alert",
    };
    let request = SearchExportsRequest {
        text: args.words.join(" "),
        selector: args.selector,
        host: args.host,
        since: ago(args.since),
        until: ago(args.until),
        source: source.to_owned(),
        limit: args.limit,
        all: args.all_exports,
    };
    let session = invocation.session().await?;
    let answer = session.exports().search(session.ask_within(request, SEARCH_TIME)).await;
    let mut stream = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    let (mut hits, mut sum) = (Vec::new(), None);
    while let Some(hit) = stream.next().await {
        let hit = hit.map_err(|status| Failure::of_status(&status, Stake::Reads))?;
        if hit.entry_json.is_empty() {
            sum = Some(hit);
        } else {
            hits.push(read(hit));
        }
    }
    let sum =
        sum.ok_or_else(|| Failure::new(Exit::Unreachable, "the search was cut off; what was found is not all"))?;
    let listing = Listing {
        kind: "ExportHit",
        items: &hits,
        columns: &COLUMNS,
        row: |hit: &Hit| {
            vec![
                hit.host_name.clone(),
                hit.exported_at.clone(),
                hit.source.clone(),
                hit.entry.to_string(),
                hit.export_id.clone(),
            ]
        },
        name: |hit: &Hit| hit.export_id.clone(),
    };
    invocation.out.listing(&listing, |style| table(&hits, style))?;
    tell(invocation, &sum);
    Ok(match (hits.is_empty(), sum.unreadable.is_empty()) {
        (_, false) => Exit::Partial,
        (true, true) => Exit::Bad,
        (false, true) => Exit::Good,
    })
}

const COLUMNS: [&str; 5] = ["host", "exported_at", "source", "entry", "export_id"];

fn read(hit: SearchHit) -> Hit {
    let SearchHit { host_name, export_id, exported_at, source, entry_json, .. } = hit;
    let entry = serde_json::from_str(&entry_json).unwrap_or(Value::String(entry_json));
    Hit { host_name, export_id, exported_at, source, entry }
}

fn tell(invocation: &Invocation, sum: &SearchHit) {
    let SearchHit { exports, hits, cut, unreadable, .. } = sum;
    let more = if *cut { "; there are more: --limit N" } else { "" };
    let noun = if *exports == 1 { "export" } else { "exports" };
    invocation.out.talk(&format!("{hits} found in {exports} {noun}{more}"));
    for export in unreadable {
        invocation.out.talk(&format!("not read: {}", clean(export)));
    }
}

fn table(hits: &[Hit], style: Style) -> String {
    let mut table = Table::new(["HOST", "FROM", "ENTRY"]);
    for hit in hits {
        table.row([Cell::from(&hit.host_name), Cell::from(&hit.source), Cell::from(hit.entry.to_string())]);
    }
    table.render(style)
}

pub(super) async fn hold(invocation: &Invocation, args: Hold) -> Result<Exit, Failure> {
    let chosen = args.targets.choose("flota export hold --reason TEXT")?;
    let session = invocation.session().await?;
    let request = HoldExportsRequest { selector: chosen.selector, all_hosts: chosen.all, reason: args.reason };
    let answer = session.exports().hold(session.ask(request)).await;
    let stake = Stake::LookFirst("flota export holds");
    let hold = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    told(invocation, &hold)?;
    invocation.out.talk(&format!("undo: flota export release {}", hold.id));
    Ok(Exit::Good)
}

pub(super) async fn holds(invocation: &Invocation, args: &Holds) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.exports().holds(session.ask(ListHoldsRequest { all: args.all })).await;
    let holds = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().holds;
    if holds.is_empty() {
        invocation.out.talk("nothing is held.");
    }
    let listing = Listing {
        kind: "ExportHold",
        items: &holds,
        columns: &HOLD_COLUMNS,
        row: hold_row,
        name: |hold: &ExportHold| hold.id.to_string(),
    };
    invocation.out.listing(&listing, |style| hold_table(&holds, style))?;
    Ok(Exit::Good)
}

pub(super) async fn release(invocation: &Invocation, args: Release) -> Result<Exit, Failure> {
    let Release { id, reason, yes } = args;
    let question =
        format!("Release hold {id}{}? What is old enough is removed within the hour.", in_context(invocation)?);
    confirm::moderate(invocation, &question, Assent::of_flag(yes), &format!("flota export release {id} --yes"))?;
    let session = invocation.session().await?;
    let answer = session.exports().release(session.ask(ReleaseHoldRequest { id, reason })).await;
    let stake = Stake::LookFirst("flota export holds --all");
    let hold = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    told(invocation, &hold)?;
    Ok(Exit::Good)
}

fn told(invocation: &Invocation, hold: &ExportHold) -> Result<(), Failure> {
    invocation.out.object("ExportHold", hold, &hold.id.to_string(), |style| {
        let (word, sign) =
            if hold.released_by.is_empty() { ("holds", Sign::Ok) } else { ("is released", Sign::Skipped) };
        let (hosts, reason) = (selected(hold), clean(&hold.reason));
        style.say(sign, &format!("hold {} {word} for exports of {hosts} ({} now): {reason}", hold.id, hold.hosts))
    })
}

const HOLD_COLUMNS: [&str; 8] =
    ["id", "selector", "hosts", "created_by", "created_at", "released_by", "released_at", "reason"];

fn hold_row(hold: &ExportHold) -> Vec<String> {
    let ExportHold { id, selector, reason, created_by, created_at, released_by, released_at, hosts } = hold.clone();
    vec![id.to_string(), selector, hosts.to_string(), created_by, created_at, released_by, released_at, reason]
}

fn hold_table(holds: &[ExportHold], style: Style) -> String {
    let mut table = Table::new(["HOLD", "HOSTS", "NOW", "SINCE", "BY", "RELEASED", "WHY"]).right(2);
    for hold in holds {
        table.row([
            Cell::from(hold.id.to_string()),
            Cell::from(selected(hold)),
            Cell::from(hold.hosts.to_string()),
            Cell::from(time::stamp(&hold.created_at)),
            Cell::from(&hold.created_by),
            Cell::from(time::stamp(&hold.released_at)),
            Cell::from(&hold.reason),
        ]);
    }
    table.render(style)
}

fn selected(hold: &ExportHold) -> String {
    if hold.selector.is_empty() { "all hosts".to_owned() } else { clean(&hold.selector) }
}
