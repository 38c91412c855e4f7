//! A desk with its keys, and what an attacker makes of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use flota_model::release::ReleaseRef;
use flota_package::PackageBuilder;
use flota_release::{
    Addition, Desk, Entry, Founding, Lifetimes, Memory, MetadataSource, Party, Role, RootChange, SigningKey,
    SourceError, Trust,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn day(from_today: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * from_today)
}

pub(crate) fn reference(entry: &Entry) -> ReleaseRef {
    ReleaseRef { digest: entry.digest, version: entry.terms.version.clone(), size: entry.size }
}

/// Never answers.
#[derive(Debug)]
pub(crate) struct Tar;

#[async_trait::async_trait]
impl MetadataSource for Tar {
    async fn metadata(&self, _: &str) -> Result<Option<Vec<u8>>, SourceError> {
        std::future::pending().await
    }
}

/// A folder with a desk, the keys of each role, packages, and the trust of one host.
pub(crate) struct Ground {
    folder: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self::founded(Lifetimes::default(), Timestamp::now())
    }

    pub(crate) fn founded(lifetimes: Lifetimes, at: Timestamp) -> Self {
        Self::with_keys(1, 1, lifetimes, at)
    }

    /// Two of two must sign lists of releases.
    pub(crate) fn with_two_targets_keys() -> Self {
        Self::with_keys(2, 2, Lifetimes::default(), Timestamp::now())
    }

    fn with_keys(targets: usize, threshold: u64, lifetimes: Lifetimes, at: Timestamp) -> Self {
        let ground = Self { folder: tempfile::tempdir().unwrap() };
        let parties = Role::ALL.map(|role| {
            let (keys, threshold) = if role == Role::Targets { (targets, threshold) } else { (1, 1) };
            let keys = (0..keys).map(|_| ground.new_key(role).public().unwrap()).collect();
            (role, Party { keys, threshold })
        });
        let desk = Desk::found(&ground.desk_folder(), &Founding { parties: parties.into(), lifetimes }, at).unwrap();
        let progress = desk.sign(&ground.keys(), false, at).unwrap();
        assert_eq!(progress.unsigned, None);
        drop(desk);
        ground
    }

    pub(crate) fn desk(&self) -> Desk {
        Desk::open(&self.desk_folder()).unwrap()
    }

    pub(crate) fn release(&self, version: &str, addition: &Addition) -> Entry {
        self.release_at(version, addition, Timestamp::now())
    }

    pub(crate) fn release_at(&self, version: &str, addition: &Addition, at: Timestamp) -> Entry {
        let mut desk = self.desk();
        let entry = desk.add(&self.package(version), addition, at).unwrap();
        let progress = desk.sign(&self.keys(), false, at).unwrap();
        assert_eq!(progress.unsigned, None);
        entry
    }

    pub(crate) fn package(&self, version: &str) -> PathBuf {
        let contents = self.folder.path().join(format!("bot-{version}"));
        std::fs::create_dir_all(&contents).unwrap();
        std::fs::write(contents.join("bot.py"), format!("print('{version}')")).unwrap();
        let path = self.folder.path().join(format!("bot-{version}.tar"));
        let key = flota_seal::secret::Secret::decode(
            "hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "test",
        )
        .unwrap();
        PackageBuilder::new("bot", version, "linux", "python").build(&contents, &key, &path).unwrap();
        path
    }

    pub(crate) fn withdraw(&self, version: &str) {
        let desk = self.desk();
        desk.withdraw(version, Timestamp::now()).unwrap();
        assert_eq!(desk.sign(&self.keys(), false, Timestamp::now()).unwrap().unsigned, None);
    }

    pub(crate) fn extend(&self, roles: &[Role]) {
        let keys: Vec<SigningKey> = roles.iter().flat_map(|role| self.keys_of(*role)).collect();
        assert_eq!(self.desk().sign(&keys, true, Timestamp::now()).unwrap().unsigned, None);
    }

    pub(crate) fn rotate(&self, changes: &[RootChange]) {
        self.rotate_with(changes, Vec::new());
    }

    fn rotate_with(&self, changes: &[RootChange], leaving: Vec<SigningKey>) {
        let desk = self.desk();
        desk.change_root(changes, Timestamp::now()).unwrap();
        let keys: Vec<SigningKey> = self.keys().into_iter().chain(leaving).collect();
        assert_eq!(desk.sign(&keys, false, Timestamp::now()).unwrap().unsigned, None);
    }

    /// New keys for these roles. The old ones sign the change, as far as it needs them, and are gone.
    pub(crate) fn replace_keys(&self, roles: &[Role]) {
        let mut leaving = Vec::new();
        let mut changes = Vec::new();
        for role in roles {
            let old = self.keys_of(*role);
            let remove = old.iter().map(|key| key.public().unwrap().id()).collect();
            std::fs::remove_dir_all(self.key_folder(*role)).unwrap();
            let add = vec![self.new_key(*role).public().unwrap()];
            changes.push(RootChange { role: *role, add, remove, threshold: None });
            leaving.extend(old);
        }
        self.rotate_with(&changes, leaving);
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.desk().files().unwrap()
    }

    /// What the desk has now, in a place where an attacker can change it.
    pub(crate) fn mirror(&self) -> Arc<Memory> {
        Arc::new(Memory::new(self.files()))
    }

    /// The trust of the host; the same each time.
    pub(crate) fn trust(&self) -> Trust {
        Trust::open(&self.first_root(), &self.folder.path().join("trust.json")).unwrap()
    }

    pub(crate) fn keys_of(&self, role: Role) -> Vec<SigningKey> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(self.key_folder(role)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| SigningKey::read(path).unwrap()).collect()
    }

    /// A timestamp of this version, signed by the right key.
    pub(crate) fn forged_timestamp(&self, version: u64) -> Vec<u8> {
        let change = |signed: &mut Value| signed["version"] = version.into();
        forged::<tough::schema::Timestamp>(&self.files()["timestamp.json"], &self.keys_of(Role::Timestamp), change)
    }

    /// The next list of releases, empty, signed by these keys, and what belongs to it by the right ones.
    pub(crate) fn forged_list(&self, keys: &[SigningKey]) -> Vec<(String, Vec<u8>)> {
        let files = self.files();
        let next = |role: Role| {
            let newest = self.version_of(role);
            (newest + 1, &files[&role.file(newest)])
        };
        let (list, bytes) = next(Role::Targets);
        let targets = forged::<tough::schema::Targets>(bytes, keys, |signed| {
            signed["version"] = list.into();
            signed["targets"] = Value::Object(serde_json::Map::new());
        });
        let (version, bytes) = next(Role::Snapshot);
        let snapshot = forged::<tough::schema::Snapshot>(bytes, &self.keys_of(Role::Snapshot), |signed| {
            signed["version"] = version.into();
            signed["meta"]["targets.json"] = serde_json::json!({ "version": list });
        });
        let stamp = &files["timestamp.json"];
        let timestamp = forged::<tough::schema::Timestamp>(stamp, &self.keys_of(Role::Timestamp), |signed| {
            signed["version"] = (signed["version"].as_u64().unwrap() + 1).into();
            signed["meta"]["snapshot.json"] = serde_json::json!({ "version": version });
        });
        vec![
            (Role::Targets.file(list), targets),
            (Role::Snapshot.file(version), snapshot),
            (Role::Timestamp.file(1), timestamp),
        ]
    }

    /// The newest version of a role's metadata.
    pub(crate) fn version_of(&self, role: Role) -> u64 {
        let files = self.files();
        (1..100).rev().find(|version| files.contains_key(&role.file(*version))).unwrap()
    }

    fn keys(&self) -> Vec<SigningKey> {
        Role::ALL.iter().flat_map(|role| self.keys_of(*role)).collect()
    }

    pub(crate) fn new_key(&self, role: Role) -> SigningKey {
        std::fs::create_dir_all(self.key_folder(role)).unwrap();
        let number = std::fs::read_dir(self.key_folder(role)).unwrap().count();
        SigningKey::create(&self.key_folder(role).join(format!("{number}.pem"))).unwrap()
    }

    fn key_folder(&self, role: Role) -> PathBuf {
        self.folder.path().join("keys").join(role.name())
    }

    /// The root that trust starts from.
    pub(crate) fn first_root(&self) -> PathBuf {
        self.desk_folder().join("metadata/1.root.json")
    }

    pub(crate) fn desk_folder(&self) -> PathBuf {
        self.folder.path().join("desk")
    }
}

/// Metadata with a change, signed anew.
fn forged<T: tough::schema::Role + serde::de::DeserializeOwned>(
    original: &[u8],
    keys: &[SigningKey],
    change: impl FnOnce(&mut Value),
) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(original).unwrap();
    change(&mut document["signed"]);
    let message = serde_json::from_value::<T>(document["signed"].clone()).unwrap().canonical_form().unwrap();
    let sign = |key: &SigningKey| serde_json::json!({ "keyid": key.public().unwrap().id(), "sig": hex::encode(key.sign(&message)) });
    document["signatures"] = keys.iter().map(sign).collect();
    serde_json::to_vec(&document).unwrap()
}
