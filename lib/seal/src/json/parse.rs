//! The parser. It keeps open containers on the heap, so a hostile document cannot exhaust the stack.

use std::collections::BTreeMap;

use super::{Integer, Json};

/// How many arrays and objects may stand inside each other.
///
/// The bot's interpreter gives up a little below 1000, so nothing it can sign is refused; and what passes can be
/// written, compared and dropped by recursion within the 2 MiB stack of a worker thread.
pub const MAX_DEPTH: usize = 1000;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line} (byte {offset})")]
pub struct ParseJsonError {
    problem: JsonProblem,
    offset: usize,
    line: usize,
}

/// What is wrong at the place that a [`ParseJsonError`] names. It never quotes the text: that may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// The text is not UTF-8 (RFC 8259 §8.1).
    #[error("text is not UTF-8")]
    NotUtf8,
    /// The text begins with a byte order mark, which Python refuses as well.
    #[error("text begins with a byte order mark")]
    ByteOrderMark,
    /// No value begins here.
    #[error("value expected")]
    ValueExpected,
    /// An object goes on with something that is not a name in double quotes.
    #[error("member name in double quotes expected")]
    NameExpected,
    /// A name is not followed by `:`.
    #[error("':' expected")]
    ColonExpected,
    /// An item or a member is followed neither by `,` nor by the end of its container.
    #[error("',' or the end of the array or object expected")]
    SeparatorExpected,
    /// The string that begins here has no end.
    #[error("string without an end")]
    UnterminatedString,
    /// A string holds U+0000 to U+001F unescaped.
    #[error("unescaped control character in a string")]
    ControlCharacter,
    /// `\` is followed by something that RFC 8259 §7 does not define.
    #[error("unknown escape")]
    UnknownEscape,
    /// A `\uXXXX` escape is one half of a surrogate pair without the other. UTF-8 cannot carry it.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// The containers stand more than [`MAX_DEPTH`] deep.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Something follows the document.
    #[error("data after the end of the document")]
    TrailingData,
}

impl ParseJsonError {
    /// What is wrong.
    pub fn problem(&self) -> JsonProblem {
        self.problem
    }

    /// Bytes before the place, from 0.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The line of the place, from 1; lines end at U+000A.
    pub fn line(&self) -> usize {
        self.line
    }

    fn new(text: &[u8], Fault { problem, offset }: Fault) -> Self {
        let line = 1 + text.iter().take(offset).filter(|byte| **byte == b'\n').count();
        Self { problem, offset, line }
    }
}

pub(super) fn document(text: &[u8]) -> Result<Json, ParseJsonError> {
    let parsed = match std::str::from_utf8(text) {
        Ok(text) => Parser { text, at: 0 }.document(),
        Err(error) => Err(Fault { problem: JsonProblem::NotUtf8, offset: error.valid_up_to() }),
    };
    parsed.map_err(|fault| ParseJsonError::new(text, fault))
}

struct Fault {
    problem: JsonProblem,
    offset: usize,
}

/// A container whose end has not been read yet.
enum Open {
    Array(Vec<Json>),
    Object { members: BTreeMap<String, Json>, name: String },
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Json, Fault> {
        if self.text.starts_with('\u{feff}') {
            return Err(self.fault(JsonProblem::ByteOrderMark));
        }
        let mut open = Vec::new();
        self.skip_space();
        loop {
            if let Some(container) = self.begin(open.len())? {
                open.push(container);
                continue;
            }
            let mut value = self.complete()?;
            // `value` may be the last of its container, which may be the last of its own, and so on outwards.
            loop {
                self.skip_space();
                let Some(container) = open.last_mut() else {
                    return if self.peek().is_none() { Ok(value) } else { Err(self.fault(JsonProblem::TrailingData)) };
                };
                match container {
                    Open::Array(items) => items.push(value),
                    Open::Object { members, name } => {
                        members.insert(std::mem::take(name), value);
                    }
                }
                if self.eat(b',') {
                    self.skip_space();
                    if let Open::Object { name, .. } = container {
                        *name = self.name()?;
                    }
                    break;
                }
                value = match open.pop() {
                    Some(Open::Array(items)) if self.eat(b']') => Json::Array(items),
                    Some(Open::Object { members, .. }) if self.eat(b'}') => Json::Object(members),
                    _ => return Err(self.fault(JsonProblem::SeparatorExpected)),
                };
            }
        }
    }

