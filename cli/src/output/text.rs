//! Text of others made fit for a terminal, and sizes for people.

use super::Style;

/// Text from the wire, fit to be printed: hosts are not trusted, and a control character could repaint the screen or
/// forge a line. Line ends and tabs become spaces; other control characters and those that turn the reading
/// direction (UAX #9) become `?`.
pub(crate) fn clean(text: &str) -> String {
    let fit = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '?',
        c if c.is_control() => '?',
        c => c,
    };
    text.chars().map(fit).collect()
}

/// Columns that text takes, colours not counted. What we print is one column a character.
pub(crate) fn width(text: &str) -> usize {
    Visible::of(text).filter(|piece| matches!(piece, Visible::Char(_))).count()
}

/// The text cut to `columns`, with its colours closed.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut room = columns;
    let mut painted = false;
    for piece in Visible::of(text) {
        match piece {
            Visible::Paint(sequence) => {
                painted = true;
                cut.push_str(sequence);
            }
            Visible::Char(_) if room == 0 => {}
            Visible::Char(c) => {
                room -= 1;
                cut.push(c);
            }
        }
    }
    if painted { cut + "\x1b[0m" } else { cut }
}

/// A size in the unit that needs the fewest digits.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if size >= unit {
            // Tenths in integers: exact, and no float to round wrong.
            let tenths = u128::from(size) * 10 / u128::from(unit);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{size} B")
}

/// `1 host`, `2 hosts`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The first names of many, and how many more there are: `a, b, c …and 23 more`.
pub(crate) fn few<T: AsRef<str>>(names: &[T], most: usize, style: Style) -> String {
    let shown = names.iter().take(most).map(|name| clean(name.as_ref())).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        hidden => format!("{shown} {}and {hidden} more", style.ellipsis()),
    }
}

/// A reason without the code for machines in front: `pcr_not_allowed: PCR 4 is …` is `PCR 4 is …`.
pub(crate) fn sentence(reason: &str) -> String {
    // A code of one word reads as a word, and so may an operator's own.
    let in_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let stands_in_front = |code: &str| code.contains('_') && code.bytes().all(in_code);
    let coded = reason.split_once(": ").filter(|(code, _)| stands_in_front(code));
    clean(coded.map_or(reason, |(_, sentence)| sentence))
}

/// A word of a command line for copying: quoted where a shell would read more into it.
pub(crate) fn argument(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    let word = clean(word);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A word of the wire as people write it: `rolled_back` is `rolled back`.
pub(crate) fn words(word: &str) -> String {
    clean(word).replace('_', " ")
}

/// The beginning of a digest or id: enough to recognise it, and to name it.
pub(crate) fn short(digest: &str) -> String {
    clean(&digest.chars().take(12).collect::<String>())
}

enum Visible<'a> {
    Char(char),
    Paint(&'a str),
}

impl<'a> Visible<'a> {
    /// Our own colour sequences are `ESC [ digits and ; m`.
    fn of(text: &'a str) -> impl Iterator<Item = Self> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            if first == '\x1b'
                && let Some(end) = rest.find('m')
            {
                let (sequence, after) = rest.split_at(end + 1);
                rest = after;
                return Some(Visible::Paint(sequence));
            }
            rest = rest.get(first.len_utf8()..).unwrap_or("");
            Some(Visible::Char(first))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_repaint_the_screen() {
        assert_eq!(clean("ok\n\x1b[2J✓ fine\t\u{202e}x"), "ok ?[2J✓ fine ?x");
    }

    #[test]
    fn colours_take_no_room() {
        let painted = "\x1b[31m✗ failed\x1b[0m now";
        assert_eq!(width(painted), 12);
        assert_eq!(fit(painted, 3), "\x1b[31m✗ f\x1b[0m\x1b[0m");
        assert_eq!(fit("plain", 9), "plain");
    }

    #[test]
    fn reasons_lose_their_codes_alone() {
        assert_eq!(sentence("pcr_not_allowed: PCR 4 is 1a2b"), "PCR 4 is 1a2b");
        assert_eq!(sentence("cleared: a false alarm"), "cleared: a false alarm");
        assert_eq!(sentence("since the host's first quote: x"), "since the host's first quote: x");
    }

    #[test]
    fn an_argument_survives_the_shell() {
        assert_eq!([argument("OPS-915"), argument("it's $HOME"), argument("")], ["OPS-915", r"'it'\''s $HOME'", "''"]);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([0, 1023, 1024, 1_600_000, 5 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 GiB"]);
    }
}
