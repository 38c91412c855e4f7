//! A strict, bounded reader of the TPM's wire format (TCG TPM 2.0 Library, Part 2): big-endian integers and
//! `TPM2B` buffers with a 16-bit size in front.
//!
//! Every read names its field and every buffer its bound, so a refusal says what was wrong and a hostile length can
//! neither index past the input nor allocate: nothing is copied here.

use std::fmt;

/// The bytes of one structure, read front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    structure: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`, which errors will call `structure` (the TCG's name, such as `TPMS_ATTEST`).
    pub const fn new(structure: &'static str, bytes: &'a [u8]) -> Self {
        Self { structure, rest: bytes }
    }

    /// Reads one byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Reads a big-endian 16-bit integer.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Reads a big-endian 32-bit integer.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Reads a big-endian 64-bit integer.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Reads exactly `len` bytes.
    pub fn bytes(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(self.error(WireProblem::Truncated { field }))?;
        self.rest = tail;
        Ok(head)
    }

    /// Reads a `TPM2B`: a 16-bit size and that many bytes, of which at most `max` are allowed.
    pub fn sized(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], WireError> {
        let len = usize::from(self.u16(field)?);
        if len > max {
            return Err(self.error(WireProblem::TooLong { field, len, max }));
        }
        self.bytes(field, len)
    }

    /// Ends the structure: what is left over is refused, because bytes nobody parsed are bytes nobody checked.
    pub fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(WireProblem::Trailing { len: self.rest.len() })) }
    }

    /// A [`WireProblem::Unsupported`] of this structure.
    pub fn unsupported(&self, field: &'static str, value: impl Into<u64>) -> WireError {
        self.error(WireProblem::Unsupported { field, value: value.into() })
    }

    /// A [`WireProblem::Inconsistent`] of this structure.
    pub const fn inconsistent(&self, field: &'static str) -> WireError {
        self.error(WireProblem::Inconsistent { field })
    }

    const fn error(&self, problem: WireProblem) -> WireError {
        WireError { structure: self.structure, problem }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(self.error(WireProblem::Truncated { field }))?;
        self.rest = tail;
        Ok(*head)
    }
}

/// A structure that the sender encoded wrongly, or that this verifier deliberately does not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading {structure} sent by the host: {problem}")]
pub struct WireError {
    /// The TCG's name of the structure.
    pub structure: &'static str,
    /// What was wrong with it.
    pub problem: WireProblem,
}

/// What was wrong with a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireProblem {
    /// The bytes ended inside this field.
    Truncated {
        /// The field being read.
        field: &'static str,
    },
    /// A size field is over the bound of its buffer.
    TooLong {
        /// The buffer being read.
        field: &'static str,
        /// The size it claims, in bytes.
        len: usize,
        /// The largest size accepted, in bytes.
        max: usize,
    },
    /// Bytes follow the end of the structure.
    Trailing {
        /// How many.
        len: usize,
    },
    /// A well-formed value that this verifier does not accept.
    Unsupported {
        /// The field that carries it.
        field: &'static str,
        /// The value as sent.
        value: u64,
    },
    /// The field contradicts the rest of the structure, or its value cannot exist.
    Inconsistent {
        /// The contradicting field.
        field: &'static str,
    },
}

impl fmt::Display for WireProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { field } => write!(f, "it ends inside {field}"),
            Self::TooLong { field, len, max } => write!(f, "{field} claims {len} bytes where {max} are allowed"),
            Self::Trailing { len } => write!(f, "{len} bytes follow its end"),
            Self::Unsupported { field, value } => write!(f, "{field} is {value:#x}, which is not accepted"),
            Self::Inconsistent { field } => write!(f, "{field} contradicts the rest of it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_integers_and_buffers_in_order() {
        let bytes = [1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 2, 0xaa, 0xbb];
        let mut r = Reader::new("T", &bytes);
        assert_eq!(r.u8("a"), Ok(1));
        assert_eq!(r.u16("b"), Ok(2));
        assert_eq!(r.u32("c"), Ok(3));
        assert_eq!(r.u64("d"), Ok(4));
        assert_eq!(r.sized("e", 2), Ok(&[0xaa, 0xbb][..]));
        assert_eq!(r.finish(), Ok(()));
    }

    #[test]
    fn refuses_truncation_at_every_width() {
        for bytes in [&[][..], &[0], &[0, 0, 0], &[0, 0, 0, 0, 0, 0, 0]] {
            let mut r = Reader::new("T", bytes);
            let outcome = match bytes.len() {
                0 => r.u8("f").map(u64::from),
                1 => r.u16("f").map(u64::from),
                3 => r.u32("f").map(u64::from),
                _ => r.u64("f"),
            };
            assert_eq!(outcome.unwrap_err().problem, WireProblem::Truncated { field: "f" });
        }
    }

    #[test]
    fn a_size_over_the_bound_is_refused_before_the_bytes_are_looked_at() {
        let error = Reader::new("T", &[0xff, 0xff]).sized("f", 64).unwrap_err();
        assert_eq!(error.problem, WireProblem::TooLong { field: "f", len: 0xffff, max: 64 });
        assert_eq!(error.to_string(), "reading T sent by the host: f claims 65535 bytes where 64 are allowed");
    }

    #[test]
    fn refuses_a_size_past_the_end_and_trailing_bytes() {
        let mut r = Reader::new("T", &[0, 3, 1, 2]);
        assert_eq!(r.sized("f", 64).unwrap_err().problem, WireProblem::Truncated { field: "f" });
        assert_eq!(Reader::new("T", &[9]).finish().unwrap_err().problem, WireProblem::Trailing { len: 1 });
    }
}
