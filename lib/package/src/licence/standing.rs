//! Which of two licences is the newer: an older one must not come back once a newer one was accepted.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;

use super::{Licence, LicenceError};
use crate::iso_time;

/// Where a licence stands among its successors; see [`Licence::check_not_older`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `license_id`. Sequences count within one of these.
    pub license_id: String,
    /// `sequence`, if the licence has one.
    pub sequence: Option<u64>,
    /// `issued_at`, if the licence has one.
    pub issued_at: Option<Timestamp>,
}

impl Licence {
    /// Where it stands among its successors; to be remembered once it is accepted.
    pub fn standing(&self) -> Standing {
        Standing { license_id: self.id.clone(), sequence: self.sequence, issued_at: self.issued_at }
    }

    /// Refuses a licence older than the last accepted one of its format.
    ///
    /// Two licences of one id are ordered by `sequence`, and by `issued_at` if that does not tell. Of two ids, `issued_at`
    /// decides: each id may count from one. A licence that leaves out what ordered the last one is refused: dropping the
    /// field must not get an old licence in.
    ///
    /// # Errors
    /// [`LicenceError::Older`].
    pub fn check_not_older(&self, last: &Standing) -> Result<(), LicenceError> {
        let own = self.standing();
        let by_sequence = own.sequence.zip(last.sequence).map(|(own, last)| own.cmp(&last));
        let told = by_sequence.filter(|order| own.license_id == last.license_id && *order != Ordering::Equal);
        let older = match (told, own.issued_at, last.issued_at) {
            (Some(order), _, _) => order == Ordering::Less,
            (None, Some(own), Some(last)) => own < last,
            (None, None, Some(_)) => true,
            (None, _, None) => match by_sequence {
                Some(order) => order == Ordering::Less,
                None => last.sequence.is_some(),
            },
        };
        if older { Err(LicenceError::Older(last.to_string())) } else { Ok(()) }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.license_id)?;
        if let Some(sequence) = self.sequence {
            write!(f, ", sequence {sequence}")?;
        }
        match self.issued_at {
            Some(issued_at) => write!(f, ", issued at {}", iso_time::format(issued_at)),
            None => Ok(()),
        }
    }
}
