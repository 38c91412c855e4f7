//! Which chunks a file consists of.

use std::io::{self, Read};

use fastcdc::v2020::StreamCDC;
use flota_model::Digest;
use sha2::{Digest as _, Sha256};

/// Smallest chunk, but for the last: below this the list would weigh more than it saves.
const MIN_CHUNK_BYTES: u32 = 16 << 10;
/// Chunks are about so large: a change in one place costs one or two of them, and a file of 1 GiB has 16,000.
const AVERAGE_CHUNK_BYTES: u32 = 64 << 10;
/// Largest chunk, in bytes: what a cut of the link may cost, and what one is held in memory for.
pub const MAX_CHUNK_BYTES: u32 = 256 << 10;
/// Largest file, in bytes: as large as a blob may be.
pub const MAX_FILE_BYTES: u64 = 8 << 30;
/// Largest encoded index, in bytes: one of the largest file, all of whose chunks are of the smallest size.
pub const MAX_INDEX_BYTES: usize = HEADER_BYTES + ENTRY_BYTES * ((8 << 30) / (16 << 10) + 1);

/// Tells an index from anything else, and one version of them from the next.
const MAGIC: [u8; 8] = *b"FLCHUNK1";
const HEADER_BYTES: usize = MAGIC.len() + 8 + 32;
const ENTRY_BYTES: usize = 4 + 32;

/// A chunk of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes, from 1 to [`MAX_CHUNK_BYTES`].
    pub length: u32,
    /// SHA-256 of it.
    pub digest: Digest,
}

/// The chunks of a file, in order, without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    size: u64,
    digest: Digest,
    chunks: Vec<Chunk>,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file cannot be read.
    #[error("reading the file")]
    Read(#[source] io::Error),
    /// The file is too large.
    #[error("the file has more than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// The bytes are no index: the sender's fault.
    #[error("what was sent is no list of chunks: {0}")]
    Malformed(&'static str),
}

impl Index {
    /// Cuts a file, read once from its beginning, in the memory of one chunk.
    pub fn of(file: impl Read) -> Result<Self, IndexError> {
        let (mut whole, mut chunks, mut size) = (Sha256::new(), Vec::new(), 0_u64);
        for cut in StreamCDC::new(file, MIN_CHUNK_BYTES, AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES) {
            let data = cut.map_err(|error| IndexError::Read(error.into()))?.data;
            whole.update(&data);
            let length = u32::try_from(data.len()).map_err(|_| IndexError::TooLarge)?;
            chunks.push(Chunk { offset: size, length, digest: Digest::of(&data) });
            size = size.saturating_add(u64::from(length));
            if size > MAX_FILE_BYTES {
                return Err(IndexError::TooLarge);
            }
        }
        Ok(Self { size, digest: Digest::from_bytes(whole.finalize().into()), chunks })
    }

    /// Size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its chunks.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// As bytes: magic, size, digest, then length and digest of each chunk; numbers big-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + ENTRY_BYTES * self.chunks.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(self.digest.as_bytes());
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk.length.to_be_bytes());
            bytes.extend_from_slice(chunk.digest.as_bytes());
        }
        bytes
    }

    /// Reads it back. Whether it tells the truth about a file is seen when that file is put together.
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let malformed = IndexError::Malformed;
        if bytes.len() > MAX_INDEX_BYTES {
            return Err(malformed("it is too long"));
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(malformed("it does not begin as one"))?;
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(malformed("it is cut short"))?;
        let (digest, rest) = rest.split_first_chunk::<32>().ok_or(malformed("it is cut short"))?;
        let (entries, tail) = rest.as_chunks::<ENTRY_BYTES>();
        if !tail.is_empty() {
            return Err(malformed("it is cut short"));
        }
        let (mut chunks, mut offset) = (Vec::with_capacity(entries.len()), 0_u64);
        for entry in entries {
            let (length, digest) = entry.split_first_chunk::<4>().ok_or(malformed("it is cut short"))?;
            let length = u32::from_be_bytes(*length);
            if length == 0 || length > MAX_CHUNK_BYTES {
                return Err(malformed("a chunk has no length that one can have"));
            }
            let digest = <[u8; 32]>::try_from(digest).map_err(|_| malformed("it is cut short"))?;
            chunks.push(Chunk { offset, length, digest: Digest::from_bytes(digest) });
            offset = offset.saturating_add(u64::from(length));
        }
        let size = u64::from_be_bytes(*size);
        if size != offset || size > MAX_FILE_BYTES {
            return Err(malformed("its chunks are not as long as its file"));
        }
        Ok(Self { size, digest: Digest::from_bytes(*digest), chunks })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that look random and are the same each time.
    pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn an_index_lists_the_file_without_gaps_and_reads_back() {
        for length in [0, 1, 1000, 16 << 10, 3_000_000] {
            let file = noise(length, 7);
            let index = Index::of(file.as_slice()).unwrap();
            assert_eq!((index.size(), index.digest()), (length as u64, Digest::of(&file)));
            let mut end = 0;
            for chunk in index.chunks() {
                assert_eq!(chunk.offset, end);
                end += u64::from(chunk.length);
                let range = usize::try_from(chunk.offset).unwrap()..usize::try_from(end).unwrap();
                assert_eq!(chunk.digest, Digest::of(&file[range]));
            }
            assert_eq!(end, length as u64);
            assert_eq!(Index::decode(&index.encode()).unwrap(), index);
        }
    }

    /// Hosts and controllers of different versions must cut alike, or nothing is found again.
    #[test]
    fn cuts_are_where_they_were() {
        let index = Index::of(noise(1 << 20, 7).as_slice()).unwrap();
        let lengths: Vec<u32> = index.chunks().iter().map(|chunk| chunk.length).collect();
        let expected = [68963, 84074, 16730, 90823, 70082, 30203, 102_674, 57314, 62782, 95417, 98305, 211_012, 60197];
        assert_eq!(lengths, expected);
    }

    #[test]
    fn what_cannot_be_an_index_is_refused() {
        let whole = Index::of(noise(200_000, 1).as_slice()).unwrap().encode();
        for length in 0..whole.len() {
            assert!(Index::decode(&whole[..length]).is_err(), "{length} bytes");
        }
        let longer = [&whole[..], &[0; ENTRY_BYTES]].concat();
        assert!(Index::decode(&longer).is_err());
        let mut endless = whole.clone();
        endless[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Index::decode(&endless).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), keep in any::<bool>()) {
            let mut bytes = bytes;
            if keep && bytes.len() >= MAGIC.len() {
                bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
            }
            if let Ok(index) = Index::decode(&bytes) {
                prop_assert_eq!(index.encode(), bytes);
            }
        }
    }
}
