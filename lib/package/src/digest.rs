//! SHA-256 and SHA-384 of a stream that is read once.
//!
//! Short streams are hashed where they are read: callers run many at a time. For a long one, SHA-384 moves to a thread of
//! its own: it is the slower one, so that one big file costs no more than it, reading and SHA-256 included.

mod sha384;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use sha2::{Digest as _, Sha256};

use sha384::Sha384;

/// Bytes read at a time: big enough to make system calls cheap, small enough to stay in the second-level cache.
const BLOCK_BYTES: usize = 256 << 10;

/// A stream longer than this gets a second thread; below, starting one costs more than it saves.
const LONG_BYTES: u64 = 4 << 20;

/// Blocks in flight to the second thread; with [`BLOCK_BYTES`] this bounds the memory of one stream to 1 MiB and a half.
const BLOCKS_IN_FLIGHT: usize = 4;

/// Which digests are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Sha256,
    Sha384,
    Both,
}

/// What a stream turned out to be. A digest that was not asked for is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFacts {
    pub(super) size: u64,
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) sha384: Option<[u8; 48]>,
}

/// Hashes streams, one after another, with one buffer.
#[derive(Debug)]
pub(super) struct Digester {
    block: Vec<u8>,
}

impl Digester {
    pub(super) fn new() -> Self {
        Self { block: vec![0; BLOCK_BYTES] }
    }

    /// Reads `reader` to its end. Each block is also shown to `sink` (an unpack writes it), before the next one is read.
    pub(super) fn digest(
        &mut self,
        reader: &mut dyn Read,
        wanted: Wanted,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<FileFacts> {
        let mut hashers = Hashers::new(wanted);
        let mut size = 0;
        while size < LONG_BYTES || wanted == Wanted::Sha256 {
            let read = read_block(reader, &mut self.block)?;
            if read == 0 {
                return Ok(hashers.finish(size));
            }
            size += read as u64;
            hashers.update(&self.block[..read]);
            sink(&self.block[..read])?;
        }
        digest_rest_on_two_threads(reader, hashers, size, sink)
    }
}

#[derive(Debug)]
struct Hashers {
    sha256: Option<Sha256>,
    sha384: Option<Sha384>,
}

impl Hashers {
    fn new(wanted: Wanted) -> Self {
        Self {
            sha256: (wanted != Wanted::Sha384).then(Sha256::new),
            sha384: (wanted != Wanted::Sha256).then(Sha384::new),
        }
    }

    fn update(&mut self, block: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(block);
        }
        if let Some(sha384) = &mut self.sha384 {
            sha384.update(block);
        }
    }

    fn finish(self, size: u64) -> FileFacts {
        FileFacts {
            size,
            sha256: self.sha256.map(|hasher| hasher.finalize().into()),
            sha384: self.sha384.map(Sha384::finalize),
        }
    }
}

fn digest_rest_on_two_threads(
    reader: &mut dyn Read,
    mut hashers: Hashers,
    mut size: u64,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<FileFacts> {
    let sha384 = hashers.sha384.take().unwrap_or_else(Sha384::new);
    std::thread::scope(|scope| {
        let (send, blocks) = sync_channel::<Arc<Vec<u8>>>(BLOCKS_IN_FLIGHT);
        let helper = scope.spawn(move || hash_blocks(sha384, &blocks));
        let mut in_flight = VecDeque::new();
        loop {
            let mut block = reusable_block(&mut in_flight);
            block.resize(BLOCK_BYTES, 0);
            let read = read_block(reader, &mut block)?;
            if read == 0 {
                break;
            }
            size += read as u64;
            block.truncate(read);
            let block = Arc::new(block);
            if send.send(Arc::clone(&block)).is_err() {
                break; // the thread is gone: the join below says so
            }
            hashers.update(&block);
            sink(&block)?;
            in_flight.push_back(block);
        }
        drop(send);
        let sha384 = helper.join().map_err(|_| io::Error::other("the hashing thread died"))?;
        hashers.sha384 = Some(sha384);
        Ok(hashers.finish(size))
    })
}

fn hash_blocks(mut sha384: Sha384, blocks: &Receiver<Arc<Vec<u8>>>) -> Sha384 {
    for block in blocks {
        sha384.update(block.as_slice());
    }
    sha384
}

/// The oldest block if the other thread is done with it, else a new one.
fn reusable_block(in_flight: &mut VecDeque<Arc<Vec<u8>>>) -> Vec<u8> {
    if in_flight.len() <= BLOCKS_IN_FLIGHT {
        return Vec::with_capacity(BLOCK_BYTES);
    }
    in_flight.pop_front().and_then(|block| Arc::try_unwrap(block).ok()).unwrap_or_default()
}

/// Fills `block` unless the stream ends: decompressors hand out small pieces, which hash slowly.
fn read_block(reader: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match reader.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_streams_give_the_digests_of_the_whole() {
        for size in [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 17 * BLOCK_BYTES + 7, 40 * BLOCK_BYTES] {
            let data: Vec<u8> = (0..size).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
            let mut seen = 0;
            let facts = Digester::new()
                .digest(&mut data.as_slice(), Wanted::Both, &mut |block| {
                    seen += block.len();
                    Ok(())
                })
                .unwrap();
            assert_eq!(seen, size);
            assert_eq!(facts.size, size as u64);
            assert_eq!(facts.sha256, Some(Sha256::digest(&data).into()));
            assert_eq!(facts.sha384, Some(sha2::Sha384::digest(&data).into()));
        }
    }

    #[test]
    fn only_what_is_asked_for_is_computed() {
        let facts = Digester::new().digest(&mut &b"x"[..], Wanted::Sha384, &mut |_| Ok(())).unwrap();
        assert!(facts.sha256.is_none() && facts.sha384.is_some());
    }

    #[test]
    fn a_failing_sink_ends_a_long_stream() {
        let mut left = 20;
        let error = Digester::new()
            .digest(&mut io::repeat(0), Wanted::Both, &mut |_| {
                left -= 1;
                if left == 0 { Err(io::Error::other("full")) } else { Ok(()) }
            })
            .unwrap_err();
        assert_eq!(error.to_string(), "full");
    }
}
