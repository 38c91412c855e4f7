//! Looks through a bundle for entries of its audit log and its alerts, one entry in memory at a time.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Longest key, entry or word of a bundle, in bytes: the bot writes lines of some hundred.
const MAX_ENTRY: usize = 1 << 20;
/// Longest part of a bundle that is passed over, in bytes: the configuration and the evidence are far below.
const MAX_PASSED_OVER: usize = 64 << 20;

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
///
/// The file is a host's: no key, entry or word of it may be longer than [`MAX_ENTRY`], nor what is passed over than
/// [`MAX_PASSED_OVER`].
pub fn entries(bundle: impl Read, take: &mut dyn FnMut(Source, &str) -> Next) -> Result<(), serde_json::Error> {
    let mut stopped = false;
    let left = Cell::new(MAX_ENTRY);
    let mut reader = serde_json::Deserializer::from_reader(Rationed { inner: bundle, left: &left });
    let mut noting = |source, entry: &str| {
        let next = take(source, entry);
        stopped = next == Next::Stop;
        next
    };
    match (At { level: Level::Document, take: &mut noting, left: &left }).deserialize(&mut reader) {
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

/// Bytes that may be read before the next key or entry: the parser keeps that much in memory.
struct Rationed<'l, R> {
    inner: R,
    left: &'l Cell<usize>,
}

impl<R: Read> Read for Rationed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.get().min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("an entry is longer than a security export can have"));
        }
        let read = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.set(self.left.get().saturating_sub(read));
        Ok(read)
    }
}

struct At<'t> {
    level: Level,
    left: &'t Cell<usize>,
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
        self.left.set(MAX_ENTRY);
        while let Some(key) = map.next_key::<String>()? {
            if let Some(level) = self.level.below(&key) {
                map.next_value_seed(At { level, take: &mut *self.take, left: self.left })?;
            } else {
                self.left.set(MAX_PASSED_OVER);
                let IgnoredAny = map.next_value()?;
            }
            self.left.set(MAX_ENTRY);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Level::Entries(source) = self.level else {
            self.left.set(MAX_PASSED_OVER);
            while entries.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        self.left.set(MAX_ENTRY);
        while let Some(entry) = entries.next_element::<Value>()? {
            if (self.take)(source, &entry.to_string()) == Next::Stop {
                return Err(serde::de::Error::custom("enough"));
            }
            self.left.set(MAX_ENTRY);
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
    #[test]
    fn what_a_hostile_host_sends_takes_no_more_memory_than_an_entry() {
        let long = "a".repeat(MAX_ENTRY + 1);
        for (text, holds) in [
            (format!(r#"{{"bundle":{{"audit":{{"entries":["{long}"]}}}}}}"#), false),
            (format!(r#"{{"{long}":1}}"#), false),
            (format!(r#"{{"bundle":"{long}"}}"#), false),
            (format!(r#"{{"config":"{long}","bundle":{{"audit":{{"entries":["one"]}}}}}}"#), true),
        ] {
            let read = entries(text.as_bytes(), &mut |_, _| Next::Entry);
            assert_eq!(read.is_ok(), holds, "{read:?}");
        }
    }
}
