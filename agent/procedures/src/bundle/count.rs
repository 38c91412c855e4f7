//! Counting the lines of a file, on all cores if it is long.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::lines::{self, BreakCounter, CONTEXT};

/// Bytes read at a time by each thread: large enough that the system call does not show, small enough that what was
/// read is still in the second-level cache when it is counted.
const BLOCK_LEN: usize = 64 << 10;

/// Bytes that a thread takes on at a time, at least. It counts them in less than a millisecond, so no thread waits long
/// for the last one.
const SEGMENT_LEN: u64 = 4 << 20;

/// Segments of a file at most, so that the list of their counts stays small whatever the file's size.
const MAX_SEGMENTS: u64 = 16 << 10;

/// Threads that count. Reading from the page cache is bound by the memory, which a few cores exhaust.
const MAX_THREADS: usize = 4;

/// The line breaks that end in the first `end` bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) breaks: u64,
    /// Bytes.
    pub(super) end: u64,
}

impl Count {
    /// Goes on counting up to `len` bytes, or to the end of the file if it is shorter by now.
    pub(super) fn extend(self, file: &File, len: u64) -> io::Result<Self> {
        let remaining = len.saturating_sub(self.end);
        let work = Work {
            file,
            start: self.end,
            len,
            segment_len: SEGMENT_LEN.max(remaining.div_ceil(MAX_SEGMENTS)),
            next: AtomicU64::new(0),
        };
        let segments = work.share(remaining.div_ceil(work.segment_len))?;
        let mut total = self;
        for segment in segments {
            total.breaks += segment.breaks;
            total.end += segment.read;
            if segment.read < segment.len {
                // The file was truncated meanwhile: what was counted behind its end is no part of it.
                break;
            }
        }
        Ok(total)
    }

    /// The lines of those bytes; what follows the last break is one.
    pub(super) fn lines(self, file: &File) -> io::Result<u64> {
        if self.end == 0 {
            return Ok(0);
        }
        let mut last = [0; CONTEXT + 1];
        let known = usize::try_from(self.end).unwrap_or(usize::MAX).min(last.len());
        let start = last.len() - known;
        let read = read_at(file, &mut last[start..], self.end - known as u64)?;
        // A file that has lost its end since it was counted leaves the question open: the end counts as a line.
        Ok(self.breaks + u64::from(read < known || !lines::ends_with_break(last)))
    }
}

/// A file to count, as all threads see it.
struct Work<'a> {
    file: &'a File,
    start: u64,
    len: u64,
    segment_len: u64,
    /// The first segment that nobody has taken on.
    next: AtomicU64,
}

struct Segment {
    index: u64,
    breaks: u64,
    /// Bytes that it was to have.
    len: u64,
    /// Bytes that it had.
    read: u64,
}

impl Work<'_> {
    /// All segments in their order, counted by as many threads as pays off, this one among them.
    fn share(&self, segments: u64) -> io::Result<Vec<Segment>> {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_THREADS);
        let others = threads.min(usize::try_from(segments).unwrap_or(usize::MAX)).saturating_sub(1);
        let mut counted = thread::scope(|scope| {
            // Where no thread can be had, the ones there are do its work.
            let others: Vec<_> = (0..others)
                .filter_map(|_| thread::Builder::new().spawn_scoped(scope, || self.count_segments()).ok())
                .collect();
            let mut counted = self.count_segments()?;
            for other in others {
                counted.append(&mut other.join().map_err(|_| io::Error::other("a counting thread panicked"))??);
            }
            Ok::<_, io::Error>(counted)
        })?;
        counted.sort_unstable_by_key(|segment| segment.index);
        Ok(counted)
    }

    fn count_segments(&self) -> io::Result<Vec<Segment>> {
        let mut counted = Vec::new();
        let mut buffer = vec![0; CONTEXT + BLOCK_LEN];
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let start = self.start.saturating_add(index.saturating_mul(self.segment_len));
            if start >= self.len {
                return Ok(counted);
            }
            let len = self.segment_len.min(self.len - start);
            counted.push(self.count_segment(index, start, len, &mut buffer)?);
        }
    }

    fn count_segment(&self, index: u64, start: u64, len: u64, buffer: &mut [u8]) -> io::Result<Segment> {
        let mut segment = Segment { index, breaks: 0, len, read: 0 };
        let mut counter = BreakCounter::default();
        buffer[..CONTEXT].fill(0);
        let known = usize::try_from(start).unwrap_or(usize::MAX).min(CONTEXT);
        if read_at(self.file, &mut buffer[CONTEXT - known..CONTEXT], start - known as u64)? < known {
            return Ok(segment);
        }
        while segment.read < len {
            let wanted = usize::try_from(len - segment.read).unwrap_or(usize::MAX).min(BLOCK_LEN);
            let read = read_at(self.file, &mut buffer[CONTEXT..CONTEXT + wanted], start + segment.read)?;
            segment.breaks += counter.count(&buffer[..CONTEXT + read]);
            segment.read += read as u64;
            if read < wanted {
                break;
            }
            buffer.copy_within(read..read + CONTEXT, 0);
        }
        Ok(segment)
    }
}

/// Fills the buffer from this place of the file on, as far as the file reaches; returns the bytes read.
pub(super) fn read_at(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(contents: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        file
    }

    #[test]
    fn breaks_across_segments_count_once() {
        let mut text = Vec::new();
        for line in 0..900_000_u32 {
            // Lengths that shift every break across the edges of blocks and segments.
            text.extend_from_slice(&b"0123456789abcdef"[..(line % 13) as usize]);
            text.extend_from_slice(["\n", "\r\n", "\u{2028}", "\u{85}", "\r"][line as usize % 5].as_bytes());
        }
        assert!(text.len() as u64 > SEGMENT_LEN);
        let file = file(&text);
        let len = text.len() as u64;
        let whole = Count::default().extend(&file, len).unwrap();
        assert_eq!(whole, Count { breaks: lines::split(&text).count() as u64, end: len });
        for first in [0, 1, 2, 65_535, SEGMENT_LEN - 1, SEGMENT_LEN, SEGMENT_LEN + 1, len - 1, len] {
            let parts = Count::default().extend(&file, first).unwrap().extend(&file, len).unwrap();
            assert_eq!(parts, whole, "in two parts, the first of {first} bytes");
        }
    }

    #[test]
    fn what_follows_the_last_break_is_a_line() {
        for (text, lines) in
            [("", 0), ("a", 1), ("\n", 1), ("a\r\n", 1), ("a\n\nb", 3), ("ż\u{2029}", 1), ("\u{a8}", 1)]
        {
            let file = file(text.as_bytes());
            let count = Count::default().extend(&file, text.len() as u64).unwrap();
            assert_eq!(count.lines(&file).unwrap(), lines, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_shrinks_ends_where_it_ends() {
        let file = file(&b"line\n".repeat(1000));
        let expected = Count { breaks: 1000, end: 5000 };
        assert_eq!(Count::default().extend(&file, 3 * SEGMENT_LEN).unwrap(), expected);
        file.set_len(12).unwrap();
        assert_eq!(Count::default().extend(&file, 5000).unwrap(), Count { breaks: 2, end: 12 });
        assert_eq!(expected.lines(&file).unwrap(), 1001);
    }
}
