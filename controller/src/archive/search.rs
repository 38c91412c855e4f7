//! Looks through a bundle for entries of its audit log and its alerts, one entry in memory at a time.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Where an entry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The audit log.
    Audit,
    /// The alerts.
    Alerts,
}

impl Source {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Alerts => "alert",
        }
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To the next entry.
    Entry,
    /// No further.
    Stop,
}

/// Gives every entry of a bundle to `take`, as JSON on one line, until that says stop.
pub fn entries(bundle: impl Read, take: &mut dyn FnMut(Source, &str) -> Next) -> Result<(), serde_json::Error> {
    let mut stopped = false;
    let mut reader = serde_json::Deserializer::from_reader(bundle);
    let mut noting = |source, entry: &str| {
        let next = take(source, entry);
        stopped = next == Next::Stop;
        next
    };
    match (At { level: Level::Document, take: &mut noting }).deserialize(&mut reader) {
        // What stops early leaves the rest unread, which the parser takes for an error.
        Err(_) if stopped => Ok(()),
        read => read,
    }
}

/// Where in the document: `{"bundle": {"audit": {"entries": [...]}, "alerts": {"entries": [...]}}}`.
#[derive(Clone, Copy)]
enum Level {
    Document,
    Bundle,
    Log(Source),
    Entries(Source),
}

impl Level {
    fn below(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Document, "bundle") => Some(Self::Bundle),
            (Self::Bundle, "audit") => Some(Self::Log(Source::Audit)),
            (Self::Bundle, "alerts") => Some(Self::Log(Source::Alerts)),
            (Self::Log(source), "entries") => Some(Self::Entries(source)),
            _ => None,
        }
    }
}

struct At<'t> {
    level: Level,
    take: &'t mut dyn FnMut(Source, &str) -> Next,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a security bundle")
    }

    /// A log that could not be read is null in the bundle.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.level.below(&key) {
                Some(level) => map.next_value_seed(At { level, take: &mut *self.take })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Level::Entries(source) = self.level else {
            while entries.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while let Some(entry) = entries.next_element::<Value>()? {
            if (self.take)(source, &entry.to_string()) == Next::Stop {
                return Err(serde::de::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

/// Whether every word is in the entry, whatever its case.
pub fn matches(entry: &str, words: &[String]) -> bool {
    let entry = entry.to_lowercase();
    words.iter().all(|word| entry.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, words: &str) -> Vec<(Source, String)> {
        let path = format!("{}/../tests/golden/bundle/files/{name}", env!("CARGO_MANIFEST_DIR"));
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found = Vec::new();
        let mut take = |source, entry: &str| {
            if matches(entry, &words) {
                found.push((source, entry.to_owned()));
            }
            Next::Entry
        };
        entries(std::fs::File::open(path).unwrap(), &mut take).unwrap();
        found
    }

    #[test]
    fn bundles_of_the_real_bot_are_searched_by_words() {
        let all = found("02_logs.bundle.json", "");
        assert!(all.iter().any(|(source, _)| *source == Source::Alerts), "{}", all.len());
        assert!(all.iter().all(|(_, entry)| !entry.contains('\n')));
        let some = found("02_logs.bundle.json", "OPS-2 profile");
        assert!(!some.is_empty() && some.len() < all.len(), "{} of {}", some.len(), all.len());
        let critical = found("02_logs.bundle.json", "critical");
        assert!(!critical.is_empty() && critical.iter().all(|(source, _)| *source == Source::Alerts));
        assert_eq!(found("04_missing_inputs.bundle.json", ""), []);
    }

    #[test]
    fn it_stops_when_it_is_told_to_and_refuses_what_is_no_json() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/bundle/files/01_plain.bundle.json");
        let mut count = 0;
        let mut take = |_, _: &str| {
            count += 1;
            if count == 3 { Next::Stop } else { Next::Entry }
        };
        entries(std::fs::File::open(path).unwrap(), &mut take).unwrap();
        assert_eq!(count, 3);
        assert!(entries(&b"{\"bundle\": {\"audit\": "[..], &mut |_, _| Next::Entry).is_err());
    }
}
