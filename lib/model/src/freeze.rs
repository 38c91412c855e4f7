//! Freezes: times in which nothing of the fleet, or of a part of it, is changed.

use serde::{Deserialize, Serialize};

use crate::{Selector, Timestamp};

/// Longest reason of a freeze, in characters.
pub const MAX_FREEZE_REASON: usize = 200;

/// A time in which no host that it selects is started, by any rollout but an emergency and a way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its number, counted from one.
    pub id: u32,
    /// Which hosts; empty: all.
    pub selector: Selector,
    /// From when.
    pub from: Timestamp,
    /// Until when; not included.
    pub until: Timestamp,
    /// Why, for whoever waits.
    pub reason: String,
    /// By which operator.
    pub created_by: String,
}

impl Freeze {
    /// Whether it holds at that time.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}
