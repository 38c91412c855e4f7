//! Puts a file together, chunk by chunk from its beginning.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use flota_model::Digest;

use crate::index::{Chunk, Index};
use crate::piece::{PieceError, unpack};
use crate::seeds::Seeds;

/// Chunks that are asked for at once: a few megabytes, so that what has come is soon on disk.
const RUN_CHUNKS: usize = 64;

/// Why a chunk was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The disk of this host. Trying again helps once there is room.
    #[error("writing the file")]
    Io(#[from] io::Error),
    /// The piece is none of that chunk. Trying again may help.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// The piece is of another content than the index says. Trying again may help.
    #[error("a chunk has the digest {found}, and {expected} was announced")]
    Digest {
        /// What came.
        found: String,
        /// What was announced.
        expected: String,
    },
    /// The sender sent another chunk than the next.
    #[error("chunk {found} came, where {expected} was next")]
    Order {
        /// What came.
        found: usize,
        /// What was next.
        expected: usize,
    },
}

/// Chunks to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first, from 0.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// Where the bytes came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Were in the unfinished file already.
    pub resumed: u64,
    /// Were on this host, in other files.
    pub reused: u64,
    /// Came over the wire, as they are in the file.
    pub fetched: u64,
    /// Came over the wire, as they were sent.
    pub received: u64,
}

/// A file that is being put together.
#[derive(Debug)]
pub struct Assembly {
    index: Index,
    file: File,
    next: usize,
    tally: Tally,
}

impl Assembly {
    /// Begins, or goes on with what is at `path`: as many whole chunks of it as are right are kept, the rest is cut off.
    pub fn open(index: Index, path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (mut next, mut end) = (0, 0);
        let mut buffer = Vec::new();
        for chunk in index.chunks() {
            buffer.resize(usize::try_from(chunk.length).unwrap_or(0), 0);
            if file.read_exact(&mut buffer).is_err() || Digest::of(&buffer) != chunk.digest {
                break;
            }
            next += 1;
            end = chunk.offset.saturating_add(u64::from(chunk.length));
        }
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(Self { index, file, next, tally: Tally { resumed: end, ..Tally::default() } })
    }

    /// Takes the next chunks from this host, as many as there are in a row.
    pub fn take(&mut self, seeds: &Seeds) -> io::Result<()> {
        while let Some(chunk) = self.wanted() {
            let Some(bytes) = seeds.bytes(&chunk) else { return Ok(()) };
            self.append(&bytes)?;
            self.tally.reused = self.tally.reused.saturating_add(bytes.len() as u64);
        }
        Ok(())
    }

    /// The next chunks to ask for: up to one that this host has. `None`: all are here.
    pub fn missing(&self, seeds: &Seeds) -> Option<Run> {
        let rest = self.index.chunks().get(self.next..).filter(|rest| !rest.is_empty())?;
        let run = rest.iter().take(RUN_CHUNKS).skip(1).take_while(|chunk| seeds.bytes(chunk).is_none());
        Some(Run { first: self.next, count: run.count().saturating_add(1) })
    }

    /// The chunks of a run.
    pub fn chunks(&self, run: Run) -> &[Chunk] {
        let rest = self.index.chunks().get(run.first..).unwrap_or_default();
        rest.get(..run.count).unwrap_or(rest)
    }

    /// Takes a piece that came over the wire.
    pub fn accept(&mut self, number: usize, piece: &[u8]) -> Result<(), AssemblyError> {
        let Some(chunk) = self.wanted().filter(|_| number == self.next) else {
            return Err(AssemblyError::Order { found: number, expected: self.next });
        };
        let bytes = unpack(piece, chunk.length)?;
        let found = Digest::of(&bytes);
        if found != chunk.digest {
            return Err(AssemblyError::Digest { found: found.short(), expected: chunk.digest.short() });
        }
        self.append(&bytes)?;
        self.tally.fetched = self.tally.fetched.saturating_add(bytes.len() as u64);
        self.tally.received = self.tally.received.saturating_add(piece.len() as u64);
        Ok(())
    }

    /// Where the bytes came from so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Has the disk take all of it.
    pub fn finish(self) -> io::Result<Tally> {
        self.file.sync_all()?;
        Ok(self.tally)
    }

    fn wanted(&self) -> Option<Chunk> {
        self.index.chunks().get(self.next).copied()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.next = self.next.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