    /// Enters the container that begins here, up to its first value; `None` if it is empty or a scalar begins here.
    fn begin(&mut self, depth: usize) -> Result<Option<Open>, Fault> {
        let (container, end) = match self.peek() {
            Some(b'[') => (Open::Array(Vec::new()), b']'),
            Some(b'{') => (Open::Object { members: BTreeMap::new(), name: String::new() }, b'}'),
            _ => return Ok(None),
        };
        if depth == MAX_DEPTH {
            return Err(self.fault(JsonProblem::TooDeep));
        }
        let start = self.at;
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(end) {
            self.at = start;
            return Ok(None);
        }
        Ok(Some(match container {
            Open::Object { members, .. } => Open::Object { members, name: self.name()? },
            array @ Open::Array(_) => array,
        }))
    }

    /// Reads an empty container or a scalar.
    fn complete(&mut self) -> Result<Json, Fault> {
        const WORDS: [(&str, Json); 6] = [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
            ("-Infinity", Json::Float(f64::NEG_INFINITY)),
        ];
        match self.peek() {
            Some(b'"') => return self.string().map(Json::String),
            Some(first @ (b'[' | b'{')) => {
                self.at += 1;
                self.skip_space();
                self.at += 1;
                return Ok(if first == b'[' { Json::Array(Vec::new()) } else { Json::Object(BTreeMap::new()) });
            }
            _ => {}
        }
        if let Some(number) = self.number() {
            return Ok(number);
        }
        for (word, value) in WORDS {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault(JsonProblem::ValueExpected))
    }

    /// Reads the longest number that begins here; what is left over is the caller's to refuse.
    fn number(&mut self) -> Option<Json> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = self.at + usize::from(self.peek() == Some(b'-'));
        end += match digits(end) {
            0 => return None,
            _ if bytes[end] == b'0' => 1,
            count => count,
        };
        let integer_end = end;
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digits(end + 1 + sign) > 0 {
                end += 1 + sign + digits(end + 1 + sign);
            }
        }
        let token = &self.text[self.at..end];
        let number = if end == integer_end {
            Json::Integer(Integer::from_token(token))
        } else {
            Json::Float(token.parse().ok()?)
        };
        self.at = end;
        Some(number)
    }

    fn name(&mut self) -> Result<String, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault(JsonProblem::NameExpected));
        }
        let name = self.string()?;
        self.skip_space();
        if !self.eat(b':') {
            return Err(self.fault(JsonProblem::ColonExpected));
        }
        self.skip_space();
        Ok(name)
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let mut value = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            value.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                Some(_) => return Err(self.fault(JsonProblem::ControlCharacter)),
                None => return Err(Fault { problem: JsonProblem::UnterminatedString, offset: start }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let unescaped = match self.text.as_bytes().get(self.at + 1) {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(*same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.fault(JsonProblem::UnknownEscape)),
        };
        self.at += 2;
        Ok(unescaped)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let first = self.code_unit(self.at).ok_or_else(|| self.fault(JsonProblem::UnknownEscape))?;
        let units = if (0xd800..0xdc00).contains(&first) {
            [Some(first), self.code_unit(self.at + UNICODE_ESCAPE_LEN)]
        } else {
            [Some(first), None]
        };
        let mut decoded = char::decode_utf16(units.into_iter().flatten());
        match decoded.next() {
            Some(Ok(character)) => {
                self.at += UNICODE_ESCAPE_LEN * character.len_utf16();
                Ok(character)
            }
            _ => Err(self.fault(JsonProblem::LoneSurrogate)),
        }
    }

    /// The code unit of the `\uXXXX` at `at`, if one stands there.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.as_bytes().get(at..at + UNICODE_ESCAPE_LEN)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, digit| {
            let value = u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
            Some(unit << 4 | value)
        })
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, problem: JsonProblem) -> Fault {
        Fault { problem, offset: self.at }
    }
}

/// `\uXXXX`.
const UNICODE_ESCAPE_LEN: usize = 6;
