//! Typed ids, so that a host cannot be passed where a task is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: expected {expected}")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
    expected: &'static str,
}

/// Longest host name: what fits in a DNS label, so that it can also be one.
const HOST_NAME_MAX: usize = 63;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    return Ok(Self(text));
                }
                // Only a beginning: hostile input must not flood a log.
                Err(InvalidId { text: text.chars().take(80).collect(), kind: $kind, expected: $expected })
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        text_id!($(#[$doc])* $name, $kind, "a UUID in lower case", |text| {
            uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text)
        });

        impl $name {
            /// Made from a UUID of version 7, so that ids sort by time.
            pub fn from_uuid(id: uuid::Uuid) -> Self {
                Self(id.hyphenated().to_string())
            }
        }
    };
}

text_id!(
    /// A host, for ever: the first 16 hex digits of the SHA-256 of its endorsement key. Minted by the controller.
    HostId, "host id", "16 lower-case hex digits", |text| text.len() == HostId::LENGTH && is_lower_hex(text)
);
text_id!(
    /// The name an operator gave a host; unique in a fleet, a DNS label.
    HostName, "host name", "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit", is_host_name
);
text_id!(
    /// An enrolment token's public half, under which it is listed and revoked.
    TokenId, "token id", "12 lower-case hex digits", |text| text.len() == 12 && is_lower_hex(text)
);
uuid_id!(
    /// One piece of work offered to one host.
    TaskId, "task id"
);
uuid_id!(
    /// One security export archived by the controller.
    ExportId, "export id"
);

impl HostId {
    const LENGTH: usize = 16;

    /// The id of the host with this endorsement key: no host can choose it (CVE-2025-13609 is what happens otherwise).
    pub fn of_endorsement_key(spki_sha256: &crate::Digest) -> Self {
        Self(spki_sha256.to_string().chars().take(Self::LENGTH).collect())
    }
}

impl HostName {
    /// The name of a host that nobody named: its id.
    pub fn of_unnamed(id: &HostId) -> Self {
        Self(id.as_str().to_owned())
    }
}

/// A rollout's number in its fleet; prints as `R-214`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutId(u32);

impl RolloutId {
    /// In the place of a rollout: a person asked for it on the host itself. No controller has a rollout of that number.
    pub const ON_THE_HOST: Self = Self(0);

    /// The rollout with this number, counted from one.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("R-{}", self.0))
    }
}

impl FromStr for RolloutId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = text.strip_prefix("R-").or_else(|| text.strip_prefix("r-")).unwrap_or(text).parse();
        number.map(Self).map_err(|_| InvalidId {
            text: text.chars().take(80).collect(),
            kind: "rollout id",
            expected: "R- and a number, as in R-214",
        })
    }
}

impl TryFrom<String> for RolloutId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RolloutId> for String {
    fn from(id: RolloutId) -> String {
        id.to_string()
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_host_name(text: &str) -> bool {
    let inner = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'-');
    (1..=HOST_NAME_MAX).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_dns_labels() {
        for good in ["fra-bot-07", "a", "0"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/../b", &"a".repeat(64)] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rollout_ids_read_as_people_write_them() {
        for text in ["R-214", "r-214", "214"] {
            assert_eq!(text.parse(), Ok(RolloutId::new(214)));
        }
        assert!("R-".parse::<RolloutId>().is_err());
        assert_eq!(RolloutId::new(7).to_string(), "R-7");
    }

    #[test]
    fn an_id_comes_from_the_endorsement_key() {
        let digest = crate::Digest::of(b"spki");
        assert_eq!(HostId::of_endorsement_key(&digest).as_str(), &digest.to_string()[..16]);
    }
}
