//! Changes: each makes or alters a draft.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::path::Path;

use flota_model::Digest;
use flota_package::CheckRequest;
use flota_package::durable::{AtomicFile, WriteError};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tough::TargetName;
use tough::schema::{Hashes, RoleKeys, Root, Signed, Target, Targets};

use super::files::TARGETS;
use super::{Desk, DeskError, Founding, Notes, Party, whole};
use crate::catalogue::{Entry, entries};
use crate::key::PublicKey;
use crate::names::Role;
use crate::terms::{CUSTOM_KEY, Terms, Wave};

/// The version of the TUF specification that the metadata keep to.
pub(super) const SPEC_VERSION: &str = "1.0.31";
/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What a release is signed with, beside what its package says of itself.
#[derive(Debug, Clone, Default)]
pub struct Addition {
    /// See [`Terms::security_floor`]: a version that is signed here, whose sequence becomes the floor.
    pub security_floor: Option<String>,
    /// See [`Terms::data_floor`]; a version likewise, or that of the release itself.
    pub data_floor: Option<String>,
    /// See [`Terms::upgrades_from`].
    pub upgrades_from: Vec<String>,
    /// See [`Terms::waves`].
    pub waves: Vec<Wave>,
}

/// A change of who signs for a role.
#[derive(Debug, Clone)]
pub struct RootChange {
    /// Whose.
    pub role: Role,
    /// Keys that sign from now on as well.
    pub add: Vec<PublicKey>,
    /// Identifiers of keys that do not sign any more.
    pub remove: Vec<String>,
    /// How many must sign from now on; `None`: as many as before.
    pub threshold: Option<u64>,
}

impl Desk {
    /// Makes a desk with a draft of its first root, to be signed.
    pub fn found(folder: &Path, founding: &Founding, now: Timestamp) -> Result<Self, DeskError> {
        let mut root = Root {
            spec_version: SPEC_VERSION.to_owned(),
            consistent_snapshot: true,
            version: NonZeroU64::MIN,
            expires: founding.lifetimes.expiry(Role::Root, now),
            keys: HashMap::new(),
            roles: HashMap::new(),
            _extra: HashMap::new(),
        };
        for role in Role::ALL {
            let none = Party { keys: Vec::new(), threshold: 0 };
            set_party(&mut root, role, founding.parties.get(&role).unwrap_or(&none))?;
        }
        let desk = Self::make(folder, Notes { lifetimes: founding.lifetimes, last_sequence: 0 })?;
        desk.write_draft(Role::Root, &Signed { signed: root, signatures: Vec::new() })?;
        // Last: with the notes it is a desk.
        desk.write_notes()?;
        Ok(desk)
    }

    /// Adds a package: checked, copied, and in the draft of the list of releases.
    pub fn add(&mut self, package: &Path, addition: &Addition, now: Timestamp) -> Result<Entry, DeskError> {
        let manifest = inspect(package, now)?;
        let mut draft = self.targets_draft(now)?;
        let known = entries(&draft)?;
        if known.iter().any(|entry| entry.terms.version == manifest.version) {
            return Err(DeskError::VersionTaken(manifest.version));
        }
        let newest = known.last().map_or(0, |entry| entry.terms.sequence);
        let sequence = newest.max(self.notes.last_sequence) + 1;
        let floor = |version: &Option<String>| match version {
            None => Ok(0),
            Some(version) if *version == manifest.version => Ok(sequence),
            Some(version) => {
                let entry = known.iter().find(|entry| entry.terms.version == *version);
                entry.map(|entry| entry.terms.sequence).ok_or_else(|| DeskError::NoSuchVersion(version.clone()))
            }
        };
        check_waves(&addition.waves)?;
        let terms = Terms {
            version: manifest.version.clone(),
            id: manifest.id,
            platform: manifest.platform,
            runtime: manifest.runtime,
            sequence,
            released_at: whole(now),
            security_floor: floor(&addition.security_floor)?,
            data_floor: floor(&addition.data_floor)?,
            upgrades_from: addition.upgrades_from.clone(),
            waves: addition.waves.clone(),
        };
        let name = target_name(package)?;
        let (digest, size) = self.take_in(package, &name)?;
        let entry = Entry { name, digest, size, terms };
        draft.signed.targets.insert(raw_name(&entry.name)?, target(&entry)?);
        draft.signatures.clear();
        // The number first: one that was given is not given again, whatever happens to the draft.
        self.notes.last_sequence = sequence;
        self.write_notes()?;
        self.write_draft(Role::Targets, &draft)?;
        Ok(entry)
    }

