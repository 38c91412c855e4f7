//! What benches measure with: an installation with a large log, a package with large or many files.

#[path = "material/installation.rs"]
mod installation;
#[path = "material/package.rs"]
mod package;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

pub(crate) use installation::Installation;
pub(crate) use package::Package;

/// Size of the large inputs, in bytes.
pub(crate) const GIB: usize = 1 << 30;

/// Writes `block` again and again, to exactly `len` bytes, and waits for the disk: writing it back would slow down
/// whatever is measured next.
fn fill(path: &Path, block: &[u8], len: usize) -> anyhow::Result<()> {
    let writing = || format!("writing {}", path.display());
    let mut file = File::create(path).with_context(writing)?;
    let mut left = len;
    while left > 0 {
        let piece = block.get(..left).unwrap_or(block);
        file.write_all(piece).with_context(writing)?;
        left = left.saturating_sub(piece.len());
    }
    file.sync_all().with_context(writing)
}
