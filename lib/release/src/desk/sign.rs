//! Signatures: added to drafts, until there are enough.

use std::collections::HashMap;
use std::num::NonZeroU64;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tough::schema::{Hashes, Metafile, Root, Signature, Signed, Snapshot, Targets, Timestamp as Stamp};

use super::change::SPEC_VERSION;
use super::{Desk, DeskError};
use crate::key::SigningKey;
use crate::names::Role;

/// How far the signing has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Metadata that are signed now and were not before.
    pub signed: Vec<(Role, u64)>,
    /// Metadata that wait for more signatures; what depends on them waits as well.
    pub unsigned: Option<Unsigned>,
}

/// Metadata without enough signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// Whose.
    pub role: Role,
    /// Which version.
    pub version: u64,
    /// Good signatures so far.
    pub have: u64,
    /// Signatures that it takes.
    pub need: u64,
    /// Identifiers of the keys that have not signed and may.
    pub may_sign: Vec<String>,
}

/// Who signs, and when.
struct Signing<'a> {
    root: &'a Root,
    keys: &'a [SigningKey],
    extend: bool,
    now: Timestamp,
}

impl Signing<'_> {
    /// Whether metadata of this role are to be made anew though they stand.
    fn extends(&self, role: Role) -> bool {
        self.extend && self.keys.iter().any(|key| names(self.root, role, key))
    }
}

/// Snapshot and timestamp: each says which version of one file is the newest.
trait Vouching: tough::schema::Role + Serialize + DeserializeOwned {
    const ROLE: Role;
    /// Whose file.
    const OF: Role;
    fn new(version: NonZeroU64, expires: Timestamp, meta: HashMap<String, Metafile>) -> Self;
    fn meta(&self) -> &HashMap<String, Metafile>;
}

impl Vouching for Snapshot {
    const ROLE: Role = Role::Snapshot;
    const OF: Role = Role::Targets;

    fn new(version: NonZeroU64, expires: Timestamp, meta: HashMap<String, Metafile>) -> Self {
        Self { meta, ..Self::new(SPEC_VERSION.to_owned(), version, expires) }
    }

    fn meta(&self) -> &HashMap<String, Metafile> {
        &self.meta
    }
}

impl Vouching for Stamp {
    const ROLE: Role = Role::Timestamp;
    const OF: Role = Role::Snapshot;

    fn new(version: NonZeroU64, expires: Timestamp, meta: HashMap<String, Metafile>) -> Self {
        Self { meta, ..Self::new(SPEC_VERSION.to_owned(), version, expires) }
    }

    fn meta(&self) -> &HashMap<String, Metafile> {
        &self.meta
    }
}

impl Desk {
    /// Signs what waits for it with these keys, each where it is named, and moves on what has enough signatures. With
    /// `extend`, metadata of the roles that these keys sign for are made anew, to hold longer.
    pub fn sign(&self, keys: &[SigningKey], extend: bool, now: Timestamp) -> Result<Progress, DeskError> {
        let mut progress = Progress::default();
        if !self.sign_root(keys, &mut progress)? {
            return Ok(progress);
        }
        let root = &self.root()?.signed;
        let signing = Signing { root, keys, extend, now };
        // Each vouches for the one before, so none is made while that one waits.
        let _all_signed = self.sign_targets(&signing, &mut progress)?
            && self.vouch::<Snapshot>(&signing, &mut progress)?
            && self.vouch::<Stamp>(&signing, &mut progress)?;
        Ok(progress)
    }

    /// A root is signed by those of the old one and those of the new one (TUF specification §6.1).
    fn sign_root(&self, keys: &[SigningKey], progress: &mut Progress) -> Result<bool, DeskError> {
        let current = self.newest::<Root>(Role::Root)?;
        let Some(mut draft) = self.draft::<Root>(Role::Root)? else { return Ok(true) };
        if current.as_ref().is_some_and(|current| current.signed.version >= draft.signed.version) {
            self.drop_draft(Role::Root)?;
            return Ok(true);
        }
        let mut roots = vec![draft.signed.clone()];
        roots.extend(current.map(|current| current.signed));
        add_signatures(&mut draft, keys, |key| roots.iter().any(|root| names(root, Role::Root, key)))?;
        let lacking = roots.iter().find(|root| root.verify_role(&draft).is_err());
        self.conclude(Role::Root, &draft, lacking, progress)
    }

