//! What must hold before a wave has passed, and what stops a rollout by itself.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share in percent, 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Percent(u8);

/// A number that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a share in percent: expected 0 to 100")]
pub struct InvalidPercent(String);

impl Percent {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(100);

    /// Whether `part` of `whole` is at least this share. Nothing of nothing is all of it.
    pub fn is_reached(self, part: usize, whole: usize) -> bool {
        part.saturating_mul(100) >= whole.saturating_mul(usize::from(self.0))
    }
}

impl TryFrom<u32> for Percent {
    type Error = InvalidPercent;

    fn try_from(number: u32) -> Result<Self, InvalidPercent> {
        let share = u8::try_from(number).ok().filter(|share| *share <= 100);
        share.map(Self).ok_or_else(|| InvalidPercent(number.to_string()))
    }
}

impl From<Percent> for u32 {
    fn from(percent: Percent) -> Self {
        percent.0.into()
    }
}

impl FromStr for Percent {
    type Err = InvalidPercent;

    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let number = text.strip_suffix('%').unwrap_or(text).parse::<u32>();
        let invalid = || InvalidPercent(text.chars().take(20).collect());
        number.map_err(|_| invalid())?.try_into().map_err(|_| invalid())
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// The gates of a rollout. Error gates are looked at with every report and win; the others decide whether a wave has
/// passed. The default is what rollouts had before there were gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Error gate beside the number of failures: such a share of the hosts that have ended failed, once ten have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failure_rate: Option<Percent>,
    /// Least share of a wave's ended hosts that succeeded.
    pub min_success: Percent,
    /// Least number of a wave's hosts that must have ended; of a smaller wave, all.
    pub min_sample: NonZeroU32,
    /// Least share of a wave's hosts that must have ended; the others may be stragglers.
    pub min_coverage: Percent,
    /// Whether a host must pass a health check after its update.
    pub health: HealthGate,
}

/// Whether a host must pass a health check (manual §4) after its update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthGate {
    /// Its own word after probation is enough.
    #[default]
    NotAsked,
    /// One that is asked for after the quote. `unavailable` is a failure; no answer is no data, and pauses the rollout.
    Asked,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            max_failure_rate: None,
            min_success: Percent::NONE,
            min_sample: NonZeroU32::MIN,
            min_coverage: Percent::NONE,
            health: HealthGate::NotAsked,
        }
    }
}

/// Whether a rollout waits for a person after a wave that passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseAfter {
    /// It goes on by itself.
    #[default]
    Nothing,
    /// After the first wave.
    Canary,
    /// After each.
    EachWave,
}

/// What a rollout does when it halts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHalt {
    /// It waits for a person.
    #[default]
    Wait,
    /// It is aborted, and the hosts that it changed are taken back. A rollback never does that.
    RollBack,
}

/// A word that names none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not one of {choices}")]
pub struct InvalidChoice {
    text: String,
    choices: &'static str,
}

impl FromStr for PauseAfter {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        match text {
            "" | "nothing" => Ok(Self::Nothing),
            "canary" => Ok(Self::Canary),
            "each-wave" => Ok(Self::EachWave),
            _ => Err(InvalidChoice { text: text.chars().take(40).collect(), choices: "nothing, canary, each-wave" }),
        }
    }
}

impl FromStr for OnHalt {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        match text {
            "" | "wait" => Ok(Self::Wait),
            "rollback" => Ok(Self::RollBack),
            _ => Err(InvalidChoice { text: text.chars().take(40).collect(), choices: "wait, rollback" }),
        }
    }
}

impl fmt::Display for PauseAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Canary => "canary",
            Self::EachWave => "each-wave",
        })
    }
}

impl fmt::Display for OnHalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wait => "wait",
            Self::RollBack => "rollback",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_percents_and_nothing_of_nothing_is_all() {
        let of = |number: u32| Percent::try_from(number).unwrap();
        assert!(of(98).is_reached(49, 50) && !of(98).is_reached(48, 50));
        assert!(of(100).is_reached(0, 0) && of(0).is_reached(0, 5));
        assert_eq!(("98%".parse(), "98".parse()), (Ok(of(98)), Ok(of(98))));
        for text in ["101", "-1", "", "%", "1.5", "many"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
