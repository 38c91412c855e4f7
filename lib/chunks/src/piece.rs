//! A chunk on its way: compressed where that helps.

use std::io::{self, Read as _};

use crate::index::MAX_CHUNK_BYTES;

/// Compression level: what a controller can do for a whole fleet without noticing.
const LEVEL: i32 = 3;
/// The chunk follows as it is.
const RAW: u8 = 0;
/// The chunk follows as one zstd frame (RFC 8878).
const ZSTD: u8 = 1;

/// Why a piece is not a chunk. The sender's fault, or the link's; another try may help.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// Neither of the two kinds.
    #[error("a piece of an unknown kind")]
    Kind,
    /// Not what zstd makes, or more of it than was announced.
    #[error("unpacking a piece")]
    Unpack(#[source] io::Error),
    /// Not as long as the index says.
    #[error("a piece of {found} bytes, where {expected} were announced")]
    Length {
        /// What came.
        found: usize,
        /// What was announced.
        expected: u32,
    },
}

/// Makes a piece of a chunk.
pub fn pack(chunk: &[u8]) -> io::Result<Vec<u8>> {
    let compressed = zstd::bulk::compress(chunk, LEVEL)?;
    let (kind, body) = if compressed.len() < chunk.len() { (ZSTD, compressed.as_slice()) } else { (RAW, chunk) };
    let mut piece = Vec::with_capacity(body.len() + 1);
    piece.push(kind);
    piece.extend_from_slice(body);
    Ok(piece)
}

/// Makes the chunk of `length` bytes of a piece again; never more of it.
pub fn unpack(piece: &[u8], length: u32) -> Result<Vec<u8>, PieceError> {
    let limit = u64::from(length.min(MAX_CHUNK_BYTES)) + 1;
    let chunk = match piece.split_first() {
        Some((&RAW, body)) => body.to_vec(),
        Some((&ZSTD, body)) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(PieceError::Unpack)?;
            let mut chunk = Vec::new();
            decoder.take(limit).read_to_end(&mut chunk).map_err(PieceError::Unpack)?;
            chunk
        }
        _ => return Err(PieceError::Kind),
    };
    if chunk.len() as u64 != u64::from(length) {
        return Err(PieceError::Length { found: chunk.len(), expected: length });
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::noise;

    #[test]
    fn a_chunk_comes_through_compressed_or_not() {
        for chunk in [vec![7; 100_000], noise(100_000, 3), Vec::new()] {
            let piece = pack(&chunk).unwrap();
            assert!(piece.len() <= chunk.len() + 1);
            assert_eq!(unpack(&piece, u32::try_from(chunk.len()).unwrap()).unwrap(), chunk);
        }
    }

    #[test]
    fn a_piece_that_is_something_else_is_refused() {
        let bomb = [&[ZSTD][..], &zstd::bulk::compress(&vec![0; 50_000_000], 19).unwrap()].concat();
        assert!(bomb.len() < 10_000);
        assert!(matches!(unpack(&bomb, 1000), Err(PieceError::Length { found: 1001, .. })));
        assert!(matches!(unpack(&[RAW, 1, 2], 3), Err(PieceError::Length { .. })));
        assert!(matches!(unpack(&[ZSTD, 1, 2], 3), Err(PieceError::Unpack(_))));
        assert!(matches!(unpack(&[9], 0), Err(PieceError::Kind)));
        assert!(matches!(unpack(&[], 0), Err(PieceError::Kind)));
    }
}
