//! Reads a zip file through its central directory, and refuses one that leaves room for a second reading.
//!
//! `rawzip` decodes the records. The rules are ours: the entries must fill the file from its first byte to the directory
//! without gap or overlap, and each must say the same in the directory as before its data. That leaves no place for hidden
//! entries, and none for one piece of data that many entries unpack (APPNOTE.TXT 6.3.10 is what "zip" means here).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use rawzip::extra_fields::ExtraFieldId;
use rawzip::{CompressionMethod, FileReader, ZipArchive, ZipFileHeaderRecord};

use super::archive::{ArchiveError, Entry, EntryKind};
use super::limits::{Limits, MAX_ZIP_DIRECTORY_BYTES};
use super::progress::Progress;

/// Room for one record with its name, extra fields and comment, each of at most 64 KiB.
const RECORD_BYTES: usize = 256 << 10;

/// Buffer between the file and the decompressor.
const READ_BYTES: usize = 256 << 10;

/// Longest data descriptor: signature, CRC-32 and two sizes of 64 bits (APPNOTE 4.3.9).
const MAX_DESCRIPTOR_BYTES: u64 = 24;

/// Signature of the record that ends a zip file (APPNOTE 4.3.16).
const END_SIGNATURE: &[u8] = b"PK\x05\x06";

/// A zip file.
pub(super) struct Zip<'a> {
    file: Arc<File>,
    limits: Limits,
    progress: &'a Progress,
    /// Entries not given out yet; absent until the directory is read.
    listed: Option<std::vec::IntoIter<Listed>>,
    current: Option<Contents<'a>>,
}

/// An entry of the directory.
struct Listed {
    entry: Entry,
    deflated: bool,
    crc: u32,
    /// Where its compressed data lies in the file.
    data: Range,
}

#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
}

/// The room that an entry takes in the file, its local header included.
struct Room {
    start: u64,
    end: u64,
    descriptor: bool,
}

impl<'a> Zip<'a> {
    pub(super) fn new(file: File, limits: Limits, progress: &'a Progress) -> Self {
        Self { file: Arc::new(file), limits, progress, listed: None, current: None }
    }

    /// The next file, folder or forbidden thing, in the order of the directory.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let listed = match &mut self.listed {
            Some(listed) => listed,
            None => self.listed.insert(read_directory(&self.file, self.limits)?.into_iter()),
        };
        let Some(Listed { entry, deflated, crc, data }) = listed.next() else {
            self.current = None;
            return Ok(None);
        };
        let span = Span { file: Arc::clone(&self.file), left: data, progress: self.progress };
        self.current = (entry.kind == EntryKind::File).then(|| Contents::new(span, deflated, crc, entry.size));
        Ok(Some(entry))
    }
}

impl Read for Zip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.current.as_mut().map_or(Ok(0), |current| current.read(buffer))
    }
}

/// Reads the whole directory, and holds it against the rest of the file.
fn read_directory(file: &File, limits: Limits) -> Result<Vec<Listed>, ArchiveError> {
    let length = file.metadata().map_err(ArchiveError::Read)?.len();
    let handle = file.try_clone().map_err(ArchiveError::Read)?;
    let mut buffer = vec![0; RECORD_BYTES];
    let archive = ZipArchive::from_file(handle, &mut buffer).map_err(ArchiveError::Directory)?;
    if archive.end_offset() != length {
        return Err(ArchiveError::Trailing);
    }
    check_comment(&archive)?;
    if archive.entries_hint() > limits.entries {
        return Err(ArchiveError::TooManyEntries(limits.entries));
    }
    // Names are held in memory: the directory bounds them all.
    if archive.eocd_offset().saturating_sub(archive.directory_offset()) > MAX_ZIP_DIRECTORY_BYTES {
        return Err(ArchiveError::Unsupported("a directory larger than a package needs"));
    }

    let mut scratch = vec![0; RECORD_BYTES];
    let (mut listed, mut rooms, mut unpacked) = (Vec::new(), Vec::new(), 0_u64);
    let mut records = archive.entries(&mut buffer);
    while let Some(record) = records.next_entry().map_err(ArchiveError::Directory)? {
        unpacked = unpacked.saturating_add(record.uncompressed_size_hint());
        if unpacked > limits.unpacked_bytes {
            return Err(ArchiveError::TooLarge(limits.unpacked_bytes));
        }
        let data = locate(&archive, &record, &mut scratch)?;
        rooms.push(Room {
            start: record.local_header_offset(),
            end: data.end,
            descriptor: record.flags().has_data_descriptor(),
        });
        listed.push(list(&record, data));
    }
    if listed.len() as u64 != archive.entries_hint() {
        return Err(ArchiveError::Contradiction("has another number of entries than it says"));
    }
    check_rooms(rooms, archive.directory_offset())?;
    Ok(listed)
}

