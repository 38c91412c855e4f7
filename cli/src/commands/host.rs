//! `flota host`.

pub(crate) mod decommission;

#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::{Args, Subcommand};
use flota_proto::v1::{Host, HostDetail, ListHostsRequest, PingReply, PingRequest, ShowHostRequest};
use futures_util::stream::{self, StreamExt as _};

use crate::args::{Filter, Many};
use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::text::{clean, count};
use crate::output::{Format, Listing, Style, json};
use crate::view::host_state::State;
use crate::view::{host_list, host_show};

/// Verbs on hosts.
#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// List hosts, trouble first
    List(List),
    /// Show one host: the verdict, what to do, the facts
    Show(Show),
    /// Ask hosts to answer, and measure how long they take
    ///
    /// Ends with 3 if some stay silent, 1 if all do. Without hosts it asks every host: it changes nothing.
    Ping(Ping),
    /// Take a host out of the fleet for ever
    ///
    /// Its certificate ends at once; its TPM can be enrolled again with a new token. Shows what it ends, and asks for
    /// the host's name to be typed.
    Decommission(decommission::Decommission),
}

/// `flota host list`
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// Only hosts that need someone
    #[arg(long)]
    trouble: bool,
    /// Most hosts to print, 0 for all [default: 100 in a table, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// `flota host show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name, id, or the beginning of an id
    host: String,
    /// Events to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    events: usize,
}

/// `flota host ping`
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Hosts by name
    #[arg(value_name = "HOST", conflicts_with_all = ["selector", "all"])]
    hosts: Vec<String>,
    #[command(flatten)]
    many: Many,
    /// How long a host may take
    #[arg(long, value_parser = crate::output::time::parse_duration, value_name = "DURATION", default_value = "3s")]
    within: Duration,
}

/// How much longer than the hosts the controller may take to say that one is silent.
const GRACE: Duration = Duration::from_secs(5);

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: HostCommand) -> Result<Exit, Failure> {
    match command {
        HostCommand::List(args) => list(invocation, args).await,
        HostCommand::Show(args) => show(invocation, args).await,
        HostCommand::Ping(args) => ping(invocation, args).await,
        HostCommand::Decommission(args) => decommission::run(invocation, args).await,
    }
}

async fn list(invocation: &Invocation, args: List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let request = session.ask(ListHostsRequest { selector: args.filter.text() });
    let answer = session.hosts().list(request).await.map_err(|status| Failure::of_status(&status, Stake::Reads))?;
    let (mut hosts, now) = (answer.into_inner().hosts, invocation.now());
    if args.trouble {
        hosts.retain(|host| State::of(host, now).sign <= Sign::Silent);
    }
    host_list::sort(&mut hosts, now);
    let format = invocation.out.format;
    let usual = if format.is_for_people() { host_list::SHOWN } else { usize::MAX };
    let shown = args.limit.map_or(usual, |limit| if limit == 0 { usize::MAX } else { limit }).min(hosts.len());
    if hosts.is_empty() {
        let none = if args.trouble { "no host needs anyone." } else { "no hosts.  Admit one: flota token create NAME" };
        invocation.out.talk(none);
    }
    let listing = Listing {
        kind: "Host",
        items: hosts.get(..shown).unwrap_or(&hosts),
        columns: &host_list::COLUMNS,
        row: host_list::row,
        name: |host: &Host| host.name.clone(),
    };
    invocation.out.listing(&listing, |style| host_list::render(&hosts, shown, format, now, style))?;
    Ok(Exit::Good)
}

/// All that is known of one host, by name, id, or the beginning of an id.
pub(crate) async fn known(session: &Session, host: &str) -> Result<HostDetail, Failure> {
    let request = session.ask(ShowHostRequest { host: host.to_owned() });
    let answer = session.hosts().show(request).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

/// The host in an answer that is about one.
pub(crate) fn in_it(host: Option<Host>) -> Result<Host, Failure> {
    host.ok_or_else(|| Failure::new(Exit::Bad, "the controller's answer has no host in it"))
}

async fn show(invocation: &Invocation, args: Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let detail = known(&session, &args.host).await?;
    let name = detail.host.as_ref().map_or(args.host.as_str(), |host| &host.name);
    let text = |style| host_show::render(&detail, args.events, invocation.now(), style);
    invocation.out.object("Host", &detail, name, text)?;
    Ok(Exit::Good)
}

async fn ping(invocation: &Invocation, args: Ping) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let selectors = match args.many.selector {
        Some(selector) => vec![selector.to_string()],
        None if args.hosts.is_empty() => vec![String::new()],
        None => args.hosts.iter().map(|host| format!("host={host}")).collect(),
    };
    let mut streams = Vec::new();
    for selector in selectors {
        streams.push(answers(&session, selector, args.within).await?);
    }
    let mut answers = stream::select_all(streams);
    let mut replies: Vec<PingReply> = Vec::new();
    let out = &invocation.out;
    while let Some(answer) = answers.next().await {
        let reply = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?;
        match out.format {
            Format::Table | Format::Wide => out.data(&reply_line(&reply, args.within, out.style))?,
            Format::Jsonl => out.data(&json::line("Ping", &reply))?,
            _ => {}
        }
        replies.push(reply);
    }
    if replies.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no host is selected").fix("flota host list"));
    }
    if !matches!(out.format, Format::Table | Format::Wide | Format::Jsonl) {
        let listing =
            Listing { kind: "Ping", items: &replies, columns: &COLUMNS, row, name: |reply| reply.name.clone() };
        out.listing(&listing, |_| String::new())?;
    }
    out.talk(&summary(&replies, out.talk_style));
    Ok(judged(&replies))
}

async fn answers(
    session: &Session,
    selector: String,
    within: Duration,
) -> Result<tonic::Streaming<PingReply>, Failure> {
    let timeout_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
    let request = session.ask_within(PingRequest { selector, timeout_ms }, within.saturating_add(GRACE));
    let answer = session.hosts().ping(request).await.map_err(|status| Failure::of_status(&status, Stake::Reads))?;
    Ok(answer.into_inner())
}

const COLUMNS: [&str; 4] = ["name", "id", "answered", "round_trip_us"];

fn row(reply: &PingReply) -> Vec<String> {
    let PingReply { host_id, name, answered, round_trip_us } = reply.clone();
    vec![name, host_id, answered.to_string(), round_trip_us.to_string()]
}

fn reply_line(reply: &PingReply, within: Duration, style: Style) -> String {
    let name = clean(&reply.name);
    if reply.answered {
        style.say(Sign::Ok, &format!("{name}  {}", milliseconds(reply.round_trip_us)))
    } else {
        style.say(Sign::Silent, &format!("{name}  no answer in {} ms", within.as_millis()))
    }
}

fn summary(replies: &[PingReply], style: Style) -> String {
    let mut times: Vec<u64> = replies.iter().filter(|reply| reply.answered).map(|reply| reply.round_trip_us).collect();
    times.sort_unstable();
    let answered = format!("{} of {} answered", times.len(), count(replies.len(), "host"));
    let (Some(min), Some(median), Some(max)) = (times.first(), times.get(times.len() / 2), times.last()) else {
        return answered;
    };
    let times =
        [("min", min), ("median", median), ("max", max)].map(|(name, time)| format!("{name} {}", milliseconds(*time)));
    [answered, times.join(style.dot())].join(style.dot())
}

fn judged(replies: &[PingReply]) -> Exit {
    match replies.iter().filter(|reply| reply.answered).count() {
        number if number == replies.len() => Exit::Good,
        0 => Exit::Bad,
        _ => Exit::Partial,
    }
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}
