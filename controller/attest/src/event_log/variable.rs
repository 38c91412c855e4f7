//! `UEFI_VARIABLE_DATA` (PC Client Platform Firmware Profile 1.05, section 10.4.1.1): a variable as it was measured.

use std::fmt;

use super::bytes::Bytes;
use super::text;

/// Longest name that is read, in characters. The longest of the UEFI specification has 31.
const MAX_NAME_CHARS: usize = 128;

/// A variable of the firmware.
#[derive(Debug)]
pub(super) struct Variable<'a> {
    pub(super) vendor: Guid,
    pub(super) name: String,
    pub(super) value: &'a [u8],
}

impl<'a> Variable<'a> {
    /// Parses a variable that fills the data; none if it does not.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        Self::parse_prefix(data).filter(|(_, rest)| rest.is_empty()).map(|(variable, _)| variable)
    }

    /// Parses a variable, and gives what follows it: a shim before 15.3 says a length that is six bytes too short.
    pub(super) fn parse_prefix(data: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut bytes = Bytes::new(data);
        let vendor = Guid(bytes.array()?);
        let name_chars = usize::try_from(bytes.u64()?).ok().filter(|chars| *chars <= MAX_NAME_CHARS)?;
        let value_bytes = bytes.u64()?;
        let name = text::utf16(bytes.take(name_chars.checked_mul(2)?)?)?;
        let value = bytes.take_u64(value_bytes)?;
        Some((Self { vendor, name, value }, bytes.rest()))
    }

    /// Whether it is the variable of that name of the UEFI specification, not a namesake.
    pub(super) fn is_global(&self, name: &str) -> bool {
        self.vendor == Guid::GLOBAL && self.name == name
    }
}

/// A GUID as it is in memory: its first three fields are little endian (UEFI 2.10, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guid(pub(super) [u8; 16]);

impl Guid {
    /// `EFI_GLOBAL_VARIABLE`, 8be4df61-93ca-11d2-aa0d-00e098032b8c.
    pub(super) const GLOBAL: Self =
        Self([0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c]);
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, rest @ ..] = self.0;
        let (a, b, c) =
            (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d0:02x}{d1:02x}-{}", hex::encode(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_people_know_it() {
        assert_eq!(Guid::GLOBAL.to_string(), "8be4df61-93ca-11d2-aa0d-00e098032b8c");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut data = Guid::GLOBAL.0.to_vec();
        data.extend_from_slice(&1_u64.to_le_bytes());
        data.extend_from_slice(&2_u64.to_le_bytes());
        data.extend_from_slice(&[b'A', 0, 7, 8]);
        let variable = Variable::parse(&data).unwrap();
        assert!(variable.is_global("A") && variable.value == [7, 8]);
        for (at, byte) in [(16, 200), (23, 0xff), (24, 3), (24, 1), (31, 0xff)] {
            let mut lie = data.clone();
            lie[at] = byte;
            assert!(Variable::parse(&lie).is_none(), "byte {at} is {byte}");
        }
        assert!((0..data.len()).all(|len| Variable::parse(&data[..len]).is_none()));
    }
}
