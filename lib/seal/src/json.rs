//! JSON as the bot's signatures see it.
//!
//! A general JSON library will not do: signatures cover the exact bytes that Python's `json` module writes, so integers
//! keep every digit, floats print as Python's `repr`, and `NaN` and the infinities are legal. Numbers that went through
//! an `f64`, or keys in another order, would break every signature that covers them.

mod parse;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

pub use parse::{JsonProblem, MAX_DEPTH, ParseJsonError};

/// A parsed JSON document, or a part of one.
///
/// Object keys are kept in UTF-8 byte order, which is the code-point order that the canonical form requires.
/// Strings hold no lone surrogates: [`Json::parse`] refuses them because no UTF-8 text can carry them.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written without `.`, `e` or `E`.
    Integer(Integer),
    /// A number written with `.`, `e` or `E`, or one of `NaN`, `Infinity` and `-Infinity`.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; of members that share a name, the last one of the text.
    Object(BTreeMap<String, Json>),
}

/// An integer of any size, as its exact decimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Integer(String);

impl Json {
    /// Parses one document, accepting what Python's `json.loads` accepts: RFC 8259 and `NaN`, `Infinity`, `-Infinity`.
    ///
    /// Three differences. A lone surrogate is refused here and not when the document is written, so also in a member that
    /// a later one of the same name replaces. Nesting stops at [`MAX_DEPTH`] wherever the call comes from, which nothing
    /// that the bot can sign reaches. An integer may have any number of digits, where Python stops at 4300.
    pub fn parse(text: &[u8]) -> Result<Self, ParseJsonError> {
        parse::document(text)
    }

    /// The bytes that a signature over this document covers: Python's
    /// `json.dumps(…, ensure_ascii=False, sort_keys=True, separators=(",", ":"))` in UTF-8.
    pub fn canonical(&self) -> Vec<u8> {
        write::to_vec(self, write::Layout::Compact)
    }

    /// Writes the bytes of [`Json::canonical`] in many small pieces: give it a buffered writer.
    pub fn write_canonical(&self, out: &mut impl io::Write) -> io::Result<()> {
        write::to_writer(self, write::Layout::Compact, out)
    }

    /// The text for people: Python's `json.dumps(…, indent=2, ensure_ascii=False, sort_keys=True)`, without a final
    /// line break.
    pub fn pretty(&self) -> String {
        let bytes = write::to_vec(self, write::Layout::Indented { depth: 0 });
        // The writer emits whole strings and ASCII only, so nothing is ever replaced.
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }

    /// Writes the text of [`Json::pretty`] as it stands `depth` levels deep in a larger document.
    ///
    /// The first line is not indented: it continues the line that the caller began.
    pub fn write_pretty(&self, out: &mut impl io::Write, depth: usize) -> io::Result<()> {
        write::to_writer(self, write::Layout::Indented { depth }, out)
    }

    /// An object of these members; of members that share a name, the last one.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The member of that name, if this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The value, if this is an integer from 0 to `u64::MAX`.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Integer(value) = self { value.as_u64() } else { None }
    }

    /// The value, if this is an integer that an `i64` holds.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Integer(value) = self { value.as_i64() } else { None }
    }

    /// The nearest double, if this is a number of either kind.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Integer(value) => value.0.parse().ok(),
            _ => None,
        }
    }
}

impl Integer {
    /// The value, if it lies from 0 to `u64::MAX`.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The value, if an `i64` holds it.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The decimal digits, after a `-` if it is below zero.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes digits that match the integer production of RFC 8259 §6; zero loses its sign.
    fn from_token(token: &str) -> Self {
        Self(if token == "-0" { "0".to_owned() } else { token.to_owned() })
    }
}

macro_rules! from_integers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Integer {
            fn from(value: $kind) -> Self {
                Self(value.to_string())
            }
        }

        impl From<$kind> for Json {
            fn from(value: $kind) -> Self {
                Self::Integer(value.into())
            }
        }
    )*};
}

from_integers!(i32, u32, i64, u64, usize);

impl From<Integer> for Json {
    fn from(value: Integer) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Self::Array(items)
    }
}

impl From<BTreeMap<String, Json>> for Json {
    fn from(members: BTreeMap<String, Json>) -> Self {
        Self::Object(members)
    }
}

/// `None` becomes `null`.
impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