    /// Takes a release off the list: no host installs it any more. What runs, runs on.
    pub fn withdraw(&self, version: &str, now: Timestamp) -> Result<Entry, DeskError> {
        let mut draft = self.targets_draft(now)?;
        let found = entries(&draft)?.into_iter().find(|entry| entry.terms.version == version);
        let entry = found.ok_or_else(|| DeskError::NoSuchVersion(version.chars().take(80).collect()))?;
        draft.signed.targets.remove(&raw_name(&entry.name)?);
        draft.signatures.clear();
        self.write_draft(Role::Targets, &draft)?;
        Ok(entry)
    }

    /// Drafts a root with other keys. It must be signed by enough keys of the old one and of the new one.
    pub fn change_root(&self, changes: &[RootChange], now: Timestamp) -> Result<u64, DeskError> {
        let mut root = self.root()?.signed;
        root.version = root.version.saturating_add(1);
        root.expires = self.notes.lifetimes.expiry(Role::Root, now);
        for change in changes {
            let mut party = party(&root, change.role)?;
            for id in &change.remove {
                let before = party.keys.len();
                party.keys.retain(|key| key.id() != *id);
                if party.keys.len() == before {
                    return Err(DeskError::NoSuchKey(id.chars().take(64).collect(), change.role));
                }
            }
            party.keys.extend(change.add.iter().cloned());
            party.threshold = change.threshold.unwrap_or(party.threshold);
            set_party(&mut root, change.role, &party)?;
        }
        let used: Vec<_> = root.roles.values().flat_map(|role| role.keyids.clone()).collect();
        root.keys.retain(|id, _| used.contains(id));
        let version = root.version.get();
        self.write_draft(Role::Root, &Signed { signed: root, signatures: Vec::new() })?;
        Ok(version)
    }

    /// The draft of the list of releases, or a new one from the list that is signed.
    pub(super) fn targets_draft(&self, now: Timestamp) -> Result<Signed<Targets>, DeskError> {
        let current = self.newest::<Targets>(Role::Targets)?;
        let version = current.as_ref().map_or(0, |current| current.signed.version.get());
        if let Some(draft) = self.draft::<Targets>(Role::Targets)?
            && draft.signed.version.get() > version
        {
            return Ok(draft);
        }
        let expires = self.notes.lifetimes.expiry(Role::Targets, now);
        let next = NonZeroU64::MIN.saturating_add(version);
        let targets = match current {
            Some(current) => Targets { version: next, expires, ..current.signed },
            None => Targets { delegations: None, ..Targets::new(SPEC_VERSION.to_owned(), next, expires) },
        };
        Ok(Signed { signed: targets, signatures: Vec::new() })
    }

    /// Copies a package to where it is offered.
    fn take_in(&self, package: &Path, name: &str) -> Result<(Digest, u64), DeskError> {
        let failed = |source| DeskError::Io { path: package.to_owned(), source };
        let mut from = std::fs::File::open(package).map_err(failed)?;
        let folder = self.folder.join(TARGETS);
        let mut to = AtomicFile::create(&folder.join(name), 0o644)?;
        let (mut hash, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; COPY_BYTES]);
        loop {
            let read = from.read(&mut buffer).map_err(failed)?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
            hash.update(part);
            size = size.saturating_add(part.len() as u64);
            to.write_all(part).map_err(|source| WriteError::Write { path: folder.join(name), source })?;
        }
        let digest = Digest::from_bytes(hash.finalize().into());
        to.commit_first_free([folder.join(format!("{digest}.{name}"))]).or_else(|error| match error {
            // The same bytes under the same name: added before.
            WriteError::Exists { path } => Ok(path),
            error => Err(error),
        })?;
        Ok((digest, size))
    }
}