    fn sign_targets(&self, signing: &Signing<'_>, progress: &mut Progress) -> Result<bool, DeskError> {
        let Signing { root, keys, now, .. } = *signing;
        let current = self.newest::<Targets>(Role::Targets)?;
        let stands = current.as_ref().is_some_and(|current| root.verify_role(current).is_ok());
        let mut draft = self.targets_draft(now)?;
        let drafted = self.draft::<Targets>(Role::Targets)?.is_some_and(|kept| kept == draft);
        if stands && !drafted && !signing.extends(Role::Targets) {
            return Ok(true);
        }
        add_signatures(&mut draft, keys, |key| names(root, Role::Targets, key))?;
        let lacking = root.verify_role(&draft).is_err().then_some(root);
        self.conclude(Role::Targets, &draft, lacking, progress)
    }

    fn vouch<T: Vouching>(&self, signing: &Signing<'_>, progress: &mut Progress) -> Result<bool, DeskError> {
        let Signing { root, keys, now, .. } = *signing;
        let meta = HashMap::from([(format!("{}.json", T::OF.name()), self.file_meta(T::OF)?)]);
        let current = self.newest::<T>(T::ROLE)?;
        let version = current.as_ref().map_or(NonZeroU64::MIN, |current| current.signed.version().saturating_add(1));
        let stands =
            current.is_some_and(|current| root.verify_role(&current).is_ok() && *current.signed.meta() == meta);
        if stands && !signing.extends(T::ROLE) {
            return Ok(true);
        }
        let kept = self.draft::<T>(T::ROLE)?;
        let kept = kept.filter(|draft| draft.signed.version() == version && *draft.signed.meta() == meta);
        let mut draft = kept.unwrap_or_else(|| {
            let expires = self.notes.lifetimes.expiry(T::ROLE, now);
            Signed { signed: T::new(version, expires, meta), signatures: Vec::new() }
        });
        add_signatures(&mut draft, keys, |key| names(root, T::ROLE, key))?;
        let lacking = root.verify_role(&draft).is_err().then_some(root);
        self.conclude(T::ROLE, &draft, lacking, progress)
    }

    /// What vouches for a file: its version, its length and its digest.
    fn file_meta(&self, role: Role) -> Result<Metafile, DeskError> {
        let (name, bytes) = self.newest_file(role)?.ok_or(DeskError::NoRoot)?;
        let version = name.split('.').next().and_then(|number| number.parse().ok()).ok_or(DeskError::NoRoot)?;
        let sha256 = Sha256::digest(&bytes).to_vec().into();
        let hashes = Some(Hashes { sha256, _extra: HashMap::new() });
        Ok(Metafile { length: Some(bytes.len() as u64), hashes, version, _extra: HashMap::new() })
    }

    /// Moves a draft on if no root lacks signatures on it; else keeps it with those that it has.
    fn conclude<T: tough::schema::Role>(
        &self,
        role: Role,
        draft: &Signed<T>,
        lacking: Option<&Root>,
        progress: &mut Progress,
    ) -> Result<bool, DeskError> {
        let version = draft.signed.version().get();
        let Some(root) = lacking else {
            self.settle(role, version, draft)?;
            progress.signed.push((role, version));
            return Ok(true);
        };
        self.write_draft(role, draft)?;
        let keys = root.roles.get(&role.kind());
        let ids = || keys.into_iter().flat_map(|keys| &keys.keyids);
        let signed = |id: &&_| draft.signatures.iter().any(|signature| signature.keyid == **id);
        progress.unsigned = Some(Unsigned {
            role,
            version,
            have: ids().filter(signed).count() as u64,
            need: keys.map_or(0, |keys| keys.threshold.get()),
            may_sign: ids().filter(|id| !signed(id)).map(hex::encode).collect(),
        });
        Ok(false)
    }
}

/// Whether the root names this key for a role.
fn names(root: &Root, role: Role, key: &SigningKey) -> bool {
    let Ok(public) = key.public() else { return false };
    let keys = root.roles.get(&role.kind());
    keys.is_some_and(|keys| keys.keyids.iter().any(|id| id.as_ref() == public.raw_id()))
}

fn add_signatures<T: tough::schema::Role>(
    draft: &mut Signed<T>,
    keys: &[SigningKey],
    may_sign: impl Fn(&SigningKey) -> bool,
) -> Result<(), DeskError> {
    let message = draft.signed.canonical_form().map_err(|error| DeskError::Encode(error.to_string()))?;
    for key in keys.iter().filter(|key| may_sign(key)) {
        let public = key.public().map_err(|error| DeskError::Encode(error.to_string()))?;
        draft.signatures.retain(|signature| signature.keyid.as_ref() != public.raw_id());
        let keyid = public.raw_id().to_vec().into();
        draft.signatures.push(Signature { keyid, sig: key.sign(&message).into() });
    }
    Ok(())
}
