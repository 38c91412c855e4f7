//! The file that trust is kept in, and the client's folder that it folds out to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use flota_model::Digest;
use flota_package::durable::{self, WriteError};
use serde::{Deserialize, Serialize};
use tough::schema::{Root, Signed};

use crate::admit::Floors;

/// Permissions of the file: nothing in it is secret.
const MODE: u32 = 0o644;
/// What the client keeps beside the root.
const FILES: [&str; 4] = ["timestamp.json", "snapshot.json", "targets.json", "latest_known_time.json"];
/// The client's newest root.
const ROOT: &str = "root.json";

/// All that is kept.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The newest root, as JSON; empty before the first refresh.
    #[serde(with = "text")]
    pub(super) root: Vec<u8>,
    /// The client's other files by name.
    files: BTreeMap<String, String>,
    /// What must not be gone below.
    pub(super) floors: Floors,
}

impl Kept {
    /// Reads what is kept; nothing if there is nothing. A damaged file is put aside and the one before it counts, so
    /// that damage is no way to make a machine forget what it knows.
    pub(super) fn read(path: &Path) -> Self {
        for path in [path.to_owned(), before(path)] {
            match fs::read(&path) {
                Ok(bytes) => match parse(&bytes) {
                    Some(kept) => return kept,
                    None => put_aside(&path),
                },
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => tracing::error!(file = %path.display(), %error, "the release trust cannot be read"),
            }
        }
        Self::default()
    }

    /// Replaces what is kept. The file before it stays, under another name.
    pub(super) fn write(&self, path: &Path) -> Result<(), WriteError> {
        if let Ok(bytes) = fs::read(path)
            && parse(&bytes).is_some_and(|kept| kept != *self)
        {
            durable::write_file(&before(path), MODE, &bytes)?;
        }
        let body = serde_json::to_string(self)
            .map_err(|error| WriteError::Write { path: path.to_owned(), source: error.into() })?;
        durable::write_file(path, MODE, format!("{}\n{body}\n", Digest::of(body.as_bytes())).as_bytes())
    }

    /// Begins with the root that people installed. Once there is trust, a newer root in that place counts only if the
    /// keys of the known one signed it, like any root: who can write that file is not thereby who signs releases.
    pub(super) fn pin(&mut self, pinned: &[u8]) {
        let Some(known) = parsed(&self.root) else {
            self.root = pinned.to_vec();
            return;
        };
        let Some(installed) = parsed(pinned) else { return };
        if installed.signed.version <= known.signed.version {
            return;
        }
        match known.signed.verify_role(&installed) {
            Ok(()) => self.root = pinned.to_vec(),
            Err(error) => tracing::warn!(
                installed = installed.signed.version, known = known.signed.version, %error,
                "the installed release root is newer, and not signed by the keys of the one that is known: it is ignored"
            ),
        }
    }

    /// Makes the client's folder.
    pub(super) fn unfold(&self, folder: &Path) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    }

    /// Takes over what the client left in its folder, where it removed some of it as well.
    pub(super) fn fold(&mut self, folder: &Path) -> io::Result<()> {
        let read = |name: &str| match fs::read_to_string(folder.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        if let Some(root) = read(ROOT)?
            && version(root.as_bytes()) >= version(&self.root)
        {
            self.root = root.into_bytes();
        }
        self.files.clear();
        for name in FILES {
            if let Some(text) = read(name)? {
                self.files.insert(name.to_owned(), text);
            }
        }
        Ok(())
    }
}

/// Version of a root; 0 if it is none.
fn version(root: &[u8]) -> u64 {
    parsed(root).map_or(0, |root| root.signed.version.get())
}

fn parsed(root: &[u8]) -> Option<Signed<Root>> {
    serde_json::from_slice(root).ok()
}

fn parse(bytes: &[u8]) -> Option<Kept> {
    let (digest, body) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once('\n')?;
    if digest.parse::<Digest>().ok()? != Digest::of(body.as_bytes()) {
        return None;
    }
    serde_json::from_str(body).ok()
}

fn before(path: &Path) -> PathBuf {
    path.with_extension("before")
}

fn put_aside(path: &Path) {
    let aside = path.with_extension("corrupt");
    tracing::error!(file = %path.display(), kept_as = %aside.display(), "the release trust is damaged; using the one before");
    if let Err(error) = fs::rename(path, &aside) {
        tracing::error!(%error, "it cannot be put aside");
    }
}

/// Bytes of JSON as text.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, ser};

    #[expect(clippy::ptr_arg, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(bytes: &Vec<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(bytes).map_err(ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(String::deserialize(deserializer)?.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(security: u64) -> Kept {
        Kept { floors: Floors { security, ..Floors::default() }, ..Kept::default() }
    }

    #[test]
    fn damage_leaves_what_was_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.json");
        assert_eq!(Kept::read(&path), Kept::default());
        for security in 1..=3 {
            kept(security).write(&path).unwrap();
            assert_eq!(Kept::read(&path), kept(security));
        }
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() / 2], b"", b"x\n{}\n"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(Kept::read(&path), kept(2), "the one before");
            assert_eq!(fs::read(folder.path().join("trust.corrupt")).unwrap(), damaged);
        }
        kept(2).write(&path).unwrap();
        assert_eq!(Kept::read(&path), kept(2));
    }
}
