//! The index of a package's chunks, beside the package.

use std::fs;
use std::io;

use flota_chunks::{Index, IndexError};
use flota_model::Digest;

use super::{BlobError, BlobFolder};
use crate::files;

impl BlobFolder {
    /// The encoded index of a whole blob, cut anew if it is not here or damaged; none if the blob is not here.
    pub fn index(&self, digest: &Digest) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.path(digest).with_extension("chunks");
        if let Ok(bytes) = fs::read(&path)
            && Index::decode(&bytes).is_ok_and(|index| index.digest() == *digest)
        {
            return Ok(Some(bytes));
        }
        let Some(file) = self.read(digest, 0)? else { return Ok(None) };
        let index = Index::of(io::BufReader::new(file)).map_err(cutting)?.encode();
        files::replace(&path, 0o600, &index)?;
        Ok(Some(index))
    }
}

fn cutting(error: IndexError) -> BlobError {
    BlobError::Io { doing: "cutting", source: io::Error::other(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_kept_and_mended() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobFolder::open(dir.path()).unwrap();
        let bytes = b"a package".repeat(50_000);
        let digest = Digest::of(&bytes);
        assert_eq!(blobs.index(&digest).unwrap(), None);
        let mut upload = blobs.upload(digest, bytes.len() as u64, 0).unwrap();
        upload.write(&bytes).unwrap();
        upload.finish().unwrap();
        let index = blobs.index(&digest).unwrap().unwrap();
        assert_eq!(Index::decode(&index).unwrap().size(), bytes.len() as u64);
        let path = blobs.path(&digest).with_extension("chunks");
        for damage in [&index[..100], b"", &Index::of(io::empty()).unwrap().encode()] {
            fs::write(&path, damage).unwrap();
            assert_eq!(blobs.index(&digest).unwrap().as_ref(), Some(&index));
            assert_eq!(fs::read(&path).unwrap(), index);
        }
    }
}
