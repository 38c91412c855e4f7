//! How a rollout would go, before anybody starts or approves it: who, when, how far a bad release would get.

use std::fmt::Write as _;
use std::time::Duration;

use flota_model::Timestamp;
use flota_proto::v1::{Forecast, GroupForecast, WaveForecast};

use super::rollout_plan;
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count};
use crate::output::{Style, time};

/// Groups and hosts that are named before the rest becomes a count.
const ROWS: usize = 8;

/// The plan and its forecast.
pub(crate) fn render(forecast: &Forecast, style: Style) -> String {
    let mut text = forecast.rollout.as_ref().map(|rollout| rollout_plan::render(rollout, style)).unwrap_or_default();
    let now = time::parse(&forecast.now).unwrap_or(Timestamp::from_micros(0));
    let takes = time::span(Duration::from_secs(forecast.host_seconds.into()));
    let from = clean(&forecast.host_seconds_from);
    let given = format!("IF IT BEGAN NOW, every host succeeded and took {takes} ({from})");
    let _infallible = writeln!(text, "\n{}", style.paint(Tone::Strong, &given));
    for line in waves(forecast, now, style) {
        let _infallible = writeln!(text, "  {line}");
    }
    let _infallible = writeln!(text, "{}", ending(forecast, now, style));
    for line in groups(&forecast.groups, style) {
        let _infallible = writeln!(text, "  {line}");
    }
    for line in left_out(forecast, style) {
        let _infallible = writeln!(text, "{line}");
    }
    for warning in &forecast.warnings {
        let _infallible = writeln!(text, "{}", style.say(Sign::Warning, &clean(warning)));
    }
    text
}

fn waves(forecast: &Forecast, now: Timestamp, style: Style) -> Vec<String> {
    let mut table = Table::new(["WAVE", "HOSTS", "BEGINS", "ENDS", "IF IT IS BAD"]).right(1);
    let at = |text: &str| if text.is_empty() { "never".to_owned() } else { time::clock(text, now) };
    for wave in &forecast.waves {
        let WaveForecast { name, hosts, begins, ends, changed_when_it_halts } = wave;
        let reached = usize::try_from(*changed_when_it_halts).unwrap_or(usize::MAX);
        let bad =
            if reached == 0 { String::new() } else { format!("{} changed when it halts", count(reached, "host")) };
        table.row([
            Cell::from(name),
            Cell::from(hosts.to_string()),
            Cell::from(at(begins)),
            Cell::from(at(ends)),
            Cell::from(bad),
        ]);
    }
    table.lines(style)
}

fn ending(forecast: &Forecast, now: Timestamp, style: Style) -> String {
    let most = count(usize::try_from(forecast.most_at_once).unwrap_or(usize::MAX), "host");
    let end = match time::parse(&forecast.ends) {
        Some(ends) => style.say(
            Sign::Ok,
            &format!("all done at {} UTC, in {}", time::clock(&forecast.ends, now), time::span(ends.since(now))),
        ),
        None if forecast.stands_still.is_empty() => style.say(Sign::Warning, "it ends without some hosts"),
        None => style.say(Sign::Warning, &format!("it comes to no end: {}", clean(&forecast.stands_still))),
    };
    format!("{end}{}{most} at once at most", style.dot())
}

/// Of the budgets, the fullest first.
fn groups(groups: &[GroupForecast], style: Style) -> Vec<String> {
    let mut groups: Vec<&GroupForecast> = groups.iter().collect();
    groups.sort_by(|one, other| other.most_at_once.cmp(&one.most_at_once).then_with(|| one.name.cmp(&other.name)));
    let mut table = Table::default().right(1).right(2);
    for group in groups.iter().take(ROWS) {
        let GroupForecast { name, hosts, most_at_once, limit } = group;
        table.row([
            Cell::from(name),
            Cell::from(format!("{hosts} hosts")),
            Cell::from(format!("{most_at_once} at once")),
            Cell::toned(Tone::Dim, &format!("{limit} allowed")),
        ]);
    }
    let mut lines = table.lines(style);
    if groups.len() > ROWS {
        lines.push(style.paint(Tone::Dim, &format!("{}and {} more", style.ellipsis(), groups.len() - ROWS)));
    }
    lines
}

fn left_out(forecast: &Forecast, style: Style) -> Vec<String> {
    let hosts = &forecast.left_out;
    if hosts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![style.paint(Tone::Strong, &format!("NOT UPDATED {}", hosts.len()))];
    let mut table = Table::default();
    for host in hosts.iter().take(ROWS) {
        table.row([Cell::signed(Sign::Waiting, &clean(&host.host_name)), Cell::from(&host.reason)]);
    }
    lines.extend(table.lines(style));
    if hosts.len() > ROWS {
        lines.push(style.paint(Tone::Dim, &format!("{}and {} more", style.ellipsis(), hosts.len() - ROWS)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, forecast, golden};

    #[test]
    fn it_says_who_when_and_how_far() {
        golden("rollout-forecast.txt", &render(&forecast(), PLAIN));
        let mut stuck = forecast();
        (stuck.ends, stuck.stands_still) = (String::new(), "every wave has passed; 1 straggler waits".into());
        stuck.left_out.push(flota_proto::v1::LeftOut {
            host_name: "waw-bot-02".into(),
            reason: "silent since 2026-11-23T14:02:00Z".into(),
            ..flota_proto::v1::LeftOut::default()
        });
        stuck.rollout = None;
        golden("rollout-forecast-stuck.txt", &render(&stuck, PLAIN));
    }
}