/// A comment may say anything but that the archive ends elsewhere.
fn check_comment(archive: &ZipArchive<FileReader>) -> Result<(), ArchiveError> {
    let mut comment = Vec::new();
    archive.comment().read_to_end(&mut comment).map_err(ArchiveError::Read)?;
    if comment.windows(END_SIGNATURE.len()).any(|window| window == END_SIGNATURE) {
        return Err(ArchiveError::Contradiction("has a comment that another reader takes for its directory"));
    }
    Ok(())
}

/// Where the data of an entry lies, if the header before the data agrees with the directory.
fn locate(
    archive: &ZipArchive<FileReader>,
    record: &ZipFileHeaderRecord<'_>,
    scratch: &mut [u8],
) -> Result<Range, ArchiveError> {
    let found = archive.get_entry(record.wayfinder()).map_err(ArchiveError::Directory)?;
    let local = found.local_header(scratch).map_err(ArchiveError::Directory)?;
    let sizes_agree = record.flags().has_data_descriptor()
        || (local.compressed_size_hint(), local.uncompressed_size_hint(), local.crc32())
            == (record.compressed_size_hint(), record.uncompressed_size_hint(), record.crc32());
    if local.file_path().as_bytes() != record.file_path().as_bytes()
        || local.flags().bits() != record.flags().bits()
        || local.compression_method() != record.compression_method()
        || !sizes_agree
    {
        return Err(ArchiveError::Contradiction(
            "says one thing of an entry in its directory and another before the data",
        ));
    }
    let (start, end) = found.compressed_data_range();
    Ok(Range { start, end })
}

/// Insists that the entries fill the file up to the directory. Only a data descriptor may stand between two.
fn check_rooms(mut rooms: Vec<Room>, directory: u64) -> Result<(), ArchiveError> {
    rooms.sort_by_key(|room| room.start);
    let first = rooms.first().map_or(directory, |room| room.start);
    if first != 0 {
        return Err(ArchiveError::Contradiction("has data before its first entry"));
    }
    let starts = rooms.iter().skip(1).map(|room| room.start).chain([directory]);
    for (room, next) in rooms.iter().zip(starts) {
        let gap = next.checked_sub(room.end).ok_or(ArchiveError::Contradiction("has entries that overlap"))?;
        if gap > if room.descriptor { MAX_DESCRIPTOR_BYTES } else { 0 } {
            return Err(ArchiveError::Contradiction("has data between its entries"));
        }
    }
    Ok(())
}

fn list(record: &ZipFileHeaderRecord<'_>, data: Range) -> Listed {
    let mode = record.external_attributes() >> 16;
    Listed {
        entry: Entry {
            name: record.file_path().as_bytes().to_vec(),
            kind: entry_kind(record, mode),
            size: record.uncompressed_size_hint(),
            executable: mode & 0o100 != 0,
        },
        deflated: record.compression_method() == CompressionMethod::DEFLATE,
        crc: record.crc32(),
        data,
    }
}

