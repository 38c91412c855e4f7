//! Whether a host may install a release. Pure.

use std::collections::BTreeMap;

use flota_model::Digest;
use flota_model::release::ReleaseRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Entry};

/// What a host may not go below any more. Floors rise and never fall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Lowest sequence that may be installed, by every release that the host has ever known of.
    pub security: u64,
    /// Lowest sequence that may run on the host's data, by every release that has run here.
    pub data: u64,
    /// Releases that were admitted here.
    pub admitted: BTreeMap<Digest, Admitted>,
}

/// A release that was admitted to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admitted {
    /// Its place in the order of releases.
    pub sequence: u64,
    /// Its data floor, which holds from when it runs.
    pub data_floor: u64,
    /// Size of its package, in bytes; zero in what an earlier version of Flota kept.
    #[serde(default)]
    pub size: u64,
}

/// What matters of the host.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Its id.
    pub host: &'a str,
    /// What runs.
    pub running: Option<Digest>,
    /// Version of that.
    pub running_version: &'a str,
    /// The present.
    pub now: Timestamp,
}

/// Why a release is not installed. All but [`Self::NotYet`] stay so until other metadata are signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Nobody signed it, or it was withdrawn.
    #[error("no signed release has the digest {0}: it was never signed, or it was withdrawn")]
    NotSigned(String),
    /// The order says something else of it than the signatures.
    #[error("the release is signed as {signed}, and ordered as {ordered}")]
    Mislabelled {
        /// What was signed.
        signed: String,
        /// What the order says.
        ordered: String,
    },
    /// A newer release forbids it.
    #[error(
        "the release is number {sequence}, and nothing below number {floor} is installed any more (security floor)"
    )]
    SecurityFloor {
        /// Its place in the order of releases.
        sequence: u64,
        /// The floor.
        floor: u64,
    },
    /// It cannot read what a release that ran here has written.
    #[error(
        "the release is number {sequence}, and the data on this host can be read from number {floor} on (data floor)"
    )]
    DataFloor {
        /// Its place in the order of releases.
        sequence: u64,
        /// The floor.
        floor: u64,
    },
    /// There is no way from what runs to it in one step.
    #[error("the release may be installed over {}, and {running} runs here", allowed.join(", "))]
    NoPath {
        /// What it may be installed over.
        allowed: Vec<String>,
        /// What runs.
        running: String,
    },
    /// Its waves have not come to this host.
    #[error("the release's own waves reach this host at {from}")]
    NotYet {
        /// When they do.
        from: Timestamp,
    },
    /// Its waves never come to this host.
    #[error("the release's own waves never reach this host")]
    Never,
}

impl NotAdmitted {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSigned(_) => "release_not_signed",
            Self::Mislabelled { .. } => "release_mislabelled",
            Self::SecurityFloor { .. } => "security_floor",
            Self::DataFloor { .. } => "data_floor",
            Self::NoPath { .. } => "no_upgrade_path",
            Self::NotYet { .. } | Self::Never => "signed_waves",
        }
    }
}

impl Floors {
    /// Raises the floors by what is known now.
    pub fn raise(&mut self, catalogue: &Catalogue, running: Option<&Digest>) {
        let asked = catalogue.entries.iter().map(|entry| entry.terms.security_floor);
        self.security = asked.fold(self.security, u64::max);
        let Some(running) = running else { return };
        let signed = catalogue.find(running).map(|entry| entry.terms.data_floor);
        let admitted = self.admitted.get(running).map(|admitted| admitted.data_floor);
        self.data = self.data.max(signed.unwrap_or(0)).max(admitted.unwrap_or(0));
    }

    /// Whether a host may go back to a release that was admitted to it before, when nothing newer can be known: an outage
    /// or an expiry must not keep a fleet from what it ran. `None`: it never was.
    pub fn admit_again(&self, digest: &Digest) -> Option<Result<(), NotAdmitted>> {
        self.admitted.get(digest).map(|admitted| self.check(admitted.sequence))
    }

    fn check(&self, sequence: u64) -> Result<(), NotAdmitted> {
        if sequence < self.security {
            return Err(NotAdmitted::SecurityFloor { sequence, floor: self.security });
        }
        if sequence < self.data {
            return Err(NotAdmitted::DataFloor { sequence, floor: self.data });
        }
        Ok(())
    }
}

