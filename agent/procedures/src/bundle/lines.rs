//! Lines as Python's `str.splitlines` sees them: breaks counted at the speed of memory, and lines split off a text.
//!
//! Nothing is decoded: every break is an ASCII byte or begins with a lead byte, and at those a decoder starts afresh
//! after invalid UTF-8, so the breaks of the bytes are those of the decoded text.

/// The longest line break in bytes is U+2028's or U+2029's, so two bytes before the current one decide.
pub(super) const CONTEXT: usize = 2;

/// Bytes whose counts fit one `u8` each: what the compiler turns into whole-register arithmetic.
const LANE: usize = 128;

/// Bytes that are surveyed at once. Small enough to stay in the first-level cache if they must be looked at again.
const STRIDE: usize = 4096;

/// Strides that are counted the thorough way without a survey, once one has failed: breaks other than U+000A, and what
/// looks like their beginning, come in swarms.
const WARY_STRIDES: u32 = 15;

/// Counts line breaks in pieces of a text.
#[derive(Default)]
pub(super) struct BreakCounter {
    /// Strides still to be counted without a survey.
    wary: u32,
    registers: Registers,
}

/// How wide the registers are that the counting loops are compiled for. The loops are the same; a 64-bit Intel or AMD
/// processor of any age runs them on 16 bytes at a time, one with AVX2 on 32.
#[derive(Clone, Copy)]
enum Registers {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Default for Registers {
    fn default() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Baseline
    }
}

impl BreakCounter {
    /// The breaks that end after the first [`CONTEXT`] bytes of `bytes`, which are those before the piece, or zeros where
    /// the text begins. U+000D U+000A is one break, which ends with its first byte.
    pub(super) fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut breaks = 0;
        let mut start = CONTEXT;
        while start < bytes.len() {
            let stop = bytes.len().min(start + STRIDE);
            breaks += self.count_stride(&bytes[start - CONTEXT..stop]);
            start = stop;
        }
        breaks
    }

    fn count_stride(&mut self, bytes: &[u8]) -> u64 {
        if self.wary == 0 {
            if let Some(line_feeds) = self.registers.count_if_plain(bytes) {
                return line_feeds;
            }
            self.wary = WARY_STRIDES;
        }
        self.wary -= 1;
        self.registers.count_thoroughly(bytes)
    }
}

#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "code for some processors is called by code for all"))]
impl Registers {
    fn count_if_plain(self, bytes: &[u8]) -> Option<u64> {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn avx2(bytes: &[u8]) -> Option<u64> {
            count_if_plain(bytes)
        }
        match self {
            Self::Baseline => count_if_plain(bytes),
            // SAFETY: `Avx2` is made only where the processor was found to have it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(bytes) },
        }
    }

    fn count_thoroughly(self, bytes: &[u8]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn avx2(bytes: &[u8]) -> u64 {
            count_thoroughly(bytes)
        }
        match self {
            Self::Baseline => count_thoroughly(bytes),
            // SAFETY: `Avx2` is made only where the processor was found to have it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(bytes) },
        }
    }
}

/// Whether a text that ends with these bytes ends with a line break. Zeros stand before the beginning.
pub(super) fn ends_with_break([before, previous, last]: [u8; CONTEXT + 1]) -> bool {
    last == b'\n' || ends_break(last, previous, before)
}

/// The lines of a text in UTF-8, or nearly, without their breaks.
pub(super) fn split(text: &[u8]) -> Lines<'_> {
    Lines { rest: text }
}

/// See [`split`].
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let found = (0..self.rest.len()).find_map(|at| Some((at, break_len(&self.rest[at..])?)));
        let (end, len) = found.unwrap_or((self.rest.len(), 0));
        let line = &self.rest[..end];
        self.rest = &self.rest[end + len..];
        Some(line)
    }
}

/// The length of the break that the text begins with.
fn break_len(text: &[u8]) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] | [0xc2, 0x85, ..] => Some(2),
        [b'\n'..=b'\r' | 0x1c..=0x1e, ..] => Some(1),
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => Some(3),
        _ => None,
    }
}

/// Whether a break other than U+000A ends at `byte`, after `previous` and `before`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled once for each width of registers")]
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep the loop from working on whole registers")]
fn ends_break(byte: u8, previous: u8, before: u8) -> bool {
    let control = (byte.wrapping_sub(0x0b) <= 0x0d - 0x0b) | (byte.wrapping_sub(0x1c) <= 0x1e - 0x1c);
    let next_line = (byte == 0x85) & (previous == 0xc2);
    let separator = (byte & 0xfe == 0xa8) & (previous == 0x80) & (before == 0xe2);
    control | next_line | separator
}

/// The line feeds after the context; `None` if another break, or the beginning of one, may stand in the bytes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled once for each width of registers")]
fn count_if_plain(bytes: &[u8]) -> Option<u64> {
    let (context, bytes) = bytes.split_at(CONTEXT);
    let mut suspects = context.iter().fold(0, |found, byte| found | suspect(*byte));
    let mut line_feeds = 0;
    for lane in bytes.chunks(LANE) {
        let mut here: u8 = 0;
        for byte in lane {
            here += u8::from(*byte == b'\n');
            suspects |= suspect(*byte);
        }
        line_feeds += u64::from(here);
    }
    (suspects == 0).then_some(line_feeds)
}

/// 1 for U+000B to U+001E, which is every other ASCII break and some that are none, and for the bytes 0xC2 and 0xE2 that
/// the longer breaks begin with. Coarse on purpose: this test runs for every byte, and a false alarm costs one recount.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled once for each width of registers")]
fn suspect(byte: u8) -> u8 {
    u8::from(byte.wrapping_sub(0x0b) <= 0x1e - 0x0b) | u8::from(byte & 0xdf == 0xc2)
}

/// The breaks that end after the context.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled once for each width of registers")]
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep the loop from working on whole registers")]
fn count_thoroughly(bytes: &[u8]) -> u64 {
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
            here += u8::from(line_feed | ends_break(*byte, *previous, *before));
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
        let mut counter = BreakCounter::default();
        let mut text = vec![0; CONTEXT];
        text.extend_from_slice(bytes);
        let starts = (CONTEXT..text.len()).step_by(block_len);
        let breaks: u64 =
            starts.map(|start| counter.count(&text[start - CONTEXT..text.len().min(start + block_len)])).sum();
        let [.., before, previous, last] = text[..] else { return 0 };
        breaks + u64::from(!ends_with_break([before, previous, last]))
    }

    #[test]
    fn every_break_of_python_splits_and_nothing_else_does() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\u{1c}g\u{1d}h\u{1e}i\r\nj\rk\n\nl\u{1f}m\u{a0}n\u{2027}o";
        let lines = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "", "l\u{1f}m\u{a0}n\u{2027}o"];
        assert_eq!(split(text.as_bytes()).collect::<Vec<_>>(), lines.map(str::as_bytes));
        assert_eq!(split(b"").count(), 0);
        assert_eq!(split(b"\n\n").collect::<Vec<_>>(), [b"", b""]);
        assert_eq!(split(b"a\n").collect::<Vec<_>>(), [b"a"]);
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
            let expected = split(&bytes).count() as u64;
            // Decoding first, as Python does, changes nothing.
            assert_eq!(split(String::from_utf8_lossy(&bytes).as_bytes()).count() as u64, expected, "{bytes:?}");
            for block_len in [1, 2, 3, 5, 4096, 1 << 16] {
                assert_eq!(count(&bytes, block_len), expected, "{bytes:?} in blocks of {block_len}");
            }
        }
    }
}
