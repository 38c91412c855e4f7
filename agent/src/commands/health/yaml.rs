//! YAML as configuration files need it, read into the JSON that everything else here works on.
//!
//! One document, text keys, the scalars of the core schema. Aliases and merge keys work, within the bounds below: what
//! they expand to counts.

use std::collections::BTreeMap;

use flota_seal::json::Json;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

/// Values in a document, with what aliases expand to. A file of environments has hundreds.
const MAX_VALUES: usize = 20_000;
/// Values in each other.
const MAX_DEPTH: usize = 32;
/// Takes the members of another mapping over.
const MERGE_KEY: &str = "<<";

/// Why a text is not such a document. Values are never repeated: they may be secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum YamlError {
    #[error("it is not valid YAML at line {}", .0.marker().line())]
    Syntax(#[source] ScanError),
    #[error("line {0}: a key must be text, and appear once")]
    Key(usize),
    #[error("line {0}: an alias must follow its anchor, and `<<` must name a mapping")]
    Alias(usize),
    #[error("it has more than {MAX_VALUES} values, or {MAX_DEPTH} in each other")]
    TooMuch,
    #[error("it has more than one document")]
    SeveralDocuments,
}

/// Reads a document; an empty one is null.
pub(super) fn parse(text: &str) -> Result<Json, YamlError> {
    let mut reader = Reader::default();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(YamlError::Syntax)?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if documents > 1 {
            return Err(YamlError::SeveralDocuments);
        }
        reader.take(event, span.start.line())?;
    }
    Ok(reader.root.unwrap_or(Json::Null))
}

#[derive(Default)]
struct Reader {
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, Json>,
    values: usize,
    root: Option<Json>,
}

enum Open {
    Sequence(Vec<Json>),
    Mapping { members: BTreeMap<String, Json>, merged: Vec<Json>, key: Option<String> },
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Json::from(&*text) };
                // A key is the text that stands there, whatever it would be as a value: `1:` and `yes:` too.
                if let Some((Open::Mapping { key: key @ None, .. }, _)) = self.open.last_mut() {
                    *key = Some(text.into_owned());
                    return Ok(());
                }
                self.add(value, anchor, line)
            }
            Event::SequenceStart(anchor, _) => self.enter(Open::Sequence(Vec::new()), anchor, line),
            Event::MappingStart(anchor, _) => {
                let open = Open::Mapping { members: BTreeMap::new(), merged: Vec::new(), key: None };
                self.enter(open, anchor, line)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::Sequence(items), anchor)) => self.add(Json::Array(items), anchor, line),
                Some((Open::Mapping { members, merged, .. }, anchor)) => {
                    self.add(Json::Object(with_merged(members, merged, line)?), anchor, line)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().ok_or(YamlError::Alias(line))?;
                self.values += count(&value);
                self.add(value, 0, line)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn enter(&mut self, open: Open, anchor: usize, line: usize) -> Result<(), YamlError> {
        if matches!(self.open.last(), Some((Open::Mapping { key: None, .. }, _))) {
            return Err(YamlError::Key(line));
        }
        self.open.push((open, anchor));
        if self.open.len() > MAX_DEPTH { Err(YamlError::TooMuch) } else { Ok(()) }
    }

    fn add(&mut self, value: Json, anchor: usize, line: usize) -> Result<(), YamlError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(YamlError::TooMuch);
        }
        if anchor != 0 {
            // A copy, so it counts.
            self.values += count(&value);
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::Sequence(items), _)) => items.push(value),
            Some((Open::Mapping { members, merged, key }, _)) => match key.take() {
                None => return Err(YamlError::Key(line)),
                Some(key) if key == MERGE_KEY => merged.push(value),
                Some(key) => {
                    if members.insert(key, value).is_some() {
                        return Err(YamlError::Key(line));
                    }
                }
            },
        }
        Ok(())
    }
}

/// A mapping's own members go before those of `<<`.
fn with_merged(
    mut members: BTreeMap<String, Json>,
    merged: Vec<Json>,
    line: usize,
) -> Result<BTreeMap<String, Json>, YamlError> {
    for value in merged {
        let others = match value {
            Json::Object(_) => vec![value],
            Json::Array(items) => items,
            _ => return Err(YamlError::Alias(line)),
        };
        for other in others {
            let Json::Object(other) = other else { return Err(YamlError::Alias(line)) };
            for (name, value) in other {
                members.entry(name).or_insert(value);
            }
        }
    }
    Ok(members)
}

fn count(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Json::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// A plain scalar by the core schema (YAML 1.2 §10.3), without its rarer spellings of numbers.
fn plain(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let number = digits.starts_with(|first: char| first.is_ascii_digit());
            let number = number.then(|| Json::parse(text.trim_start_matches('+').as_bytes()).ok()).flatten();
            number.unwrap_or_else(|| text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn scalars_sequences_and_mappings_are_read() {
        let text = "a: 1\nb: [x, 'y', \"2\", 2.5, true, ~]\nc:\n  d: |\n    text\n  e: 1e3\n1: one\n";
        let expected = r#"{"a": 1, "b": ["x", "y", "2", 2.5, true, null], "c": {"d": "text\n", "e": 1e3}, "1": "one"}"#;
        assert_eq!(parse(text).unwrap(), json(expected));
        assert_eq!(parse("").unwrap(), Json::Null);
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\ncopy: *b\n";
        let expected = r#"{"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}, "copy": {"x": 1, "y": 2}}"#;
        assert_eq!(parse(text).unwrap(), json(expected));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{inner}]").unwrap();
        }
        assert!(matches!(parse(&text), Err(YamlError::TooMuch)));
        assert!(matches!(parse(&"[".repeat(100)), Err(YamlError::TooMuch)));
    }

    #[test]
    fn what_is_not_such_a_document_is_refused() {
        for text in ["a: 1\na: 2\n", "{[1]: 2}", "? {x: 1}\n: 2\n"] {
            assert!(matches!(parse(text), Err(YamlError::Key(_))), "{text}");
        }
        for text in ["a: [1", "a: b: c", "\t- x: [", "a: *nowhere"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(matches!(parse("a: 1\n---\nb: 2\n"), Err(YamlError::SeveralDocuments)));
        assert!(matches!(parse("<<: text\n"), Err(YamlError::Alias(_))));
    }
}
