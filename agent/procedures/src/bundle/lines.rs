//! Lines as Python's `str.splitlines` sees them: counted in a stream at the speed of the disk, and split in a text.

/// The longest line break in bytes is U+2028's or U+2029's, so two bytes before the current one decide.
const CONTEXT: usize = 2;

/// Bytes whose counts fit one `u8` each: what the compiler turns into whole-register arithmetic.
const LANE: usize = 128;

/// Bytes that are looked at twice when a break other than U+000A is near. Small enough to stay in the first-level cache
/// in between.
const STRIDE: usize = 4096;

/// Counts lines of a stream that arrives in blocks, without decoding it.
///
/// Decoding would change nothing: every break is an ASCII byte or begins with a lead byte, and at those a decoder
/// starts afresh after invalid UTF-8.
pub(super) struct LineCounter {
    breaks: u64,
    /// [`CONTEXT`] bytes of the previous block, then the current one.
    buffer: Box<[u8]>,
    /// Whether something follows the last break.
    open: bool,
}

impl LineCounter {
    /// A counter for blocks of up to `block_len` bytes.
    pub(super) fn new(block_len: usize) -> Self {
        Self { breaks: 0, buffer: vec![0; CONTEXT + block_len].into_boxed_slice(), open: false }
    }

    /// Where to put the next block.
    pub(super) fn block(&mut self) -> &mut [u8] {
        &mut self.buffer[CONTEXT..]
    }

    /// Counts the first `len` bytes of the block.
    pub(super) fn count(&mut self, len: usize) {
        let end = CONTEXT + len;
        let mut start = CONTEXT;
        while start < end {
            let stop = end.min(start + STRIDE);
            let survey = survey(&self.buffer[start - CONTEXT..start], &self.buffer[start..stop]);
            self.breaks += if survey.only_line_feeds {
                survey.line_feeds
            } else {
                count_breaks(&self.buffer[start - CONTEXT..stop])
            };
            start = stop;
        }
        // An empty block leaves only the context, which is too short to match.
        if let [.., before, previous, last] = self.buffer[..end] {
            self.open = last != b'\n' && !ends_line(last, previous, before);
        }
        self.buffer.copy_within(len..end, 0);
    }

    /// Lines so far; what follows the last break is one.
    pub(super) fn lines(&self) -> u64 {
        self.breaks + u64::from(self.open)
    }
}

/// The lines of a text, without their breaks.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((at, found)) = rest.char_indices().find(|(_, character)| is_break(*character)) {
        lines.push(&rest[..at]);
        rest = &rest[at + found.len_utf8()..];
        if found == '\r' {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn is_break(character: char) -> bool {
    matches!(character, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a break other than U+000A ends at `byte`, after `previous` and `before`.
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep the loop from working on whole registers")]
fn ends_line(byte: u8, previous: u8, before: u8) -> bool {
    let control = (byte.wrapping_sub(0x0b) <= 0x0d - 0x0b) | (byte.wrapping_sub(0x1c) <= 0x1e - 0x1c);
    let next_line = (byte == 0x85) & (previous == 0xc2);
    let separator = (byte & 0xfe == 0xa8) & (previous == 0x80) & (before == 0xe2);
    control | next_line | separator
}

struct Survey {
    line_feeds: u64,
    /// No other break, nor the start of one, stands in the bytes or right before them.
    only_line_feeds: bool,
}

fn survey(context: &[u8], bytes: &[u8]) -> Survey {
    let mut line_feeds = 0;
    let mut suspects = context.iter().fold(0, |found, byte| found | suspect(*byte));
    for lane in bytes.chunks(LANE) {
        let mut here: u8 = 0;
        for byte in lane {
            here += u8::from(*byte == b'\n');
            suspects |= suspect(*byte);
        }
        line_feeds += u64::from(here);
    }
    Survey { line_feeds, only_line_feeds: suspects == 0 }
}

/// 1 for U+000B to U+001E, which is every other ASCII break and some that are none, and for the bytes 0xC2 and 0xE2 that
/// the longer breaks begin with. Coarse on purpose: this test runs for every byte, and a false alarm costs one recount.
fn suspect(byte: u8) -> u8 {
    u8::from(byte.wrapping_sub(0x0b) <= 0x1e - 0x0b) | u8::from(byte & 0xdf == 0xc2)
}

/// Counts the breaks that end after the first [`CONTEXT`] bytes; U+000D U+000A is one.
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep the loop from working on whole registers")]
fn count_breaks(bytes: &[u8]) -> u64 {
    let mut breaks = 0;
    let mut start = CONTEXT;
    while start < bytes.len() {
        let stop = bytes.len().min(start + LANE);
        let lane = &bytes[start..stop];
        let previous = &bytes[start - 1..stop - 1];
        let before = &bytes[start - 2..stop - 2];
        let mut here: u8 = 0;
        for ((byte, previous), before) in lane.iter().zip(previous).zip(before) {
            let line_feed = (*byte == b'\n') & (*previous != b'\r');
            here += u8::from(line_feed | ends_line(*byte, *previous, *before));
        }
        breaks += u64::from(here);
        start = stop;
    }
    breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(bytes: &[u8], block_len: usize) -> u64 {
        let mut counter = LineCounter::new(block_len);
        for block in bytes.chunks(block_len) {
            counter.block()[..block.len()].copy_from_slice(block);
            counter.count(block.len());
        }
        counter.count(0);
        counter.lines()
    }

    #[test]
    fn every_break_of_python_splits_and_nothing_else_does() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\u{1c}g\u{1d}h\u{1e}i\r\nj\rk\n\nl\u{1f}m\u{a0}n\u{2027}o";
        let lines = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "", "l\u{1f}m\u{a0}n\u{2027}o"];
        assert_eq!(split(text), lines);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("\n\n"), ["", ""]);
        assert_eq!(split("a\n"), ["a"]);
    }

    #[test]
    fn the_count_is_that_of_the_split_wherever_blocks_are_cut() {
        const PIECES: [&[u8]; 16] = [
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\r",
            b"\x0b",
            b"\x1c",
            b"\x1f",
            b"x",
            b"\xc2\x85",
            b"\xe2\x80\xa8",
            b"\xe2\x80\xa9",
            b"\xe2\x80\xaa",
            b"\xe2\x80",
            b"\xc2",
            b"\xa8",
            b"\xff plain",
        ];
        let mut state = 1_u32;
        for round in 0..2000 {
            let mut bytes = Vec::new();
            // Some rounds are longer than a stride and mostly plain, so that both ways of counting meet.
            let (pieces, filler) = if round % 50 == 0 { (400, 30) } else { (round % 12, 0) };
            for _ in 0..pieces {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bytes.extend(std::iter::repeat_n(b'.', filler));
                bytes.extend_from_slice(PIECES[(state >> 28) as usize]);
            }
            let expected = split(&String::from_utf8_lossy(&bytes)).len() as u64;
            for block_len in [1, 2, 3, 5, 4096, 1 << 16] {
                assert_eq!(count(&bytes, block_len), expected, "{bytes:?} in blocks of {block_len}");
            }
        }
    }
}
