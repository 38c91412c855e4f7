//! Holding a licence against a list: the same for every procedure that takes a licence.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;

use super::{MAX_REVOCATION_AGE, Provenance, RevocationError, RevocationList, SignatureDemand, load};
use crate::iso_time;
use crate::licence::{HmacKeys, ISSUED_AT_TOLERANCE};

/// A revocation list, and what proves it.
#[derive(Clone, Copy)]
pub struct RevocationCheck<'a> {
    /// The file.
    pub list: &'a Path,
    /// The issuer's keys for such lists.
    pub keys: Option<&'a HmacKeys>,
    /// Whether a list that nothing proves counts.
    pub demand: SignatureDemand,
}

impl RevocationCheck<'_> {
    /// Reads the list and checks its signature, as far as one is asked for.
    ///
    /// # Errors
    /// [`RevocationError`]: the list does not count, so no licence can be accepted against it.
    pub fn read(self) -> Result<(RevocationList, Provenance), RevocationError> {
        load(self.list)?.prove(self.keys, self.demand)
    }
}

/// What the reader of a report should know of a list that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Nothing proves where it comes from.
    Unproved,
    /// It was made then, more than [`MAX_REVOCATION_AGE`] ago.
    Stale(Timestamp),
    /// It was made then, which is yet to come.
    InFuture(Timestamp),
}

impl RevocationList {
    /// All that is remarkable about this list at `now`.
    pub fn remarks(&self, provenance: Provenance, now: Timestamp) -> Vec<Remark> {
        let made = self.generated_at();
        let unproved = (provenance == Provenance::Unproved).then_some(Remark::Unproved);
        let stale = self.is_stale(now).then_some(Remark::Stale(made));
        let in_future = (made.duration_since(now) > ISSUED_AT_TOLERANCE).then_some(Remark::InFuture(made));
        [unproved, stale, in_future].into_iter().flatten().collect()
    }
}

impl Remark {
    /// The stable name of this remark, for machines. All of them are in `docs/evidence-and-licence.md`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unproved => "license.revocation.unverified",
            Self::Stale(_) => "license.revocation.stale",
            Self::InFuture(_) => "license.revocation.future",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproved => f.write_str("the signature of the revocation list was not checked: no key was given"),
            Self::Stale(made) => {
                let (made, days) = (iso_time::format(*made), MAX_REVOCATION_AGE.as_hours() / 24);
                write!(f, "the revocation list was made at {made}, more than {days} days ago")
            }
            Self::InFuture(made) => {
                write!(f, "the revocation list was made in the future ({})", iso_time::format(*made))
            }
        }
    }
}
