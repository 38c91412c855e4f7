//! `tpm-keys.json`: the attestation and TLS keys, wrapped by the TPM that made them.
//!
//! The private parts are encrypted by the TPM and useless without it; the file is for the owner's eyes all the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tss_esapi::structures::Public;
use tss_esapi::traits::UnMarshall as _;

use crate::{EndorsementKind, KeyChoice, TpmError, keys};

const NAME: &str = "tpm-keys.json";
/// The file is about 1 KiB; a larger one is none of ours.
const MAX_SIZE: u64 = 64 * 1024;

/// Content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredKeys {
    version: Version,
    /// TPMT_PUBLIC of the parent. Tells a key of another TPM from a damaged one.
    #[serde(with = "base64_text")]
    pub(crate) ek_public: Vec<u8>,
    pub(crate) ak: StoredKey,
    pub(crate) tls: StoredKey,
}

/// One key as TPM2_Create returned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredKey {
    /// TPMT_PUBLIC.
    #[serde(with = "base64_text")]
    pub(crate) public: Vec<u8>,
    /// Content of TPM2B_PRIVATE.
    #[serde(with = "base64_text")]
    pub(crate) private: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    V1,
}

impl StoredKeys {
    pub(crate) fn new(ek_public: Vec<u8>, ak: StoredKey, tls: StoredKey) -> Self {
        Self { version: Version::V1, ek_public, ak, tls }
    }

    /// Which endorsement key they hang on; `None` if it is one of no template.
    pub(crate) fn endorsement(&self) -> Option<EndorsementKind> {
        Public::unmarshall(&self.ek_public).ok().as_ref().and_then(EndorsementKind::of)
    }

    /// Refuses a choice that these keys contradict. `path` names the file in the error.
    pub(crate) fn agree_with(&self, choice: KeyChoice, path: &Path) -> Result<(), TpmError> {
        let differ = |what: &str, chosen: &str, kept: &str| {
            let of_kind = |kind: &str| format!("an {what} key of kind {kind}");
            TpmError::OtherChoice { path: path.to_path_buf(), chosen: of_kind(chosen), kept: of_kind(kept) }
        };
        match (choice.endorsement, self.endorsement()) {
            (Some(chosen), Some(kept)) if chosen != kept => {
                return Err(differ("endorsement", chosen.as_str(), kept.as_str()));
            }
            _ => {}
        }
        match (choice.attestation, keys::attestation_kind(&self.ak)) {
            (Some(chosen), Some(kept)) if chosen != kept => Err(differ("attestation", chosen.as_str(), kept.as_str())),
            _ => Ok(()),
        }
    }
}

/// Where the file is.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(NAME)
}

/// `None` if there is no file yet.
pub(crate) fn read(path: &Path) -> Result<Option<StoredKeys>, TpmError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(TpmError::key_file("opening", path))?,
    };
    let mut text = String::new();
    file.take(MAX_SIZE).read_to_string(&mut text).map_err(TpmError::key_file("reading", path))?;
    let keys = serde_json::from_str(&text);
    keys.map(Some).map_err(|source| TpmError::KeyFileFormat { path: path.to_path_buf(), source })
}

/// Replaces the file whole, and returns when that survives a power loss: keys that the controller knows and the host
/// has forgotten would cost a new enrolment.
pub(crate) fn write(path: &Path, keys: &StoredKeys) -> Result<(), TpmError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let text = serde_json::to_vec_pretty(keys)
        .map_err(|source| TpmError::KeyFileFormat { path: path.to_path_buf(), source })?;
    // The folders above are other programs' as well.
    fs::create_dir_all(folder.parent().unwrap_or(folder)).map_err(TpmError::key_file("creating", folder))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(TpmError::key_file("creating", folder))?;
    let temporary = path.with_extension("json.new");
    let write = || -> io::Result<()> {
        // A leftover of an earlier attempt could have another mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(TpmError::key_file("writing", &temporary))?;
    fs::rename(&temporary, path).map_err(TpmError::key_file("replacing", path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(TpmError::key_file("syncing", folder))
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn keys() -> StoredKeys {
        let key = |byte| StoredKey { public: vec![byte; 88], private: vec![byte; 126] };
        StoredKeys::new(vec![1; 314], key(2), key(3))
    }

    #[test]
    fn what_is_written_is_read_and_is_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("state"));
        assert_eq!(read(&path).unwrap(), None);
        write(&path, &keys()).unwrap();
        write(&path, &keys()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(keys()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_reason_for_new_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        for text in ["", "{}", r#"{"version":"2","ek_public":"","ak":{},"tls":{}}"#] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path), Err(TpmError::KeyFileFormat { .. })), "{text}");
        }
    }
}
