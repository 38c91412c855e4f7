//! How much of a package is looked at before it is refused: a hostile one must not fill memory or run for ever.

/// Largest manifest, in bytes. A manifest of [`MAX_ENTRIES`] artifacts with both digests stays under it.
pub const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Largest signature file, in bytes; a real one has about a hundred.
pub const MAX_SIGNATURE_BYTES: u64 = 64 << 10;

/// Most entries (files, folders, extension headers) of one package; real ones have at most a few thousand.
pub const MAX_ENTRIES: u64 = 50_000;

/// Most bytes of one package once decompressed; a decompression bomb stops here. Real ones carry a few GiB of models.
pub const MAX_UNPACKED_BYTES: u64 = 64 << 30;

/// Largest tar extension header (a long name, a pax record), in bytes. It is held in memory whole.
pub(super) const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// Most padding after the end-of-archive mark, in bytes. `tar` pads to its blocking factor, 10 KiB unless told otherwise.
pub(super) const MAX_TRAILER_BYTES: u64 = 1 << 20;

/// Largest directory of a zip file, in bytes: the names in it are held in memory. [`MAX_ENTRIES`] entries with names of a hundred
/// bytes stay under it.
pub(super) const MAX_ZIP_DIRECTORY_BYTES: u64 = 16 << 20;

/// Largest zstd window, as a power of two: 32 MiB, so that a check stays under 64 MiB of memory. `zstd -19` needs 8 MiB.
pub(super) const MAX_ZSTD_WINDOW_LOG: u32 = 25;

/// The limits that a caller may lower (or, knowingly, raise).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest manifest, in bytes.
    pub manifest_bytes: u64,
    /// Most entries of one package.
    pub entries: u64,
    /// Most bytes of one package once decompressed.
    pub unpacked_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { manifest_bytes: MAX_MANIFEST_BYTES, entries: MAX_ENTRIES, unpacked_bytes: MAX_UNPACKED_BYTES }
    }
}
