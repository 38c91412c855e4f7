//! Signed metadata of releases.

use flota_model::Digest;
use flota_release::{Floors, Situation, Terms, admit, check_root, inspect_list};
use jiff::Timestamp;

use crate::Reach;

/// A list that is read has its releases in order, each with a place of its own; deciding about any of them does not panic,
/// and floors only rise.
pub(crate) fn list(input: &[u8]) -> Reach {
    let _never_panics = check_root(input);
    let Ok(entries) = inspect_list(input) else { return Reach::Refused };
    assert!(entries.is_sorted_by(|one, other| one.terms.sequence < other.terms.sequence));
    let mut floors = Floors::default();
    let catalogue = flota_release::Catalogue { entries, expiries: Vec::new() };
    for entry in &catalogue.entries {
        let again = serde_json::to_value(&entry.terms).and_then(serde_json::from_value::<Terms>);
        assert!(again.is_ok_and(|again| again == entry.terms));
        let wanted = flota_model::release::ReleaseRef {
            digest: entry.digest,
            version: entry.terms.version.clone(),
            size: entry.size,
        };
        let before = floors.clone();
        let situation =
            Situation { host: "h", running: Some(Digest::of(b"x")), running_version: "1", now: Timestamp::UNIX_EPOCH };
        let _decided = admit(&catalogue, &mut floors, &wanted, &situation);
        assert!(floors.security >= before.security && floors.data >= before.data);
    }
    Reach::Accepted
}
