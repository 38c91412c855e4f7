//! Silences: whom no alert speaks of, until when, and why.

use flota_model::Timestamp;
use flota_proto::v1::Silence;

use super::freeze::sign_of;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count};
use crate::output::{Style, time};

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 8] = ["id", "state", "selector", "rule", "from", "until", "created_by", "reason"];

/// One row of `-o tsv`.
pub(crate) fn row(silence: &Silence) -> Vec<String> {
    let Silence { selector, rule, from, until, reason, created_by, state, .. } = silence.clone();
    vec![silence.id.to_string(), state, selector, rule, from, until, created_by, reason]
}

/// What `-o name` prints.
pub(crate) fn name(silence: &Silence) -> String {
    silence.id.to_string()
}

/// The table for people.
pub(crate) fn table(silences: &[Silence], now: Timestamp, style: Style) -> String {
    let mut table =
        Table::new(["SILENCE", "STATE", "HOSTS", "SELECTOR", "RULE", "FROM", "UNTIL", "LEFT", "BY", "WHY"]).right(2);
    for silence in silences {
        let left = if silence.state == "holds" { time::until(&silence.until, now) } else { String::new() };
        table.row([
            Cell::from(silence.id.to_string()),
            Cell::signed(sign_of(&silence.state), &silence.state),
            Cell::from(silence.hosts.to_string()),
            Cell::from(selector(silence)),
            Cell::from(rule(silence)),
            Cell::from(time::stamp(&silence.from)),
            Cell::from(time::stamp(&silence.until)),
            Cell::from(left),
            Cell::from(&silence.created_by),
            Cell::from(&silence.reason),
        ]);
    }
    table.render(style)
}

/// One of them as a sentence.
pub(crate) fn line(silence: &Silence, style: Style) -> String {
    let (from, until) = (time::stamp(&silence.from), time::stamp(&silence.until));
    let span = match silence.state.as_str() {
        "holds" => format!("holds until {until}"),
        "ahead" => format!("holds from {from} until {until}"),
        _ => format!("is over since {until}"),
    };
    let hosts = count(usize::try_from(silence.hosts).unwrap_or(usize::MAX), "host");
    let (id, rule, reason) = (silence.id, rule(silence), clean(&silence.reason));
    style.say(
        sign_of(&silence.state),
        &format!("silence {id} of {} ({hosts}, {rule}) {span}: {reason}", selector(silence)),
    )
}

fn selector(silence: &Silence) -> String {
    if silence.selector.is_empty() { "all hosts".to_owned() } else { clean(&silence.selector) }
}

fn rule(silence: &Silence) -> String {
    if silence.rule.is_empty() { "every rule".to_owned() } else { clean(&silence.rule) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn each_says_whom_and_what_it_silences_and_why() {
        let silence = |id: u32, selector: &str, rule: &str, state: &str| Silence {
            id,
            selector: selector.into(),
            rule: rule.into(),
            from: "2026-11-23T12:00:00Z".into(),
            until: "2026-11-24T12:00:00Z".into(),
            reason: "new disks".into(),
            created_by: "ola".into(),
            state: state.into(),
            hosts: id,
        };
        let silences = [
            silence(1, "venue=binance", "", "over"),
            silence(2, "", "FlotaHostSilent", "holds"),
            silence(3, "env=prod", "", "ahead"),
        ];
        let lines: Vec<String> = silences.iter().map(|one| line(one, PLAIN)).collect();
        golden("silence-list.txt", &format!("{}\n{}\n", table(&silences, now(), PLAIN), lines.join("\n")));
        assert_eq!(row(&silences[0]).len(), COLUMNS.len());
    }
}
