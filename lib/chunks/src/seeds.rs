//! Chunks that lie on this host already.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use flota_model::Digest;

use crate::index::{Chunk, Index};

/// Deepest folder that is looked into; packages are not that deep.
const MAX_DEPTH: usize = 64;

/// Where wanted chunks are found.
#[derive(Debug, Default)]
pub struct Seeds {
    files: Vec<PathBuf>,
    places: HashMap<Digest, (usize, Chunk)>,
}

impl Seeds {
    /// Looks through all regular files below these folders for chunks of `wanted`. What cannot be read is passed over: a
    /// seed that is missing costs a transfer and nothing else.
    pub fn scan(folders: &[PathBuf], wanted: &Index) -> Self {
        let wanted: HashSet<Digest> = wanted.chunks().iter().map(|chunk| chunk.digest).collect();
        let mut seeds = Self::default();
        for folder in folders {
            seeds.look_into(folder, &wanted, MAX_DEPTH);
        }
        seeds
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The bytes of a chunk; `None` if there is none, or the file was changed since.
    pub fn bytes(&self, chunk: &Chunk) -> Option<Vec<u8>> {
        let (file, place) = self.places.get(&chunk.digest)?;
        let mut bytes = vec![0; usize::try_from(place.length).ok()?];
        File::open(self.files.get(*file)?).ok()?.read_exact_at(&mut bytes, place.offset).ok()?;
        (Digest::of(&bytes) == chunk.digest).then_some(bytes)
    }

    fn look_into(&mut self, folder: &Path, wanted: &HashSet<Digest>, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            match entry.file_type() {
                // Links are not followed: what they lead to may be anything.
                Ok(kind) if kind.is_file() => {
                    let _unreadable = self.look_through(entry.path(), wanted);
                }
                Ok(kind) if kind.is_dir() && depth > 0 => self.look_into(&entry.path(), wanted, depth - 1),
                _ => {}
            }
        }
    }

    fn look_through(&mut self, path: PathBuf, wanted: &HashSet<Digest>) -> io::Result<()> {
        let index = Index::of(File::open(&path)?).map_err(io::Error::other)?;
        let number = self.files.len();
        for chunk in index.chunks().iter().filter(|chunk| wanted.contains(&chunk.digest)) {
            self.places.entry(chunk.digest).or_insert((number, *chunk));
        }
        self.files.push(path);
        Ok(())
    }
}
