//! Disruption budgets: how many hosts that share the value of a label may change at once.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most budgets of one rollout: each is a label, and a host has few.
pub const MAX_BUDGETS: usize = 8;

/// What was asked for: `venue=1`, or `account=25%`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BudgetWish {
    /// The label.
    pub label: String,
    /// How many of those that share its value.
    pub most: Most,
}

/// How many hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Most {
    /// So many.
    Hosts(NonZeroU32),
    /// Such a share of them, rounded down, and one at least; 1 to 100.
    Percent(u8),
}

/// Text that is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a budget: expected LABEL=N or LABEL=P%, as in venue=1 or account=25%")]
pub struct InvalidBudget(String);

/// A budget of a rollout, with its limits as the fleet was when the rollout was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What was asked for.
    pub wish: BudgetWish,
    /// For each value of the label, how many hosts may change at once. Hosts without the label are those with the value "".
    pub limits: BTreeMap<String, u32>,
}

impl Budget {
    /// The limits that follow from a wish, for a fleet whose hosts have these values of the label.
    pub fn new<'a>(wish: BudgetWish, values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sizes = BTreeMap::<String, u32>::new();
        for value in values {
            let size = sizes.entry(value.to_owned()).or_default();
            *size = size.saturating_add(1);
        }
        let limits = sizes.into_iter().map(|(value, hosts)| (value, wish.most.of(hosts))).collect();
        Self { wish, limits }
    }

    /// How many hosts with this value may change at once. One that nobody had when the rollout was created: one.
    pub fn limit(&self, value: &str) -> u32 {
        self.limits.get(value).copied().unwrap_or(1)
    }
}

impl Most {
    fn of(self, hosts: u32) -> u32 {
        match self {
            Self::Hosts(number) => number.get(),
            Self::Percent(share) => {
                let hosts = u64::from(hosts).saturating_mul(u64::from(share)) / 100;
                u32::try_from(hosts).unwrap_or(u32::MAX).max(1)
            }
        }
    }
}

impl fmt::Display for BudgetWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Most::Hosts(number) => write!(f, "{}={number}", self.label),
            Most::Percent(share) => write!(f, "{}={share}%", self.label),
        }
    }
}

impl FromStr for BudgetWish {
    type Err = InvalidBudget;

    fn from_str(text: &str) -> Result<Self, InvalidBudget> {
        let invalid = || InvalidBudget(text.chars().take(80).collect());
        let (label, most) = text.split_once('=').filter(|(label, _)| !label.is_empty()).ok_or_else(invalid)?;
        let most = match most.strip_suffix('%') {
            Some(share) => share.parse().ok().filter(|share| (1..=100).contains(share)).map(Most::Percent),
            None => most.parse().ok().map(Most::Hosts),
        };
        Ok(Self { label: label.to_owned(), most: most.ok_or_else(invalid)? })
    }
}

impl TryFrom<String> for BudgetWish {
    type Error = InvalidBudget;

    fn try_from(text: String) -> Result<Self, InvalidBudget> {
        text.parse()
    }
}

impl From<BudgetWish> for String {
    fn from(wish: BudgetWish) -> Self {
        wish.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_read_as_people_write_them() {
        for text in ["venue=1", "account=25%", "region=100%"] {
            assert_eq!(text.parse::<BudgetWish>().unwrap().to_string(), text);
        }
        for text in ["venue", "venue=", "=1", "venue=0", "venue=0%", "venue=101%", "venue=-1", "venue=1.5"] {
            assert!(text.parse::<BudgetWish>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_of_the_hosts_that_share_the_value_and_never_nobody() {
        let values = ["a", "a", "a", "a", "a", "a", "a", "a", "b", ""];
        let limits = |text: &str| {
            let budget = Budget::new(text.parse().unwrap(), values);
            ["a", "b", "", "new"].map(|value| budget.limit(value))
        };
        assert_eq!(limits("venue=25%"), [2, 1, 1, 1]);
        assert_eq!(limits("venue=3"), [3, 3, 3, 1]);
    }
}