struct Inspected {
    id: String,
    version: String,
    platform: String,
    runtime: String,
}

/// Whether the package is whole. Its own signature is checked by the hosts, with a key that need not be here.
fn inspect(path: &Path, now: Timestamp) -> Result<Inspected, DeskError> {
    let bad = |why: String| DeskError::Package { path: path.to_owned(), why };
    let report = flota_package::check(&CheckRequest::new(path, now))
        .map_err(|source| DeskError::Check { path: path.to_owned(), source })?;
    if !report.is_ok() {
        return Err(bad(report.errors().join("; ")));
    }
    let manifest = report.manifest();
    let required = |name: &str, value: Option<&str>| {
        value.map(str::to_owned).ok_or_else(|| bad(format!("its manifest has no `{name}`")))
    };
    Ok(Inspected {
        id: manifest.id().unwrap_or("bot").to_owned(),
        version: manifest.version().to_owned(),
        platform: required("platform", manifest.platform())?,
        runtime: required("runtime", manifest.runtime())?,
    })
}

/// The package's file name, which goes into paths and addresses.
fn target_name(package: &Path) -> Result<String, DeskError> {
    let plain = |name: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        name.len() <= 100 && !name.starts_with('.') && name.bytes().all(allowed)
    };
    let name = package.file_name().and_then(|name| name.to_str()).filter(plain).map(str::to_owned);
    name.ok_or_else(|| DeskError::Package {
        path: package.to_owned(),
        why: "its file name may have letters, digits, dots, dashes and underscores alone".into(),
    })
}

fn raw_name(name: &str) -> Result<TargetName, DeskError> {
    TargetName::new(name).map_err(|error| DeskError::Encode(error.to_string()))
}

fn target(entry: &Entry) -> Result<Target, DeskError> {
    let terms = serde_json::to_value(&entry.terms).map_err(|error| DeskError::Encode(error.to_string()))?;
    Ok(Target {
        length: entry.size,
        hashes: Hashes { sha256: entry.digest.as_bytes().to_vec().into(), _extra: HashMap::new() },
        custom: HashMap::from([(CUSTOM_KEY.to_owned(), terms)]),
        _extra: HashMap::new(),
    })
}

fn check_waves(waves: &[Wave]) -> Result<(), DeskError> {
    let grow = |pair: &[Wave]| matches!(pair, [one, other] if one.after_seconds < other.after_seconds && one.permille < other.permille);
    if waves.iter().any(|wave| wave.permille == 0 || wave.permille > 1000) || !waves.windows(2).all(grow) {
        return Err(DeskError::Terms(
            "each wave comes later and reaches more hosts than the one before, up to 100 %".into(),
        ));
    }
    Ok(())
}

fn party(root: &Root, role: Role) -> Result<Party, DeskError> {
    let damaged = || DeskError::Encode(format!("the root names no {role} role"));
    let keys = root.roles.get(&role.kind()).ok_or_else(damaged)?;
    let known = keys.keyids.iter().filter_map(|id| root.keys.get(id).cloned());
    let known = known.map(PublicKey::new).collect::<Result<Vec<_>, _>>();
    let known = known.map_err(|error| DeskError::Encode(error.to_string()))?;
    Ok(Party { keys: known, threshold: keys.threshold.get() })
}

fn set_party(root: &mut Root, role: Role, party: &Party) -> Result<(), DeskError> {
    let mut ids: Vec<Vec<u8>> = party.keys.iter().map(|key| key.raw_id().to_vec()).collect();
    ids.sort_unstable();
    ids.dedup();
    let keys = ids.len();
    let threshold = NonZeroU64::new(party.threshold).filter(|threshold| threshold.get() <= keys as u64);
    let threshold = threshold.ok_or(DeskError::Threshold { role, keys, threshold: party.threshold })?;
    for key in &party.keys {
        root.keys.insert(key.raw_id().to_vec().into(), key.key().clone());
    }
    let keyids = ids.into_iter().map(Into::into).collect();
    root.roles.insert(role.kind(), RoleKeys { keyids, threshold, _extra: HashMap::new() });
    Ok(())
}
