//! Screen 3: a rollout. Its state, what failed, what waits and for what, what moves, the waves, what to do next.

use flota_model::Timestamp;
use flota_proto::v1::{Rollout, Wave};

use super::rollout_words::{
    Counts, Group, Standing, counts, elapsed, groups, is_over, next_commands, next_lines, owner, rollout_sign,
    standing, target_sign,
};
use crate::output::signs::Tone;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, short, width, words};
use crate::output::{Style, time};

/// What the frame has to fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// The present.
    pub(crate) now: Timestamp,
    /// What the reader can take.
    pub(crate) style: Style,
    /// Lines; none: as many as it takes.
    pub(crate) height: Option<usize>,
}

/// Cells of a wave's bar.
const BAR: usize = 20;
/// Names in a row before they become a count.
const NAMES: usize = 2;
/// Waves shown on a screen.
const WAVES: usize = 5;
/// Least rows of a section that is cut.
const LEAST: usize = 2;

/// A row for one or more hosts.
struct Row {
    hosts: usize,
    line: String,
}

/// The frame's lines.
pub(crate) fn render(rollout: &Rollout, view: View) -> Vec<String> {
    let head = head(rollout, view);
    let tail: Vec<String> = waves(rollout, view).into_iter().chain(next(rollout, view)).collect();
    let sections = sections(rollout, view);
    let rows: Vec<usize> = sections.iter().map(|section| section.rows.len()).collect();
    let fixed = head.len() + tail.len() + 2 * sections.len();
    let shares = view.height.map_or_else(|| rows.clone(), |height| shares(&rows, height.saturating_sub(fixed)));
    let middle = sections.iter().zip(shares).flat_map(|(section, share)| section.lines(share, view.style));
    head.into_iter().chain(middle).chain(tail).collect()
}

struct Section {
    head: String,
    rows: Vec<Row>,
}

impl Section {
    fn lines(&self, share: usize, style: Style) -> Vec<String> {
        let mut lines = vec![String::new(), self.head.clone()];
        let shown = if share >= self.rows.len() { self.rows.len() } else { share.saturating_sub(1) };
        lines.extend(self.rows.iter().take(shown).map(|row| row.line.clone()));
        let hidden: usize = self.rows.iter().skip(shown).map(|row| row.hosts).sum();
        if hidden > 0 {
            lines.push(style.paint(Tone::Dim, &format!("{}and {hidden} more", style.ellipsis())));
        }
        lines
    }
}

fn head(rollout: &Rollout, view: View) -> Vec<String> {
    let style = view.style;
    let what = if rollout.rollback_of.is_empty() {
        format!("{} to {}", clean(&rollout.version), target_words(rollout))
    } else {
        format!("back from {}", clean(&rollout.rollback_of))
    };
    let state = style.say(rollout_sign(&rollout.state), &words(&rollout.state).to_uppercase());
    let running = match elapsed(rollout, view.now).map(time::span) {
        None => "not started".to_owned(),
        Some(time) if is_over(&rollout.state) => format!("took {time}"),
        Some(time) if rollout.state == "awaiting_approval" => format!("waits {time}"),
        Some(time) => format!("running {time}"),
    };
    let mut facts = vec![running, format!("by {}", clean(&rollout.created_by))];
    if !rollout.approvals.is_empty() {
        let names: Vec<String> = rollout.approvals.iter().map(|approval| clean(&approval.by)).collect();
        facts.push(format!("approved {}", names.join(", ")));
    }
    if rollout.emergency {
        facts.push("EMERGENCY".to_owned());
    }
    if !rollout.ticket.is_empty() {
        facts.push(format!("ticket {}", clean(&rollout.ticket)));
    }
    let facts = style.paint(Tone::Dim, &facts.join(style.dot()));
    let id = style.paint(Tone::Strong, &clean(&rollout.id));
    let mut lines = vec![format!("{id}  {what}    {state}    {facts}")];
    if !rollout.cause.is_empty() {
        lines.push(clean(&rollout.cause));
    }
    lines
}

