//! A rollout before it starts: who is in which wave.

use std::fmt::Write as _;

use flota_proto::v1::Rollout;

use super::rollout_frame::target_words;
use crate::output::signs::Tone;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count, few, short};
use crate::output::{Style, time};

/// The id of what a dry run shows.
pub(crate) const NOT_CREATED: &str = "R-0";
/// Names of one wave before the rest becomes a count: a table that people still read.
const NAMES: usize = 8;

/// The plan with its waves.
pub(crate) fn render(rollout: &Rollout, style: Style) -> String {
    let id = if rollout.id == NOT_CREATED { "not created".to_owned() } else { clean(&rollout.id) };
    let id = style.paint(Tone::Strong, &id);
    let what = if rollout.rollback_of.is_empty() {
        format!("{} (sha256 {}) to {}", clean(&rollout.version), short(&rollout.release), target_words(rollout))
    } else {
        format!("takes back what {} changed", clean(&rollout.rollback_of))
    };
    let size = format!("{} in {}", count(rollout.targets.len(), "host"), count(rollout.waves.len(), "wave"));
    let mut text = format!("{id}  {what}: {size}\n");
    let mut table = Table::default().right(1);
    for (index, wave) in rollout.waves.iter().enumerate() {
        let members = rollout.targets.iter().filter(|target| usize::try_from(target.wave) == Ok(index));
        let members: Vec<String> = members.map(|target| member(rollout, &target.host_name, &target.version)).collect();
        table.row([
            Cell::from(&wave.name),
            Cell::from(members.len().to_string()),
            Cell::from(few(&members, NAMES, style)),
        ]);
    }
    text.extend(table.lines(style).into_iter().map(|line| format!("  {line}\n")));
    for (title, facts) in [("pace", pace(rollout)), ("when", hours(rollout)), ("asks", asks(rollout))] {
        if !facts.is_empty() {
            let _infallible =
                writeln!(text, "{}", style.paint(Tone::Dim, &format!("{title}  {}", facts.join(style.dot()))));
        }
    }
    text
}

/// How fast, and what stops it.
fn pace(rollout: &Rollout) -> Vec<String> {
    let mut facts =
        vec![format!("halts at {}", count(usize::try_from(rollout.max_failures).unwrap_or(0), "failed host"))];
    if rollout.on_halt == "rollback" {
        facts.push("goes back by itself when it halts".to_owned());
    }
    if rollout.max_in_flight > 0 {
        facts.push(format!("{} at once", rollout.max_in_flight));
    }
    facts.extend(rollout.budgets.iter().map(|budget| format!("budget {}", clean(budget))));
    facts.extend(rollout.gates.iter().map(|gate| clean(gate)));
    if rollout.pause_after != "nothing" && !rollout.pause_after.is_empty() {
        facts.push(format!("pauses after {}", clean(&rollout.pause_after.replace('-', " "))));
    }
    if rollout.late_joiners {
        facts.push("late hosts join".to_owned());
    }
    facts
}

/// In which hours.
fn hours(rollout: &Rollout) -> Vec<String> {
    if rollout.emergency {
        let mut facts = vec!["EMERGENCY: goes through windows, markets and freezes".to_owned()];
        facts.extend((!rollout.deadline.is_empty()).then(|| format!("deadline {}", time::stamp(&rollout.deadline))));
        return facts;
    }
    let windows = rollout.windows.iter().map(|window| format!("window {}", clean(window)));
    let markets = rollout.markets.iter().map(|market| format!("market {}", clean(market)));
    let mut facts: Vec<String> = windows.chain(markets).collect();
    if !rollout.deadline.is_empty() {
        facts.push(format!("deadline {}", time::stamp(&rollout.deadline)));
    }
    facts
}

/// What persons have to do with it.
fn asks(rollout: &Rollout) -> Vec<String> {
    let mut facts = Vec::new();
    if rollout.approvals_needed > 0 {
        let names: Vec<String> = rollout.approvals.iter().map(|approval| clean(&approval.by)).collect();
        let by = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        facts.push(format!("{} of {} approvals{by}", names.len(), rollout.approvals_needed));
    }
    if !rollout.ticket.is_empty() {
        facts.push(format!("ticket {}", clean(&rollout.ticket)));
    }
    if !rollout.reason.is_empty() {
        facts.push(format!("because: {}", clean(&rollout.reason)));
    }
    if !rollout.spec.is_empty() {
        facts.push(format!("plan {}", short(&rollout.spec)));
    }
    facts
}

/// A rollback brings hosts to different versions, so each is named.
fn member(rollout: &Rollout, name: &str, version: &str) -> String {
    if rollout.rollback_of.is_empty() || version.is_empty() {
        clean(name)
    } else {
        format!("{} ({})", clean(name), clean(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, halted, rollout};

    #[test]
    fn the_plan_names_who_goes_when() {
        let draft = rollout("draft");
        golden("rollout-plan.txt", &render(&draft, PLAIN));
        golden("rollout-plan-large.txt", &render(&halted(), PLAIN));
        let back = Rollout { rollback_of: "R-213".into(), ..rollout("draft") };
        golden("rollout-plan-back.txt", &render(&back, PLAIN));
    }
}
