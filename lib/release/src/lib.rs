//! Signed releases: The Update Framework (TUF specification 1.0) over packages, for both sides.
//!
//! The operators' side is the [`Desk`]: the folder in which releases are signed, with keys that no controller has. The
//! host's side is [`Trust`]: what it believes, and how it comes to believe something newer. Between them lies the
//! [`Catalogue`]: the releases that are signed at one time, each with its [`Terms`]. [`admit`] decides whether a host
//! may install one.
//!
//! It must never trust a file because of where it came from: the controller, a mirror and a memory stick are the same.
//!
//! Start with [`Trust::refresh`]; `docs/releases.md` is the manual, ADR-0012 has the reasons.

mod admit;
mod bundle;
mod catalogue;
mod desk;
mod key;
mod names;
mod refusal;
mod source;
mod terms;
mod trust;

pub use admit::{Admitted, Floors, NotAdmitted, Situation, admit};
pub use bundle::{Bundle, BundleError};
pub use catalogue::{Catalogue, Entry, Expiry, inspect_list};
pub use desk::{Addition, Desk, DeskError, Founding, Lifetimes, Party, Progress, RootChange, Unsigned};
pub use key::{KeyError, PublicKey, SigningKey};
pub use names::Role;
pub use refusal::{RefreshError, Refusal};
pub use source::{Folder, MAX_METADATA_BYTES, Memory, MetadataSource, SourceError};
pub use terms::{Terms, Wave};
pub use trust::{Trust, TrustError, check_root};