/// Decides whether a release may be installed, and remembers what it asks for once it runs.
pub fn admit<'c>(
    catalogue: &'c Catalogue,
    floors: &mut Floors,
    wanted: &ReleaseRef,
    situation: &Situation<'_>,
) -> Result<&'c Entry, NotAdmitted> {
    floors.raise(catalogue, situation.running.as_ref());
    let entry = catalogue.find(&wanted.digest).ok_or_else(|| NotAdmitted::NotSigned(wanted.digest.short()))?;
    let terms = &entry.terms;
    if (terms.version.as_str(), entry.size) != (wanted.version.as_str(), wanted.size) {
        let (signed, ordered) =
            (format!("{}, {} bytes", terms.version, entry.size), format!("{}, {} bytes", wanted.version, wanted.size));
        return Err(NotAdmitted::Mislabelled { signed, ordered });
    }
    let sequence = terms.sequence;
    floors.check(sequence)?;
    let over = &terms.upgrades_from;
    let is_older = situation.running.and_then(|running| catalogue.find(&running)).map(|running| running.terms.sequence);
    // Going back is bounded by the floors alone.
    let forward = is_older.is_none_or(|running| running < sequence);
    if forward
        && situation.running.is_some()
        && !over.is_empty()
        && !over.iter().any(|version| version == situation.running_version)
    {
        return Err(NotAdmitted::NoPath { allowed: over.clone(), running: situation.running_version.to_owned() });
    }
    match terms.admits_from(situation.host, wanted.digest.as_bytes()) {
        None => return Err(NotAdmitted::Never),
        Some(from) if from > situation.now => return Err(NotAdmitted::NotYet { from }),
        Some(_) => {}
    }
    floors.admitted.insert(entry.digest, Admitted { sequence, data_floor: terms.data_floor, size: entry.size });
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::tests::terms;
    use crate::terms::{Terms, Wave};

    fn entry(terms: Terms) -> Entry {
        let digest = Digest::of(terms.version.as_bytes());
        Entry { name: format!("bot-{}.tar", terms.version), digest, size: 10, terms }
    }

    fn catalogue(all: Vec<Terms>) -> Catalogue {
        Catalogue { entries: all.into_iter().map(entry).collect(), expiries: Vec::new() }
    }

    fn wanted(version: &str) -> ReleaseRef {
        ReleaseRef { digest: Digest::of(version.as_bytes()), version: version.into(), size: 10 }
    }

    fn ask(catalogue: &Catalogue, floors: &mut Floors, version: &str, running: &str) -> Result<u64, &'static str> {
        let running_digest = (!running.is_empty()).then(|| Digest::of(running.as_bytes()));
        let now = "2026-11-02T00:00:00Z".parse().unwrap();
        let situation = Situation { host: "h", running: running_digest, running_version: running, now };
        let admitted = admit(catalogue, floors, &wanted(version), &situation);
        admitted.map(|entry| entry.terms.sequence).map_err(|error| error.code())
    }

    #[test]
    fn what_is_signed_is_admitted_and_nothing_else() {
        let known = catalogue(vec![terms("1", 1), terms("2", 2)]);
        let mut floors = Floors::default();
        assert_eq!(ask(&known, &mut floors, "2", "1"), Ok(2));
        assert_eq!(ask(&known, &mut floors, "1", "2"), Ok(1), "going back is allowed where no floor forbids it");
        assert_eq!(ask(&known, &mut floors, "3", "1"), Err("release_not_signed"));
        let larger = ReleaseRef { size: 11, ..wanted("2") };
        let now = Timestamp::MAX;
        let situation = Situation { host: "h", running: None, running_version: "", now };
        let refused = admit(&known, &mut floors, &larger, &situation).unwrap_err();
        assert_eq!(refused.code(), "release_mislabelled");
    }

    #[test]
    fn a_security_floor_holds_once_it_was_known_even_when_it_is_gone() {
        let floored = catalogue(vec![terms("1", 1), terms("2", 2), Terms { security_floor: 2, ..terms("3", 3) }]);
        let mut floors = Floors::default();
        assert_eq!(ask(&floored, &mut floors, "1", "2"), Err("security_floor"));
        let without = catalogue(vec![terms("1", 1), terms("2", 2)]);
        assert_eq!(ask(&without, &mut floors, "1", "2"), Err("security_floor"));
        assert_eq!(ask(&without, &mut floors, "2", "1"), Ok(2));
    }

    #[test]
    fn a_data_floor_holds_from_when_its_release_runs() {
        let known = catalogue(vec![terms("1", 1), Terms { data_floor: 2, ..terms("2", 2) }]);
        let mut floors = Floors::default();
        assert_eq!(ask(&known, &mut floors, "2", "1"), Ok(2));
        assert_eq!(ask(&known, &mut floors, "1", "1"), Ok(1), "it was admitted and never ran");
        // It runs, and was withdrawn meanwhile: its promise stands.
        let withdrawn = catalogue(vec![terms("1", 1)]);
        assert_eq!(ask(&withdrawn, &mut floors, "1", "2"), Err("data_floor"));
        assert_eq!(floors.data, 2);
        let again = |version: &str| floors.admit_again(&Digest::of(version.as_bytes()));
        assert_eq!((again("2"), again("9")), (Some(Ok(())), None));
        assert!(matches!(again("1"), Some(Err(NotAdmitted::DataFloor { .. }))), "not even in an outage");
    }

    #[test]
    fn there_must_be_a_path_forward() {
        let known = catalogue(vec![
            terms("1", 1),
            terms("2", 2),
            Terms { upgrades_from: vec!["2".into()], ..terms("3", 3) },
            terms("4", 4),
        ]);
        let mut floors = Floors::default();
        assert_eq!(ask(&known, &mut floors, "3", "1"), Err("no_upgrade_path"));
        assert_eq!(ask(&known, &mut floors, "3", "2"), Ok(3));
        assert_eq!(ask(&known, &mut floors, "3", "4"), Ok(3), "back");
        assert_eq!(ask(&known, &mut floors, "3", ""), Ok(3), "a first installation");
    }

    #[test]
    fn waves_that_have_not_come_make_a_host_wait() {
        let wave = |after_seconds| vec![Wave { after_seconds, permille: 1000 }];
        let known = catalogue(vec![
            Terms { waves: wave(48 * 3600), ..terms("1", 1) },
            Terms { waves: wave(3600), ..terms("2", 2) },
        ]);
        let mut floors = Floors::default();
        assert_eq!(ask(&known, &mut floors, "1", ""), Err("signed_waves"));
        assert_eq!(ask(&known, &mut floors, "2", ""), Ok(2));
    }
}
