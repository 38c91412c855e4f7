//! Takes a TOML document apart and remembers all that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One matter with the settings. It never says the value: that may be a key put in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSetting {
    origin: String,
    line: usize,
    key: String,
    problem: String,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, line, key, problem } = self;
        match key.as_str() {
            "" => write!(f, "{origin}:{line}: {problem}"),
            key => write!(f, "{origin}:{line}: `{key}` {problem}"),
        }
    }
}

/// All that is wrong with the settings, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(Vec<BadSetting>);

impl Problems {
    /// Each matter.
    pub fn iter(&self) -> impl Iterator<Item = &BadSetting> {
        self.0.iter()
    }
}

/// Turns a value into what it should be, or says what it should have been.
pub type Parse<T> = fn(&DeValue<'_>) -> Result<T, &'static str>;

/// The problems found so far, and where in the file things are.
#[derive(Debug)]
pub struct Reader {
    origin: String,
    line_starts: Vec<usize>,
    problems: Vec<BadSetting>,
}

/// A table whose keys are taken out one by one; what is left over was not meant to be there.
#[derive(Debug)]
pub struct Section<'i> {
    name: &'static str,
    line: usize,
    entries: BTreeMap<String, (usize, DeValue<'i>)>,
}

impl Reader {
    /// Reads the text of a file; `origin` names it in the problems. The second value is the file as a table.
    pub fn open<'i>(text: &'i str, origin: &str) -> Result<(Self, Section<'i>), Problems> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut reader = Self { origin: origin.to_owned(), line_starts, problems: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => {
                let section = reader.section("", 1, table.into_inner());
                Ok((reader, section))
            }
            // The parser's own message may quote the line.
            Err(error) => {
                let line = error.span().map_or(1, |span| reader.line_of(span.start));
                reader.report(line, String::new(), "this is not TOML");
                Err(Problems(reader.problems))
            }
        }
    }

    /// The table `[name]`; absent is empty.
    pub fn table<'i>(&mut self, parent: &mut Section<'i>, name: &'static str) -> Section<'i> {
        match parent.entries.remove(name) {
            Some((line, DeValue::Table(table))) => self.section(name, line, table),
            Some((line, _)) => {
                self.report(line, name.to_owned(), "must be a table");
                Section { name, line, entries: BTreeMap::new() }
            }
            None => Section { name, line: 1, entries: BTreeMap::new() },
        }
    }

    /// A key that may be absent.
    pub fn optional<T>(&mut self, section: &mut Section<'_>, key: &'static str, parse: Parse<T>) -> Option<T> {
        let (line, value) = section.entries.remove(key)?;
        match parse(&value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.report(line, section.path(key), problem);
                None
            }
        }
    }

    /// A key that may be absent, and what it then is.
    pub fn or<T>(&mut self, section: &mut Section<'_>, key: &'static str, parse: Parse<T>, default: T) -> T {
        self.optional(section, key, parse).unwrap_or(default)
    }

    /// A key that must be there.
    pub fn required<T>(&mut self, section: &mut Section<'_>, key: &'static str, parse: Parse<T>) -> Option<T> {
        if !section.entries.contains_key(key) {
            self.report(section.line, section.path(key), "is missing");
        }
        self.optional(section, key, parse)
    }

    /// Leaves a table to whoever reads the same file for other matters.
    pub fn leave(&self, parent: &mut Section<'_>, name: &str) {
        parent.entries.remove(name);
    }

    /// Reports the keys that nobody asked for.
    pub fn close(&mut self, section: Section<'_>) {
        let Section { name, line: _, entries } = section;
        for (key, (line, _)) in entries {
            let key: String = key.chars().take(80).collect();
            let path = if name.is_empty() { key } else { format!("{name}.{key}") };
            self.report(line, path, "is not a setting");
        }
    }

    /// What was read, if nothing is wrong.
    pub fn finish<T>(mut self, read: Option<T>) -> Result<T, Problems> {
        self.problems.sort_by_key(|problem| problem.line);
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            _ => Err(Problems(self.problems)),
        }
    }

    fn section<'i>(&self, name: &'static str, line: usize, table: DeTable<'i>) -> Section<'i> {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'i>>)| {
            let line = self.line_of(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (key.into_owned(), (line, value.into_inner()))
        };
        Section { name, line, entries: table.into_iter().map(entry).collect() }
    }

    fn report(&mut self, line: usize, key: String, problem: &str) {
        self.problems.push(BadSetting { origin: self.origin.clone(), line, key, problem: problem.to_owned() });
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

impl Section<'_> {
    /// Whether it says anything at all.
    pub fn is_present(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether it has this key.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}
