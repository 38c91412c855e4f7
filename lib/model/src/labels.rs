//! Labels of hosts, and selectors over them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Labels of a host, `key=value`, sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

/// Which hosts are meant: terms joined by commas, all of which must hold. `venue=binance,env!=lab`; empty means all.
/// The key `host` stands for the host's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    key: String,
    relation: Relation,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Different,
}

/// A label or a selector that breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// Keys and values are short and plain, so that they fit in tables, metrics and file names.
    #[error("`{0}` cannot be a label: keys and values are 1 to 63 of a-z, A-Z, 0-9, `.`, `_`, `-`")]
    Text(String),
    /// A term of a selector without `=` or `!=`.
    #[error("`{0}` is not a selector term: expected key=value or key!=value")]
    Term(String),
    /// More labels than a host may have.
    #[error("a host has at most {MAX_LABELS} labels")]
    TooMany,
    /// `host` is the host's name, in selectors.
    #[error("`host` is not a label: it stands for the host's name in selectors")]
    Reserved,
}

/// Most labels of one host: dashboards and budgets group by them, so their number stays small.
const MAX_LABELS: usize = 32;
/// Longest key or value, in bytes.
const MAX_TEXT: usize = 63;
/// The key that stands for the host's name.
const NAME_KEY: &str = "host";

impl Labels {
    /// The value under `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// As a plain map.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = InvalidLabels;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, InvalidLabels> {
        if map.len() > MAX_LABELS {
            return Err(InvalidLabels::TooMany);
        }
        for (key, value) in &map {
            check_text(key)?;
            check_text(value)?;
            if key == NAME_KEY {
                return Err(InvalidLabels::Reserved);
            }
        }
        Ok(Self(map))
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

impl Selector {
    /// Selects every host.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a host of this name with these labels is meant.
    pub fn matches(&self, name: &crate::HostName, labels: &Labels) -> bool {
        self.0.iter().all(|term| {
            let actual = if term.key == NAME_KEY { Some(name.as_str()) } else { labels.value(&term.key) };
            match term.relation {
                Relation::Equal => actual == Some(term.value.as_str()),
                Relation::Different => actual != Some(term.value.as_str()),
            }
        })
    }
}

impl FromStr for Selector {
    type Err = InvalidLabels;

    fn from_str(text: &str) -> Result<Self, InvalidLabels> {
        let terms = text.split(',').map(str::trim).filter(|term| !term.is_empty());
        terms.map(parse_term).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Selector {
    type Error = InvalidLabels;

    fn try_from(text: String) -> Result<Self, InvalidLabels> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.to_string()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Term { key, relation, value }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let sign = match relation {
                Relation::Equal => "=",
                Relation::Different => "!=",
            };
            write!(f, "{comma}{key}{sign}{value}")?;
        }
        Ok(())
    }
}

fn parse_term(text: &str) -> Result<Term, InvalidLabels> {
    let (key, relation, value) = if let Some((key, value)) = text.split_once("!=") {
        (key, Relation::Different, value)
    } else if let Some((key, value)) = text.split_once('=') {
        (key, Relation::Equal, value)
    } else {
        return Err(InvalidLabels::Term(text.chars().take(80).collect()));
    };
    let (key, value) = (key.trim(), value.trim());
    check_text(key)?;
    check_text(value)?;
    Ok(Term { key: key.to_owned(), relation, value: value.to_owned() })
}

fn check_text(text: &str) -> Result<(), InvalidLabels> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(InvalidLabels::Text(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let map: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        map.try_into().unwrap()
    }

    #[test]
    fn a_selector_needs_every_term() {
        let name = "fra-bot-07".parse().unwrap();
        let host = labels(&[("venue", "binance"), ("env", "prod")]);
        for (selector, expected) in [
            ("", true),
            ("venue=binance", true),
            ("venue=binance, env=prod", true),
            ("venue=binance,env!=prod", false),
            ("venue!=kraken", true),
            ("region!=eu", true),
            ("region=eu", false),
            ("host=fra-bot-07", true),
        ] {
            assert_eq!(selector.parse::<Selector>().unwrap().matches(&name, &host), expected, "{selector}");
        }
    }

    #[test]
    fn prints_what_it_parses_and_refuses_the_rest() {
        let text = "env!=lab,venue=binance";
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        for bad in ["venue", "=x", "venue=", "venue=a b", "ven;ue=x"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