fn entry_kind(record: &ZipFileHeaderRecord<'_>, mode: u32) -> EntryKind {
    let flags = record.flags();
    // The mode counts whatever system the entry says it was made on: some readers follow it in any case.
    let special = match mode & 0o170_000 {
        0 | 0o100_000 | 0o040_000 => None,
        0o120_000 => Some("a symbolic link"),
        0o010_000 => Some("a named pipe"),
        0o140_000 => Some("a socket"),
        0o020_000 | 0o060_000 => Some("a device"),
        _ => Some("a special file"),
    };
    if let Some(special) = special {
        return EntryKind::Forbidden(special);
    }
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        return EntryKind::Forbidden("an encrypted file");
    }
    if is_name_ambiguous(record) {
        return EntryKind::Forbidden("a file with an ambiguous name");
    }
    let ends_as_folder = record.file_path().as_bytes().ends_with(b"/");
    if ends_as_folder || mode & 0o170_000 == 0o040_000 {
        return match record.uncompressed_size_hint() {
            0 if ends_as_folder => EntryKind::Folder,
            _ => EntryKind::Forbidden("a folder that is a file as well"),
        };
    }
    match record.compression_method() {
        CompressionMethod::DEFLATE => EntryKind::File,
        CompressionMethod::STORE if record.compressed_size_hint() == record.uncompressed_size_hint() => EntryKind::File,
        CompressionMethod::STORE => EntryKind::Forbidden("a stored file of two sizes"),
        _ => EntryKind::Forbidden("a file compressed otherwise than by deflate"),
    }
}

/// Whether readers differ on the name: beyond ASCII without the mark for UTF-8 (APPNOTE appendix D), or with another name in
/// the Unicode path field (APPNOTE 4.6.9), which some readers prefer.
fn is_name_ambiguous(record: &ZipFileHeaderRecord<'_>) -> bool {
    let name = record.file_path();
    let mut preferred = record
        .extra_fields()
        .filter(|(id, _)| *id == ExtraFieldId::INFO_ZIP_UNICODE_PATH)
        // One byte of version and four of a checksum stand before the name.
        .map(|(_, field)| field.get(5..) == Some(name.as_bytes()));
    match preferred.next() {
        Some(same) => !same || preferred.any(|same| !same),
        None => !name.as_bytes().is_ascii() && !record.flags().is_utf8(),
    }
}

/// The data of one entry, held to the size and the checksum that the directory promises.
struct Contents<'a> {
    stream: Stream<'a>,
    /// Unpacked bytes still promised.
    left: u64,
    crc: Crc,
    promised_crc: u32,
    ended: bool,
}

enum Stream<'a> {
    Stored(Span<'a>),
    Deflated(Box<DeflateDecoder<BufReader<Span<'a>>>>),
}

impl<'a> Contents<'a> {
    fn new(span: Span<'a>, deflated: bool, promised_crc: u32, size: u64) -> Self {
        let stream = if deflated {
            Stream::Deflated(Box::new(DeflateDecoder::new(BufReader::with_capacity(READ_BYTES, span))))
        } else {
            Stream::Stored(span)
        };
        Self { stream, left: size, crc: Crc::new(), promised_crc, ended: false }
    }

    /// What must hold once all promised bytes are read.
    fn check_end(&mut self) -> io::Result<()> {
        let damaged = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if self.stream.read(&mut [0])? != 0 {
            return damaged("an entry unpacks to more than the directory of the zip archive says");
        }
        if !self.stream.is_used_up() {
            return damaged("an entry has data after the end of its compressed stream");
        }
        if self.crc.sum() != self.promised_crc {
            return damaged("the CRC-32 of an entry is not the one that the zip archive says");
        }
        Ok(())
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        if self.left == 0 {
            self.check_end()?;
            self.ended = true;
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.crc.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

impl Stream<'_> {
    fn is_used_up(&self) -> bool {
        match self {
            Self::Stored(span) => span.is_used_up(),
            Self::Deflated(decoder) => {
                let buffered = decoder.get_ref();
                buffered.buffer().is_empty() && buffered.get_ref().is_used_up()
            }
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(span) => span.read(buffer),
            Self::Deflated(decoder) => decoder.read(buffer),
        }
    }
}

/// A part of the file, read from its start to its end.
struct Span<'a> {
    file: Arc<File>,
    left: Range,
    progress: &'a Progress,
}

impl Span<'_> {
    fn is_used_up(&self) -> bool {
        self.left.start == self.left.end
    }
}

impl Read for Span<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Range { start, end } = self.left;
        let most = usize::try_from(end - start).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..most], start)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left.start += read as u64;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
