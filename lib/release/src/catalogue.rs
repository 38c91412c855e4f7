//! The releases that are signed at one time.

use flota_model::Digest;
use jiff::Timestamp;
use tough::schema::{RoleType, Root, Signed, Targets};

use crate::names::Role;
use crate::refusal::Refusal;
use crate::terms::{CUSTOM_KEY, Terms};

/// Most releases that are signed at once. A host reads them all; old ones are withdrawn.
pub(crate) const MAX_RELEASES: usize = 1000;

/// The releases, oldest first, and until when that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// The releases.
    pub entries: Vec<Entry>,
    /// When each role's metadata expire.
    pub expiries: Vec<Expiry>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the target: the package's file.
    pub name: String,
    /// SHA-256 of the package.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
    /// What it asks of hosts.
    pub terms: Terms,
}

/// When a role's metadata expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Whose.
    pub role: Role,
    /// Which version of them.
    pub version: u64,
    /// When; afterwards nothing is installed on their word.
    pub at: Timestamp,
}

impl Catalogue {
    /// The release with this digest.
    pub fn find(&self, digest: &Digest) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.digest == *digest)
    }

    /// The role whose metadata expire first.
    pub fn first_expiry(&self) -> Option<Expiry> {
        self.expiries.iter().min_by_key(|expiry| expiry.at).copied()
    }
}

/// Reads the releases out of metadata whose signatures were verified.
pub(crate) fn entries(targets: &Signed<Targets>) -> Result<Vec<Entry>, Refusal> {
    let targets = &targets.signed;
    if targets.delegations.as_ref().is_some_and(|delegations| !delegations.roles.is_empty()) {
        return Err(Refusal::Delegated);
    }
    if targets.targets.len() > MAX_RELEASES {
        return Err(Refusal::TooMany);
    }
    let mut entries = Vec::with_capacity(targets.targets.len());
    for (name, target) in &targets.targets {
        let bad = |why: String| Refusal::Terms { name: name.raw().chars().take(100).collect(), why };
        let digest = <[u8; 32]>::try_from(target.hashes.sha256.as_ref());
        let digest = digest.map_err(|_| bad("its SHA-256 has not 32 bytes".into()))?;
        let custom = target.custom.get(CUSTOM_KEY).ok_or_else(|| bad("it has no terms".into()))?;
        let terms = serde_json::from_value(custom.clone()).map_err(|error| bad(error.to_string()))?;
        let digest = Digest::from_bytes(digest);
        entries.push(Entry { name: name.raw().to_owned(), digest, size: target.length, terms });
    }
    entries.sort_by_key(|entry| entry.terms.sequence);
    let same = |one: &Entry, other: &Entry| one.terms.sequence == other.terms.sequence;
    if entries.windows(2).any(|pair| matches!(pair, [one, other] if same(one, other))) {
        return Err(Refusal::SameSequence);
    }
    Ok(entries)
}

/// What a list of releases says, whoever signed it: to be looked at, never to be acted on.
pub fn inspect_list(bytes: &[u8]) -> Result<Vec<Entry>, Refusal> {
    let list = serde_json::from_slice(bytes).map_err(|_| Refusal::Unreadable(Role::Targets))?;
    entries(&list)
}

/// The expiry of a role as root's own, which every reader has.
pub(crate) fn root_expiry(root: &Signed<Root>) -> Expiry {
    Expiry { role: Role::of_kind(RoleType::Root), version: root.signed.version.get(), at: root.signed.expires }
}
