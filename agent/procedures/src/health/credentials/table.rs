//! A table of the credentials file: typed fields, placeholders resolved, errors that name the place and no value.

use std::borrow::Cow;
use std::str::FromStr;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{CredentialsError, FileFormat};
use crate::health::settings::{Amount, ValueError};

/// One table and where it stands.
pub(super) struct Table<'a> {
    at: String,
    fields: Cow<'a, Map<String, Value>>,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn document(
        text: &str,
        format: FileFormat,
        origin: &str,
        lookup: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let at = || origin.to_owned();
        // The parsers' own messages are dropped: they quote the line, which may hold a secret.
        let document: Value = match format {
            FileFormat::Json => serde_json::from_str(text).map_err(|error| CredentialsError::Syntax {
                at: at(),
                format,
                line: error.line(),
            })?,
            FileFormat::Toml => toml::from_str(text).map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                CredentialsError::Syntax { at: at(), format, line: before.matches('\n').count() + 1 }
            })?,
        };
        match document {
            Value::Object(fields) => Ok(Self { at: at(), fields: Cow::Owned(fields), lookup }),
            _ => Err(CredentialsError::WrongType { at: at(), expected: "an object with one table an exchange" }),
        }
    }

    /// Where the table stands, for an error.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// Where a field stands, for an error: `config/exchanges.json: binance.secret`.
    pub(super) fn at_field(&self, name: &str) -> String {
        let separator = if self.at.contains(": ") { "." } else { ": " };
        format!("{}{separator}{name}", self.at)
    }

    /// Refuses fields other than these; for those with a well-known wrong name it says the right one.
    pub(super) fn only(&self, known: &[&str], wrong: &[(&str, &'static str)]) -> Result<(), CredentialsError> {
        let Some(field) = self.fields.keys().find(|field| !known.contains(&field.as_str())) else {
            return Ok(());
        };
        let at = self.at_field(field);
        let bare = field.replace(['_', '-'], "").to_ascii_lowercase();
        let right = wrong.iter().find(|(name, right)| *name == bare && known.contains(right));
        // `keyId` and the like: the right name in another spelling.
        let respelt = known.iter().find(|name| name.replace('_', "") == bare);
        Err(match (right, respelt) {
            (Some((_, right)), _) => CredentialsError::WrongName { at, right },
            (None, Some(right)) => CredentialsError::UnknownField { at, known: format!("'{right}', spelt so") },
            (None, None) => CredentialsError::UnknownField { at, known: known.join(", ") },
        })
    }

    pub(super) fn table(&'a self, name: &str) -> Result<Option<Self>, CredentialsError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Self { at: self.at_field(name), fields: Cow::Borrowed(fields), lookup: self.lookup }))
            }
            Some(_) => Err(self.wrong_type(name, "a table")),
        }
    }

    /// Every table in this one, by its name. Fields that are none are passed over.
    pub(super) fn all_tables(&'a self) -> impl Iterator<Item = (&'a str, Self)> {
        self.fields.iter().filter_map(|(name, value)| match value {
            Value::Object(fields) => Some((
                name.as_str(),
                Self { at: self.at_field(name), fields: Cow::Borrowed(fields), lookup: self.lookup },
            )),
            _ => None,
        })
    }

    /// A list of tables.
    pub(super) fn tables(&'a self, name: &str) -> Result<Vec<Self>, CredentialsError> {
        let Some(entries) = self.entries(name)? else {
            return Ok(Vec::new());
        };
        let table = |(index, entry): (usize, &'a Value)| match entry {
            Value::Object(fields) => {
                let at = format!("{}[{index}]", self.at_field(name));
                Ok(Self { at, fields: Cow::Borrowed(fields), lookup: self.lookup })
            }
            _ => Err(self.wrong_type(name, "a list of tables")),
        };
        entries.iter().enumerate().map(table).collect()
    }

    /// A list of texts. Placeholders in them are not replaced.
    pub(super) fn words(&self, name: &str) -> Result<Option<Vec<String>>, CredentialsError> {
        let word =
            |entry: &Value| entry.as_str().map(str::to_owned).ok_or_else(|| self.wrong_type(name, "a list of texts"));
        self.entries(name)?.map(|entries| entries.iter().map(word).collect()).transpose()
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, CredentialsError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| self.wrong_type(name, "a whole number")),
        }
    }

    fn entries(&self, name: &str) -> Result<Option<&Vec<Value>>, CredentialsError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(entries)) => Ok(Some(entries)),
            Some(_) => Err(self.wrong_type(name, "a list")),
        }
    }

    /// A text, its placeholders replaced.
    pub(super) fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, CredentialsError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => self.resolve(name, text).map(Some),
            Some(_) => Err(self.wrong_type(name, "a text")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, CredentialsError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong_type(name, "true or false")),
        }
    }

    pub(super) fn parsed<T: FromStr<Err = ValueError>>(&self, name: &str) -> Result<Option<T>, CredentialsError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|source| CredentialsError::Value { at: self.at_field(name), source })
    }

    /// An amount, as a number or as a text.
    pub(super) fn amount(&self, name: &str) -> Result<Option<Amount>, CredentialsError> {
        match self.fields.get(name).and_then(Value::as_f64) {
            Some(number) => Amount::try_from(number)
                .map(Some)
                .map_err(|source| CredentialsError::Value { at: self.at_field(name), source }),
            None => self.parsed(name),
        }
    }

    /// Replaces every `${NAME}`. The result is wiped when dropped, because it may be a secret.
    fn resolve(&self, name: &str, text: &str) -> Result<Zeroizing<String>, CredentialsError> {
        let broken = || CredentialsError::Placeholder { at: self.at_field(name) };
        let mut resolved = Zeroizing::new(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (variable, tail) = after.split_once('}').ok_or_else(broken)?;
            let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if variable.is_empty() || !variable.chars().all(well_formed) {
                return Err(broken());
            }
            let unset = || CredentialsError::UnsetVariable { at: self.at_field(name), variable: variable.to_owned() };
            let value = Zeroizing::new((self.lookup)(variable).ok_or_else(unset)?);
            resolved.push_str(before);
            resolved.push_str(&value);
            rest = tail;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn wrong_type(&self, name: &str, expected: &'static str) -> CredentialsError {
        CredentialsError::WrongType { at: self.at_field(name), expected }
    }
}
