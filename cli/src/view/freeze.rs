//! Freezes: what is not changed, until when, and why.

use flota_model::Timestamp;
use flota_proto::v1::Freeze;

use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::text::clean;
use crate::output::{Style, time};

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 7] = ["id", "state", "selector", "from", "until", "created_by", "reason"];

/// One row of `-o tsv`.
pub(crate) fn row(freeze: &Freeze) -> Vec<String> {
    let Freeze { id: _, selector, from, until, reason, created_by, state } = freeze.clone();
    vec![freeze.id.to_string(), state, selector, from, until, created_by, reason]
}

/// What `-o name` prints.
pub(crate) fn name(freeze: &Freeze) -> String {
    freeze.id.to_string()
}

/// The table for people.
pub(crate) fn table(freezes: &[Freeze], now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["FREEZE", "STATE", "HOSTS", "FROM", "UNTIL", "LEFT", "BY", "WHY"]);
    for freeze in freezes {
        let left = if freeze.state == "holds" { time::until(&freeze.until, now) } else { String::new() };
        table.row([
            Cell::from(freeze.id.to_string()),
            Cell::signed(sign(freeze), &freeze.state),
            Cell::from(hosts(freeze)),
            Cell::from(time::stamp(&freeze.from)),
            Cell::from(time::stamp(&freeze.until)),
            Cell::from(left),
            Cell::from(&freeze.created_by),
            Cell::from(&freeze.reason),
        ]);
    }
    table.render(style)
}

/// One of them as a sentence.
pub(crate) fn line(freeze: &Freeze, style: Style) -> String {
    let (from, until) = (time::stamp(&freeze.from), time::stamp(&freeze.until));
    let span = match freeze.state.as_str() {
        "holds" => format!("holds until {until}"),
        "ahead" => format!("holds from {from} until {until}"),
        _ => format!("is over since {until}"),
    };
    style.say(sign(freeze), &format!("freeze {} of {} {span}: {}", freeze.id, hosts(freeze), clean(&freeze.reason)))
}

fn hosts(freeze: &Freeze) -> String {
    if freeze.selector.is_empty() { "all hosts".to_owned() } else { clean(&freeze.selector) }
}

fn sign(freeze: &Freeze) -> Sign {
    sign_of(&freeze.state)
}

/// The sign of where a freeze or a silence stands.
pub(crate) fn sign_of(state: &str) -> Sign {
    match state {
        "holds" => Sign::Paused,
        "ahead" => Sign::Waiting,
        _ => Sign::Skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn each_says_what_it_holds_and_why() {
        let freeze = |id: u32, selector: &str, state: &str| Freeze {
            id,
            selector: selector.into(),
            from: "2026-11-23T12:00:00Z".into(),
            until: "2026-11-24T12:00:00Z".into(),
            reason: "listing day".into(),
            created_by: "ola".into(),
            state: state.into(),
        };
        let freezes = [freeze(1, "venue=binance", "over"), freeze(2, "", "holds"), freeze(3, "env=prod", "ahead")];
        let lines: Vec<String> = freezes.iter().map(|one| line(one, PLAIN)).collect();
        golden("freeze-list.txt", &format!("{}\n{}\n", table(&freezes, now(), PLAIN), lines.join("\n")));
        assert_eq!(row(&freezes[0]).len(), COLUMNS.len());
    }
}
