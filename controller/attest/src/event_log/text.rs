//! Words that a host wrote, made fit for a terminal: nothing in them can move a cursor, end a line or turn the text
//! around, and there is an end to them.

/// Longest text made of an event, in characters: more is not read, and belongs to whoever sent it.
pub(crate) const MAX_TEXT_CHARS: usize = 200;

/// The text with everything escaped that is not plainly visible, cut at `max` characters.
pub(crate) fn printable(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut room = max;
    for character in text.chars() {
        let escaped = escape(character);
        let Some(left) = room.checked_sub(escaped.chars().count()) else {
            out.push('…');
            break;
        };
        room = left;
        out.push_str(&escaped);
    }
    out
}

/// Whether a text can be shown as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    text.chars().all(|character| escape(character).chars().eq([character]))
}

/// ASCII stays, the backslash of a path too; beyond it the standard library knows what is visible.
fn escape(character: char) -> String {
    match character {
        ' '..='~' => character.to_string(),
        other => other.escape_debug().collect(),
    }
}

/// Text of event data: UTF-16 as firmware and systemd write it, or UTF-8 as GRUB does; with or without a NUL at its end.
/// None if it is neither, or empty.
pub(super) fn decode(data: &[u8]) -> Option<String> {
    let text = if matches!(data, [_, 0, ..]) {
        // An old systemd-boot logged an odd number of bytes.
        utf16(data.as_chunks::<2>().0.as_flattened())?
    } else {
        let end = data.iter().rposition(|byte| *byte != 0)?;
        let text = data.get(..=end).filter(|text| !text.contains(&0))?;
        std::str::from_utf8(text).ok()?.to_owned()
    };
    (!text.is_empty() && text.chars().any(char::is_alphanumeric)).then_some(text)
}

/// UTF-16, little endian, up to the first NUL or the end. None if it is not that.
pub(super) fn utf16(data: &[u8]) -> Option<String> {
    let (units, rest) = data.as_chunks::<2>();
    let units = units.iter().copied().map(u16::from_le_bytes).take_while(|unit| *unit != 0);
    let text = char::decode_utf16(units).collect::<Result<String, _>>().ok()?;
    rest.is_empty().then_some(text)
}

/// The first 12 hexadecimal digits of a digest, by which people compare.
pub(crate) fn short(digest: &[u8; 32]) -> String {
    let mut shown = hex::encode(digest);
    shown.truncate(12);
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_comes_through() {
        assert_eq!(printable("\\EFI\\debian", 99), "\\EFI\\debian");
        assert_eq!(printable("a\nb\u{1b}[2J\u{202e}é", 99), "a\\nb\\u{1b}[2J\\u{202e}é");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("ab\n", 3), "ab…");
        assert!(is_plain("BIOS 2.19 (é)") && !is_plain("a\tb") && !is_plain("\u{200b}"));
    }

    #[test]
    fn text_is_found_in_both_encodings() {
        assert_eq!(decode(b"grub_cmd: linux\0").as_deref(), Some("grub_cmd: linux"));
        assert_eq!(decode(b"a\0b\0\0\0").as_deref(), Some("ab"));
        assert_eq!(decode(b"a\0b\0c").as_deref(), Some("ab"));
        for none in [&b""[..], b"\0\0\0", &[0xff, 0xfe, 0xfd], b"xV4\0\0\x10", &[1, 2, 3, 4]] {
            assert_eq!(decode(none), None, "{none:?}");
        }
    }

    #[test]
    fn digests_are_shortened_to_twelve_digits() {
        assert_eq!(short(&[0x1a; 32]), "1a1a1a1a1a1a…");
    }
}
