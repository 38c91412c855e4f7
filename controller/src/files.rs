//! Small files of the data folder: read whole, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}", path.display())]
pub struct FileError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { doing, path: path.to_owned(), source }
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(failed("reading", path))
}

/// Creates a file durably; refuses to replace one.
pub fn create(path: &Path, mode: u32, contents: &[u8]) -> Result<(), FileError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed("creating", path))?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed("writing", path))?;
    sync_parent(path)
}

/// Replaces a file durably: readers see the old contents or the new.
pub fn replace(path: &Path, mode: u32, contents: &[u8]) -> Result<(), FileError> {
    let temporary = path.with_extension("tmp");
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary);
    let mut file = open.map_err(failed("creating", &temporary))?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed("writing", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("replacing", path))?;
    sync_parent(path)
}

/// Puts a line at the end of a file, durably. What a kill left of a line before it stays a line of its own.
pub fn append_line(path: &Path, line: &str) -> Result<(), FileError> {
    let open = OpenOptions::new().read(true).append(true).create(true).mode(0o644).open(path);
    let mut file = open.map_err(failed("opening", path))?;
    let torn = is_torn(&mut file).map_err(failed("reading", path))?;
    let text = if torn { format!("\n{line}\n") } else { format!("{line}\n") };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("writing", path))
}

/// Whether it does not end with the end of a line.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Makes a folder that only its owner can read, if it is not there.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
    builder.create(path).map_err(failed("creating folder", path))
}

/// Removes a folder with everything in it.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    fs::remove_dir_all(path).map_err(failed("removing folder", path))
}

/// Renames durably; what is at the destination must not matter.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(failed("renaming", from))?;
    sync_parent(to)
}

/// The folder that `path` is in; of a name alone that is where the process is.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename or a creation in the folder of `path` durable.
pub fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = parent(path);
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed("syncing folder", parent))
}
