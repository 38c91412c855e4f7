//! What a bench found: numbers, what they are held against, and what came of it.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::{Serialize, Serializer};

/// One number. It is a line of the table and an object of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    name: String,
    /// None if it is a comparison and there was nothing to compare with.
    value: Option<f64>,
    unit: &'static str,
    peer: Option<String>,
    peer_value: Option<f64>,
    bar: Option<Bar>,
    met: Option<bool>,
}

/// Where good begins, in the unit of the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
}

impl Figure {
    /// A number by itself.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value: Some(value), unit, peer: None, peer_value: None, bar: None, met: None }
    }

    /// One number divided by another; neither is there if the peer is not.
    pub(crate) fn ratio(name: impl Into<String>, dividend: Option<f64>, divisor: Option<f64>) -> Self {
        let value = dividend.zip(divisor).map(|(dividend, divisor)| dividend / divisor);
        Self { value, ..Self::new(name, 0.0, "x") }
    }

    /// Beside what another program, or the hardware, or a setting gives; a peer without a value is not installed.
    #[must_use]
    pub(crate) fn beside(self, peer: &str, value: Option<f64>) -> Self {
        let peer = if value.is_some() { peer.to_owned() } else { format!("{peer}: not installed") };
        Self { peer: Some(peer), peer_value: value, ..self }
    }

    /// With a bar to meet.
    #[must_use]
    pub(crate) fn bar(self, bar: Bar) -> Self {
        let met = self.value.map(|value| bar.admits(value));
        Self { bar: Some(bar), met, ..self }
    }
}

impl Bar {
    fn admits(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(formatter, ">= {least}"),
            Self::AtMost(most) => write!(formatter, "<= {most}"),
        }
    }
}

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All of them, for people.
pub(crate) fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["figure", "value", "", "peer", "its value", "bar", ""]);
    for figure in figures {
        let number = |value: Option<f64>| {
            Cell::new(value.map(significant).unwrap_or_default()).set_alignment(CellAlignment::Right)
        };
        let met = match (figure.bar, figure.met) {
            (Some(_), Some(true)) => "met",
            (Some(_), Some(false)) => "MISSED",
            (Some(_), None) => "not judged",
            (None, _) => "",
        };
        table.add_row([
            Cell::new(&figure.name),
            number(figure.value),
            Cell::new(figure.unit),
            Cell::new(figure.peer.as_deref().unwrap_or_default()),
            number(figure.peer_value),
            Cell::new(figure.bar.map(|bar| bar.to_string()).unwrap_or_default()),
            Cell::new(met),
        ]);
    }
    table
}

/// How many bars were met, and which were not.
pub(crate) fn verdict(figures: &[Figure]) -> String {
    let barred: Vec<&Figure> = figures.iter().filter(|figure| figure.bar.is_some()).collect();
    let met = barred.iter().filter(|figure| figure.met == Some(true)).count();
    let mut lines = vec![format!("{met} of {} bars met.", barred.len())];
    for Figure { name, value, unit, bar, .. } in barred.into_iter().filter(|figure| figure.met != Some(true)) {
        let bar = bar.map(|bar| bar.to_string()).unwrap_or_default();
        lines.push(match value {
            Some(value) => format!("MISSED: {name}: {} {unit}, the bar is {bar}.", significant(*value)),
            None => format!("Not judged: {name}: nothing to compare with."),
        });
    }
    lines.join("\n")
}

/// Three digits that matter; more would pretend that the next run gives them again.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_at_the_bar() {
        assert_eq!(Figure::new("a", 32.0, "MiB").bar(Bar::AtMost(32.0)).met, Some(true));
        assert_eq!(Figure::new("a", 32.1, "MiB").bar(Bar::AtMost(32.0)).met, Some(false));
        assert_eq!(Figure::new("a", 0.79, "x").bar(Bar::AtLeast(0.8)).met, Some(false));
    }

    #[test]
    fn without_a_peer_there_is_no_verdict() {
        let figure = Figure::ratio("speed", Some(1.0), None).beside("wc -l", None).bar(Bar::AtLeast(0.8));
        assert_eq!((figure.value, figure.met), (None, None));
        assert_eq!(figure.peer.as_deref(), Some("wc -l: not installed"));
        assert_eq!(verdict(&[figure]), "0 of 1 bars met.\nNot judged: speed: nothing to compare with.");
    }

    #[test]
    fn the_file_has_all_seven_members_always() {
        let figure = Figure::ratio("speed", Some(3.0), Some(2.0)).beside("wc -l", Some(3.0)).bar(Bar::AtLeast(0.8));
        let expected = serde_json::json!({
            "name": "speed", "value": 1.5, "unit": "x", "peer": "wc -l", "peer_value": 3.0, "bar": ">= 0.8", "met": true
        });
        assert_eq!(serde_json::to_value(&figure).unwrap(), expected);
        let bare = serde_json::to_value(Figure::new("a", 1.0, "s")).unwrap();
        assert_eq!(bare.as_object().unwrap().len(), 7);
    }

    #[test]
    fn numbers_have_three_digits_that_matter() {
        assert_eq!([0.012_34, 1.234, 12.34, 1234.5].map(significant), ["0.012", "1.23", "12.3", "1234"]);
    }
}
