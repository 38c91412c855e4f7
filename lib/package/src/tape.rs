//! Reads a tar stream entry by entry, with bounds on everything.
//!
//! The `tar` crate decodes the header fields. Its own iterator is not used: it reads long-name and pax records into memory whatever
//! size they claim, which lets a small archive take all of it.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::archive::{ArchiveError, Entry, EntryKind};
use super::limits::{Limits, MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES};

const BLOCK: u64 = 512;

/// A tar stream.
#[derive(Debug)]
pub(super) struct Tape<R> {
    inner: R,
    limits: Limits,
    /// Bytes of data of the current entry not read yet.
    data_left: u64,
    /// Bytes of padding after that data.
    padding: u64,
    entries: u64,
    /// Where the next header starts, in the unpacked stream.
    position: u64,
}

/// What extension headers said about the entry that follows them.
#[derive(Debug, Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> Tape<R> {
    pub(super) fn new(inner: R, limits: Limits) -> Self {
        Self { inner, limits, data_left: 0, padding: 0, entries: 0, position: 0 }
    }

    /// The next file, folder or forbidden thing; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.next_header()? else {
                return Ok(None);
            };
            let kind = header.entry_type();
            let size = match extensions.size {
                Some(size) if !is_extension(kind) => size,
                _ => header.entry_size().map_err(|_| ArchiveError::Header(self.position))?,
            };
            self.enter(size)?;
            match kind {
                EntryType::GNULongName => {
                    let mut name = self.extension()?;
                    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                    extensions.name = Some(name);
                }
                // Where a link points does not matter: links are refused.
                EntryType::GNULongLink => drop(self.extension()?),
                EntryType::XHeader => extensions.read_pax(&self.extension()?)?,
                EntryType::XGlobalHeader => {
                    let mut global = Extensions::default();
                    global.read_pax(&self.extension()?)?;
                    if global.name.is_some() || global.size.is_some() {
                        return Err(ArchiveError::Unsupported("a global pax header with a path or a size"));
                    }
                }
                _ => {
                    let name = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
                    return Ok(Some(Entry {
                        kind: entry_kind(kind, &name),
                        name,
                        size,
                        executable: header.mode().is_ok_and(|mode| mode & 0o100 != 0),
                    }));
                }
            }
        }
    }

    /// Skips the rest of the current entry and reads a header; `None` at the end of the archive.
    fn next_header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let rest = self.data_left + self.padding;
        let skipped = io::copy(&mut self.inner.by_ref().take(rest), &mut io::sink()).map_err(ArchiveError::Read)?;
        if skipped != rest {
            return Err(ArchiveError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        (self.data_left, self.padding) = (0, 0);
        let mut header = Header::new_old();
        // An archive must end with zero blocks: without them, a cut file would pass for a shorter one.
        self.inner.read_exact(header.as_mut_bytes()).map_err(ArchiveError::Read)?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            self.drain()?;
            return Ok(None);
        }
        if header.cksum().ok() != Some(checksum(header.as_bytes())) {
            return Err(ArchiveError::Header(self.position));
        }
        Ok(Some(header))
    }

    /// Reads what follows the end mark: nothing but zeros, and not much of them. This also makes a decompressor check its trailer.
    fn drain(&mut self) -> Result<(), ArchiveError> {
        let mut block = [0; 8 << 10];
        let mut total = 0;
        loop {
            let read = match self.inner.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::Read(error)),
            };
            total += read as u64;
            if total > MAX_TRAILER_BYTES || block[..read].iter().any(|byte| *byte != 0) {
                return Err(ArchiveError::Trailing);
            }
        }
    }

    /// Counts an entry of `size` bytes against the limits before any of it is read.
    fn enter(&mut self, size: u64) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(ArchiveError::TooManyEntries(self.limits.entries));
        }
        let padding = size.wrapping_neg() % BLOCK;
        let end = size.checked_add(padding + BLOCK).and_then(|length| self.position.checked_add(length));
        match end {
            Some(end) if end <= self.limits.unpacked_bytes => self.position = end,
            _ => return Err(ArchiveError::TooLarge(self.limits.unpacked_bytes)),
        }
        (self.data_left, self.padding) = (size, padding);
        Ok(())
    }

    fn extension(&mut self) -> Result<Vec<u8>, ArchiveError> {
        if self.data_left > MAX_EXTENSION_BYTES {
            return Err(ArchiveError::ExtensionTooLarge);
        }
        let mut data = Vec::new();
        self.read_to_end(&mut data).map_err(ArchiveError::Read)?;
        Ok(data)
    }
}

impl<R: Read> Read for Tape<R> {
    /// Reads the data of the current entry. The stream ending inside it is an error, not an end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.data_left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data_left -= read as u64;
        Ok(read)
    }
}

impl Extensions {
    /// Reads pax records: `<length> <key>=<value>\n`, the length counting the whole record (POSIX.1-2017, pax, extended header).
    fn read_pax(&mut self, mut data: &[u8]) -> Result<(), ArchiveError> {
        const MALFORMED: ArchiveError = ArchiveError::Unsupported("a malformed pax header");
        while !data.is_empty() {
            let space = data.iter().position(|byte| *byte == b' ').ok_or(MALFORMED)?;
            let length = std::str::from_utf8(&data[..space]).ok().and_then(|text| text.parse::<usize>().ok());
            let length = length.filter(|length| (space + 2..=data.len()).contains(length)).ok_or(MALFORMED)?;
            let (record, rest) = data.split_at(length);
            let record = record[space + 1..].strip_suffix(b"\n").ok_or(MALFORMED)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or(MALFORMED)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => return Err(ArchiveError::Unsupported("sparse files")),
                _ => {}
            }
            data = rest;
        }
        Ok(())
    }
}

/// The sum of the header's bytes, its own checksum field counted as spaces (POSIX.1-2017, pax, ustar interchange format).
fn checksum(header: &[u8; 512]) -> u32 {
    let field = 148..156;
    header
        .iter()
        .enumerate()
        .map(|(at, byte)| if field.contains(&at) { u32::from(b' ') } else { u32::from(*byte) })
        .sum()
}

fn is_extension(kind: EntryType) -> bool {
    matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader)
}

fn entry_kind(kind: EntryType, name: &[u8]) -> EntryKind {
    match kind {
        EntryType::Directory => EntryKind::Folder,
        // Before POSIX, a folder was a file whose name ends with a slash.
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => EntryKind::Folder,
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Symlink => EntryKind::Forbidden("a symbolic link"),
        EntryType::Link => EntryKind::Forbidden("a hard link"),
        EntryType::Char | EntryType::Block => EntryKind::Forbidden("a device"),
        EntryType::Fifo => EntryKind::Forbidden("a named pipe"),
        EntryType::GNUSparse => EntryKind::Forbidden("a sparse file"),
        _ => EntryKind::Forbidden("a special file"),
    }
}