/// The selector, or that it was everything.
pub(crate) fn target_words(rollout: &Rollout) -> String {
    if rollout.selector.is_empty() { "all hosts".to_owned() } else { clean(&rollout.selector) }
}

fn sections(rollout: &Rollout, view: View) -> Vec<Section> {
    let Counts { selected, attempted, .. } = counts(rollout);
    let of = [
        (Standing::Failed, "FAILED", format!("of {attempted} attempted")),
        (Standing::Unknown, "NOT KNOWN", format!("of {attempted} attempted")),
        (Standing::Waiting, "WAITING", format!("of {selected} selected")),
        (Standing::InMotion, "IN MOTION", format!("of {selected} selected")),
    ];
    let mut sections = Vec::new();
    for (wanted, name, denominator) in of {
        let groups = groups(rollout.targets.iter().filter(|target| standing(&target.state) == wanted));
        if groups.is_empty() {
            continue;
        }
        let total: usize = groups.iter().map(|group| group.names.len()).sum();
        let head = format!(
            "{} {}",
            view.style.paint(Tone::Strong, &format!("{name} {total}")),
            view.style.paint(Tone::Dim, &denominator)
        );
        sections.push(Section { head, rows: rows(&groups, view) });
    }
    sections
}

fn rows(groups: &[Group<'_>], view: View) -> Vec<Row> {
    let mut table = Table::default();
    for group in groups {
        let sample = group.sample;
        let whose = if sample.owner == "operator" {
            "move: a person".to_owned()
        } else {
            format!("move: {}", owner(&sample.owner))
        };
        let whose = if sample.owner == "nobody" || sample.owner.is_empty() { String::from(" ") } else { whose };
        table.row([
            Cell::signed(target_sign(&sample.state), &who(&group.names)),
            Cell::from(words(&sample.state)),
            Cell::from(&sample.reason),
            Cell::toned(Tone::Dim, &whose),
            Cell::toned(Tone::Dim, &time::clock(group.since, view.now)),
        ]);
    }
    let lines = table.lines(view.style).into_iter();
    lines.zip(groups).map(|(line, group)| Row { hosts: group.names.len(), line }).collect()
}

/// Names while they are few, then a count.
fn who(names: &[&str]) -> String {
    if names.len() <= NAMES { names.join(", ") } else { format!("{} hosts", names.len()) }
}

/// The waves as bars; on a screen those around the one in progress.
fn waves(rollout: &Rollout, view: View) -> Vec<String> {
    let style = view.style;
    let current = usize::try_from(rollout.wave).unwrap_or(0);
    let (first, shown) = match view.height {
        None => (0, rollout.waves.len()),
        Some(_) => (current.saturating_sub(1).min(rollout.waves.len().saturating_sub(WAVES)), WAVES),
    };
    let waves = || rollout.waves.iter().skip(first).take(shown);
    let total = rollout.waves.len();
    let which = if total > shown { format!(" {} to {} of {total}", first + 1, first + shown) } else { String::new() };
    let mut lines = vec![String::new(), style.paint(Tone::Strong, &format!("WAVES{which}"))];
    let name_width = waves().map(|wave| width(&wave.name)).max().unwrap_or(0);
    let count_width = waves().map(|wave| tally(wave).len()).max().unwrap_or(0);
    for wave in waves() {
        let failed =
            if wave.failed == 0 { String::new() } else { style.paint(Tone::Bad, &format!("  {} failed", wave.failed)) };
        let (name, tally, bar) = (clean(&wave.name), tally(wave), bar(wave, style));
        lines.push(format!("{name:<name_width$}  {bar}  {tally:>count_width$}  {}{failed}", words(&wave.state)));
    }
    lines
}

fn tally(wave: &Wave) -> String {
    format!("{}/{}", wave.done, wave.hosts)
}

/// Done and failed from the left, the rest empty; each at least one cell if there is any of it.
fn bar(wave: &Wave, style: Style) -> String {
    let cells = |part: u32| {
        let part = usize::try_from(part.min(wave.hosts)).unwrap_or(0);
        let whole = usize::try_from(wave.hosts.max(1)).unwrap_or(1);
        (part * BAR / whole).max(usize::from(part > 0))
    };
    let failed = cells(wave.failed);
    let done = cells(wave.done).min(BAR - failed);
    let [full, broken, empty] = if style.unicode { ["█", "▒", "░"] } else { ["#", "x", "."] };
    let left = BAR - done - failed;
    [(Tone::Good, full, done), (Tone::Bad, broken, failed), (Tone::Dim, empty, left)]
        .map(|(tone, cell, number)| style.paint(tone, &cell.repeat(number)))
        .concat()
}

/// The next commands: a line each, or one line where lines are scarce.
fn next(rollout: &Rollout, view: View) -> Vec<String> {
    if view.height.is_none() {
        return std::iter::once(String::new()).chain(next_lines(rollout, view.style)).collect();
    }
    let dim = |text: &str| view.style.paint(Tone::Dim, text);
    let commands = next_commands(rollout).into_iter();
    let commands = commands.map(|(word, command)| format!("{} {command}", dim(&format!("{word}:"))));
    vec![String::new(), commands.collect::<Vec<_>>().join("     ")]
}

/// Rows for each section when there is room for `room` in all: failures first, but everyone gets a little.
fn shares(rows: &[usize], room: usize) -> Vec<usize> {
    let mut shares: Vec<usize> = rows.iter().map(|rows| (*rows).min(LEAST)).collect();
    let mut left = room.saturating_sub(shares.iter().sum());
    for (share, rows) in shares.iter_mut().zip(rows) {
        let more = (rows - *share).min(left);
        *share += more;
        left -= more;
    }
    shares
}

/// The line under a live frame.
pub(crate) fn live_foot(rollout: &Rollout, view: View) -> String {
    let text = format!(
        "Ctrl-C leaves; the rollout goes on{}plan {}{}live {}",
        view.style.dot(),
        short(&rollout.spec),
        view.style.dot(),
        time::of_day(view.now)
    );
    view.style.paint(Tone::Dim, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ASCII, COLOR, PLAIN, TERMINAL, golden, halted, now, rollout, running};

    fn text(rollout: &Rollout, style: Style, height: Option<usize>) -> String {
        render(rollout, View { now: now(), style, height }).join("\n") + "\n"
    }

    #[test]
    fn a_halted_rollout_asks_for_its_decision() {
        golden("rollout-halted.txt", &text(&halted(), TERMINAL, None));
        golden("rollout-halted-ascii.txt", &text(&halted(), ASCII, None));
        golden("rollout-halted-color.txt", &text(&halted(), COLOR, None));
    }

    #[test]
    fn every_state_has_its_frame() {
        golden("rollout-running.txt", &text(&running(), PLAIN, None));
        let states = [
            "draft",
            "awaiting_approval",
            "paused",
            "inconclusive",
            "aborting",
            "aborted",
            "superseded",
            "expired",
            "succeeded",
            "succeeded_with_exceptions",
        ];
        for state in states {
            golden(&format!("rollout-{state}.txt"), &text(&rollout(state), PLAIN, None));
        }
    }

    #[test]
    fn a_low_screen_shows_failures_first_and_counts_the_rest() {
        golden("rollout-halted-low.txt", &text(&halted(), PLAIN, Some(20)));
        let mut many = halted();
        many.waves =
            (0..40).map(|number| Wave { name: format!("wave {number}"), hosts: 1, ..Wave::default() }).collect();
        many.wave = 38;
        for target in &mut many.targets {
            target.reason = target.host_name.clone();
        }
        golden("rollout-halted-many.txt", &text(&many, PLAIN, Some(30)));
        assert_eq!(text(&many, PLAIN, Some(30)).lines().count(), 30);
    }

    #[test]
    fn a_bar_shows_even_one_failure_of_many() {
        let wave = Wave { hosts: 1000, done: 999, failed: 1, ..Wave::default() };
        assert_eq!(bar(&wave, PLAIN), format!("{}▒", "█".repeat(19)));
        assert_eq!(bar(&Wave::default(), PLAIN), "░".repeat(20));
    }
}
