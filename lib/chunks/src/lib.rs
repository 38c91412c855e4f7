//! Files by content-defined chunks: what a host holds already is not fetched again.
//!
//! The controller cuts a package into chunks where its content says so (FastCDC), not at fixed places, and lists them in an
//! [`Index`]. A host cuts the files of its installed releases in the same way ([`Seeds`]): after a change, or behind the
//! header of an archive, the cuts fall into step again within a chunk or two, so that most chunks of an uncompressed package
//! are found in the files that an earlier one was unpacked to. The [`Assembly`] puts the file together from both, checks
//! every chunk before it is used, and goes on after a cut where it stopped.
//!
//! It must never be asynchronous or speak to anybody: who has an index and pieces brings them.

mod assembly;
mod index;
mod piece;
mod seeds;

pub use assembly::{Assembly, AssemblyError, Run, Tally};
pub use index::{Chunk, Index, IndexError, MAX_CHUNK_BYTES, MAX_FILE_BYTES, MAX_INDEX_BYTES};
pub use piece::{PieceError, pack, unpack};
pub use seeds::Seeds;
