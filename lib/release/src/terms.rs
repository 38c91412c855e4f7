//! What a release asks of the hosts that install it: signed with it, so that no controller can change it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The key of our terms in the `custom` of a target (TUF specification §4.5).
pub(crate) const CUSTOM_KEY: &str = "flota";

/// The terms of a release. A field that a host does not know is one that it cannot honour, so it refuses the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Version, as the package's manifest has it.
    pub version: String,
    /// The manifest's `id`.
    pub id: String,
    /// The manifest's `platform`.
    pub platform: String,
    /// The manifest's `runtime`.
    pub runtime: String,
    /// Place in the order of all releases, from 1: what is older is what has a lower one, whatever the versions say.
    pub sequence: u64,
    /// When it was signed first; its waves are counted from then.
    pub released_at: Timestamp,
    /// A host that knows of this release installs none of a lower sequence than this any more. 0: no floor.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub security_floor: u64,
    /// A host that has run this release runs none of a lower sequence than this any more: they cannot read its data.
    /// 0: no floor.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub data_floor: u64,
    /// Versions that it may be installed over; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrades_from: Vec<String>,
    /// How fast it may spread, whoever gives the orders; empty: as fast as the controller wants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Wave>,
}

/// From some time on, some share of all hosts may install a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Seconds after [`Terms::released_at`].
    pub after_seconds: u64,
    /// Thousandths of all hosts, together with those of earlier waves.
    pub permille: u16,
}

impl Terms {
    /// When a host may install it by its waves; `None` if no wave ever reaches that host.
    ///
    /// Which hosts come first differs from release to release, and nobody chooses it: a host's place is drawn from its
    /// id and the package's digest.
    pub fn admits_from(&self, host: &str, digest: &[u8; 32]) -> Option<Timestamp> {
        if self.waves.is_empty() {
            return Some(Timestamp::MIN);
        }
        let place = place(host, digest);
        let reached = self.waves.iter().filter(|wave| place < wave.permille).map(|wave| wave.after_seconds).min()?;
        let seconds = jiff::SignedDuration::from_secs(i64::try_from(reached).unwrap_or(i64::MAX));
        Some(self.released_at.saturating_add(seconds).unwrap_or(Timestamp::MAX))
    }
}

/// The place of a host among a thousand, from 0.
fn place(host: &str, digest: &[u8; 32]) -> u16 {
    let hash = Sha256::new().chain_update(digest).chain_update(host.as_bytes()).finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    u16::try_from(u32::from_be_bytes([a, b, c, d]) % 1000).unwrap_or(0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn terms(version: &str, sequence: u64) -> Terms {
        Terms {
            version: version.into(),
            id: "bot".into(),
            platform: "linux".into(),
            runtime: "python".into(),
            sequence,
            released_at: "2026-11-01T00:00:00Z".parse().unwrap(),
            security_floor: 0,
            data_floor: 0,
            upgrades_from: Vec::new(),
            waves: Vec::new(),
        }
    }

    #[test]
    fn waves_reach_as_many_hosts_as_they_say() {
        let hour = 3600;
        let waves = [(hour, 10), (4 * hour, 250), (24 * hour, 1000)];
        let waves = waves.map(|(after_seconds, permille)| Wave { after_seconds, permille }).to_vec();
        let terms = Terms { waves, ..terms("1.0", 1) };
        let hosts: Vec<String> = (0..4000).map(|number| format!("host-{number}")).collect();
        let admitted = |after: i64, digest: &[u8; 32]| {
            let at = terms.released_at + jiff::SignedDuration::from_secs(after);
            hosts.iter().filter(|host| terms.admits_from(host, digest).is_some_and(|from| from <= at)).count()
        };
        let first = [7; 32];
        assert_eq!(admitted(0, &first), 0);
        assert!((10..80).contains(&admitted(3600, &first)), "1 % of 4,000: {}", admitted(3600, &first));
        assert!((900..1100).contains(&admitted(4 * 3600, &first)), "25 % of 4,000");
        assert_eq!(admitted(24 * 3600, &first), 4000);
        let pioneers = |digest: &[u8; 32]| -> Vec<&String> {
            let at = terms.released_at + jiff::SignedDuration::from_hours(1);
            hosts.iter().filter(|host| terms.admits_from(host, digest).is_some_and(|from| from <= at)).collect()
        };
        assert_ne!(pioneers(&first), pioneers(&[8; 32]), "not the same hosts each time");
    }

    #[test]
    fn without_waves_everybody_may_and_beyond_the_last_nobody() {
        assert_eq!(terms("1.0", 1).admits_from("a", &[0; 32]), Some(Timestamp::MIN));
        let none = Terms { waves: vec![Wave { after_seconds: 0, permille: 0 }], ..terms("1.0", 1) };
        assert_eq!(none.admits_from("a", &[0; 32]), None);
    }

    #[test]
    fn an_unknown_term_is_refused() {
        let mut json = serde_json::to_value(terms("1.0", 1)).unwrap();
        assert!(serde_json::from_value::<Terms>(json.clone()).is_ok());
        json["needs_two_people"] = true.into();
        assert!(serde_json::from_value::<Terms>(json).is_err());
    }
}
