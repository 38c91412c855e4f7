//! The writer: one walk for the canonical form and for the form for people.

use std::convert::Infallible;
use std::io;

use super::Json;

/// White space between tokens.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// None: the canonical form.
    Compact,
    /// A line for each item and member, two spaces a level, counted from `depth`.
    Indented { depth: usize },
}

pub(super) fn to_vec(value: &Json, layout: Layout) -> Vec<u8> {
    let mut out = Vec::new();
    let Ok(()) = put(value, layout, &mut out);
    out
}

pub(super) fn to_writer(value: &Json, layout: Layout, out: &mut impl io::Write) -> io::Result<()> {
    put(value, layout, &mut Writer(out))
}

/// Where the text goes. Memory cannot fail, a file can: the error type says which it is.
trait Sink {
    type Error;

    fn put(&mut self, piece: &[u8]) -> Result<(), Self::Error>;
}

impl Sink for Vec<u8> {
    type Error = Infallible;

    fn put(&mut self, piece: &[u8]) -> Result<(), Infallible> {
        self.extend_from_slice(piece);
        Ok(())
    }
}

struct Writer<'a, W>(&'a mut W);

impl<W: io::Write> Sink for Writer<'_, W> {
    type Error = io::Error;

    fn put(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.write_all(piece)
    }
}

fn put<S: Sink>(value: &Json, layout: Layout, sink: &mut S) -> Result<(), S::Error> {
    match value {
        Json::Null => sink.put(b"null"),
        Json::Bool(true) => sink.put(b"true"),
        Json::Bool(false) => sink.put(b"false"),
        Json::Integer(integer) => sink.put(integer.as_str().as_bytes()),
        Json::Float(float) => sink.put(python_repr(*float).as_bytes()),
        Json::String(text) => put_string(text, sink),
        Json::Array(items) if items.is_empty() => sink.put(b"[]"),
        Json::Array(items) => {
            sink.put(b"[")?;
            for (index, item) in items.iter().enumerate() {
                layout.separate(index, sink)?;
                put(item, layout.inside(), sink)?;
            }
            layout.end_line(sink)?;
            sink.put(b"]")
        }
        Json::Object(members) if members.is_empty() => sink.put(b"{}"),
        Json::Object(members) => {
            sink.put(b"{")?;
            for (index, (name, member)) in members.iter().enumerate() {
                layout.separate(index, sink)?;
                put_string(name, sink)?;
                sink.put(if matches!(layout, Layout::Compact) { b":" } else { b": " })?;
                put(member, layout.inside(), sink)?;
            }
            layout.end_line(sink)?;
            sink.put(b"}")
        }
    }
}

impl Layout {
    fn inside(self) -> Self {
        match self {
            Self::Compact => Self::Compact,
            Self::Indented { depth } => Self::Indented { depth: depth + 1 },
        }
    }

    fn separate<S: Sink>(self, index: usize, sink: &mut S) -> Result<(), S::Error> {
        if index > 0 {
            sink.put(b",")?;
        }
        self.inside().end_line(sink)
    }

    fn end_line<S: Sink>(self, sink: &mut S) -> Result<(), S::Error> {
        let Self::Indented { depth } = self else { return Ok(()) };
        sink.put(b"\n")?;
        (0..depth).try_for_each(|_| sink.put(b"  "))
    }
}

fn put_string<S: Sink>(text: &str, sink: &mut S) -> Result<(), S::Error> {
    sink.put(b"\"")?;
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        sink.put(&rest[..at])?;
        match rest[at] {
            b'\n' => sink.put(b"\\n")?,
            b'\r' => sink.put(b"\\r")?,
            b'\t' => sink.put(b"\\t")?,
            0x08 => sink.put(b"\\b")?,
            0x0c => sink.put(b"\\f")?,
            control @ 0..=0x1f => sink.put(format!("\\u{control:04x}").as_bytes())?,
            quote_or_backslash => sink.put(&[b'\\', quote_or_backslash])?,
        }
        rest = &rest[at + 1..];
    }
    sink.put(rest)?;
    sink.put(b"\"")
}

/// The double as Python's `repr` prints it: the shortest digits that read back as the same double, positional from
/// 1e-4 up to but not including 1e16, else with an exponent of two digits or more.
fn python_repr(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = shortest_digits(value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..16 => positional(mantissa, exponent),
        exponent @ ..0 => format!("{mantissa}e-{:02}", exponent.unsigned_abs()),
        exponent => format!("{mantissa}e+{exponent:02}"),
    }
}

/// The shortest digits that read back as `value`, in scientific notation.
///
/// Of two that are equally short and equally near, Python takes the even one (681666102269953.25 is `…3.2`) and Rust's
/// shortest form the upper one. Rounding the exact value to that many digits does break ties to even; but beside a
/// power of two its result may not read back, and there the shortest form is the right one.
fn shortest_digits(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    if rounded.parse() == Ok(value) { rounded } else { shortest }
}

/// Places the point of `mantissa` (`d.ddd` or `-d.ddd`) for the exponent, with a digit on both sides of it.
fn positional(mantissa: &str, exponent: i32) -> String {
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    let before = usize::try_from(exponent + 1).unwrap_or(0);
    let (whole, fraction) = digits.split_at(before.min(digits.len()));
    let whole_zeros = if before == 0 { 1 } else { before - whole.len() };
    let fraction_zeros = if exponent < 0 { exponent.unsigned_abs() - 1 } else { u32::from(fraction.is_empty()) };
    let zeros = |count: usize| "0".repeat(count);
    format!("{sign}{whole}{}.{}{fraction}", zeros(whole_zeros), zeros(fraction_zeros as usize))
}
