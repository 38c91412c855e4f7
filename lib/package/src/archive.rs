//! What the kinds of archive have in common: entries one after another, and why one cannot be read.

use std::io::{self, Read};

use super::limits::MAX_EXTENSION_BYTES;
use super::tape::Tape;
use super::zip::Zip;

/// An archive of either family, read entry by entry; nothing is written.
pub(super) enum Archive<'a> {
    /// A tar stream, decompressed on the fly.
    Tar(Tape<Box<dyn Read + Send + 'a>>),
    /// A zip file, read through its central directory.
    Zip(Zip<'a>),
}

/// What an entry of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Folder,
    /// A kind that no package may hold, named with its article for a message: `a symbolic link`, `a device`, …
    Forbidden(&'static str),
}

/// One entry; its data is what [`Archive::read`] gives until it says the end.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: EntryKind,
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// Why an archive cannot be read to its end. The package has to be built or fetched again.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading or decompressing it failed; a cut file ends up here too.
    #[error("the archive is cut short or damaged, or reading it failed")]
    Read(#[source] io::Error),
    /// A header does not match its own checksum: this is not a tar archive, or it is damaged.
    #[error("a tar header at byte {0} of the unpacked stream is damaged")]
    Header(u64),
    /// The directory of a zip file, or a header it points at, is damaged or cut short.
    #[error("the directory of the zip archive is damaged or cut short")]
    Directory(#[source] rawzip::Error),
    /// A zip file whose parts contradict each other, so that two readers may see two packages in it.
    #[error("the zip archive {0}")]
    Contradiction(&'static str),
    /// A feature that the check does not know how to read safely.
    #[error("the archive uses {0}, which is not supported")]
    Unsupported(&'static str),
    /// More entries than a package may have.
    #[error("the archive has more than {0} entries")]
    TooManyEntries(u64),
    /// More bytes than a package may have once decompressed.
    #[error("the archive unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// A name or pax record beyond any reasonable size.
    #[error("the archive has an extension header of more than {MAX_EXTENSION_BYTES} bytes")]
    ExtensionTooLarge,
    /// Data after the end-of-archive mark, which other readers may take for more entries.
    #[error("the archive has data after its end")]
    Trailing,
}

impl Archive<'_> {
    /// The next file, folder or forbidden thing; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        match self {
            Self::Tar(tape) => tape.next(),
            Self::Zip(zip) => zip.next(),
        }
    }
}

impl Read for Archive<'_> {
    /// Reads the data of the current entry. The archive ending inside it is an error, not an end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tar(tape) => tape.read(buffer),
            Self::Zip(zip) => zip.read(buffer),
        }
    }
}
