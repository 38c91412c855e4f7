//! Where a package comes from: a folder, or an archive of a kind told by its first bytes and not by its name.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::archive::{Archive, ArchiveError, EntryKind};
use super::digest::{Digester, Wanted};
use super::inventory::Inventory;
use super::limits::{Limits, MAX_SIGNATURE_BYTES, MAX_ZSTD_WINDOW_LOG};
use super::path::PackagePath;
use super::progress::{Progress, Watched};
use super::tape::Tape;
use super::zip::Zip;

/// Buffer between the file and a decompressor.
const READ_BYTES: usize = 256 << 10;

/// The names under which a package carries its manifest and a detached signature.
#[derive(Debug)]
pub(super) struct Companions {
    pub(super) manifest: PackagePath,
    /// In order of preference.
    pub(super) signatures: [PackagePath; 2],
}

impl Companions {
    /// For a manifest `x.json`: `x.sig` and `x.json.sig` beside it.
    pub(super) fn of(manifest_name: &str) -> Result<Self, super::path::PathError> {
        let manifest = PackagePath::parse(manifest_name)?;
        let stem = manifest.as_str().strip_suffix(".json").unwrap_or(manifest.as_str());
        let signatures = [PackagePath::parse(&format!("{stem}.sig"))?, PackagePath::parse(&format!("{manifest}.sig"))?];
        Ok(Self { manifest, signatures })
    }
}

/// Why a file cannot be read as an archive.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Opening or reading it failed.
    #[error("opening the package failed")]
    Io(#[source] io::Error),
    /// Neither a folder nor an archive.
    #[error("the package is neither a folder nor a .tar, .tar.gz, .tar.zst, .zip or .dudzianpkg archive")]
    Unknown,
}

/// Opens an archive; `progress` follows the bytes of the file itself.
pub(super) fn open_archive<'a>(path: &Path, limits: Limits, progress: &'a Progress) -> Result<Archive<'a>, OpenError> {
    // NONBLOCK: a pipe must not hang the check; on a regular file it means nothing.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file =
        File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| OpenError::Io(errno.into()))?);
    let metadata = file.metadata().map_err(OpenError::Io)?;
    if !metadata.is_file() {
        return Err(OpenError::Unknown);
    }
    progress.expect(metadata.len());
    let mut start = [0; 512];
    let read = read_start(&mut file, &mut start).map_err(OpenError::Io)?;
    file.seek(SeekFrom::Start(0)).map_err(OpenError::Io)?;
    if let [b'P', b'K', 3 | 5, 4 | 6, ..] = &start[..read] {
        return Ok(Archive::Zip(Zip::new(file, limits, progress)));
    }
    let buffered = BufReader::with_capacity(READ_BYTES, Watched { inner: file, progress });
    let stream: Box<dyn Read + Send + 'a> = match &start[..read] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(buffered).map_err(OpenError::Io)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(OpenError::Io)?;
            Box::new(decoder)
        }
        // A tar header is 512 bytes with a checksum that is digits, spaces and a NUL; an empty archive is zeros.
        block if read == 512 && block[148..156].iter().all(|byte| matches!(byte, b'0'..=b'7' | b' ' | 0)) => {
            Box::new(buffered)
        }
        _ => return Err(OpenError::Unknown),
    };
    Ok(Archive::Tar(Tape::new(stream, limits)))
}

/// Reads a whole archive without unpacking it: the manifest and the signature are kept, every other file is hashed.
pub(super) fn read_archive(
    mut archive: Archive<'_>,
    companions: &Companions,
    limits: Limits,
) -> Result<Inventory, ArchiveError> {
    let mut inventory = Inventory::default();
    let mut digester = Digester::new();
    while let Some(entry) = archive.next()? {
        match entry.kind {
            EntryKind::Forbidden(kind) => inventory.forbid(&entry.name, kind),
            EntryKind::Folder => inventory.admit_folder(&entry.name),
            EntryKind::File => {
                let Some(path) = inventory.admit(&entry.name) else {
                    continue;
                };
                if path == companions.manifest {
                    inventory.manifest = Some(read_small(&mut archive, entry.size, limits.manifest_bytes)?);
                } else if companions.signatures.contains(&path) {
                    let text = read_small(&mut archive, entry.size, MAX_SIGNATURE_BYTES)?;
                    let preferred = path == companions.signatures[0];
                    if preferred || inventory.signature.is_none() {
                        inventory.signature = Some((path, text));
                    }
                } else {
                    // The manifest may come last, so both digests are needed whatever it will ask for.
                    let facts =
                        digester.digest(&mut archive, Wanted::Both, &mut |_| Ok(())).map_err(ArchiveError::Read)?;
                    inventory.files.insert(path, facts);
                }
            }
        }
    }
    Ok(inventory)
}

/// Reads an entry that is held in memory.
fn read_small(archive: &mut Archive<'_>, size: u64, most: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > most {
        return Err(ArchiveError::TooLarge(most));
    }
    let mut data = Vec::new();
    archive.read_to_end(&mut data).map_err(ArchiveError::Read)?;
    Ok(data)
}

fn read_start(file: &mut File, start: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < start.len() {
        match file.read(&mut start[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
