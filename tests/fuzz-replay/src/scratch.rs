//! Inputs as files, for parsers that only read files.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A new folder that is gone when it is dropped. Where there is memory to put it in, it is in memory: a fuzzer makes
/// thousands a second.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap_or_else(|error| panic!("making a temporary folder: {error}"))
}

/// Writes a file below `folder`, and the folders it stands in.
pub(crate) fn write(folder: &Path, name: &str, contents: &[u8]) {
    let path = folder.join(name);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, contents));
    written.unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
}
