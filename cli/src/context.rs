//! Contexts: which controller, and with which certificate. A TOML file that people may edit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::failure::Failure;

/// The file as it stands. Relative paths in it are relative to its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Entry>,
}

/// One controller and the certificate for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// `https://host:port`.
    pub(crate) endpoint: String,
    /// PEM of the fleet's CA.
    pub(crate) ca_file: PathBuf,
    /// PEM of the operator's certificate.
    pub(crate) cert_file: PathBuf,
    /// PEM of its key.
    pub(crate) key_file: PathBuf,
}

/// A context that was chosen, with paths that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    /// Its name.
    pub(crate) name: String,
    /// Its contents.
    pub(crate) entry: Entry,
}

/// Why there is no context to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// The environment names no folder for it.
    #[error("cannot tell where the contexts file is: neither FLOTA_CONFIG nor HOME is set")]
    NoHome,
    /// There is a file, and it cannot be read.
    #[error("reading the contexts file {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not TOML of the form expected.
    #[error("the contexts file {} is not valid", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// It cannot be written.
    #[error("writing the contexts file {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No name given, and none is current.
    #[error("no context is chosen: it is not known which controller to ask")]
    NoneChosen {
        /// Those there are.
        known: Vec<String>,
    },
    /// A name that is not there.
    #[error("there is no context `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
}

/// Where the file is: `$FLOTA_CONFIG`, else `flota/contexts.toml` under `$XDG_CONFIG_HOME`, else under `~/.config`.
pub(crate) fn location(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ContextError> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = set("FLOTA_CONFIG") {
        return Ok(file);
    }
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    folder.map(|folder| folder.join("flota/contexts.toml")).ok_or(ContextError::NoHome)
}

impl Contexts {
    /// Reads the file; a file that is not there has no contexts.
    pub(crate) fn read(path: &Path) -> Result<Self, ContextError> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|source| ContextError::Parse { path: path.to_owned(), source: Box::new(source) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ContextError::Read { path: path.to_owned(), source }),
        }
    }

    /// Replaces the file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ContextError> {
        let failed = |source| ContextError::Write { path: path.to_owned(), source };
        let text = toml::to_string_pretty(self).map_err(|error| failed(io::Error::other(error)))?;
        replace(path, text.as_bytes()).map_err(failed)
    }

    /// The context of this name, or the current one; its paths made independent of the working folder.
    pub(crate) fn choose(&self, name: Option<&str>, file: &Path) -> Result<Context, ContextError> {
        let name = name.or(self.current.as_deref()).ok_or_else(|| ContextError::NoneChosen { known: self.names() })?;
        let entry = self.entry(name)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let absolute = |path: &Path| folder.join(path);
        Ok(Context {
            name: name.to_owned(),
            entry: Entry {
                endpoint: entry.endpoint.clone(),
                ca_file: absolute(&entry.ca_file),
                cert_file: absolute(&entry.cert_file),
                key_file: absolute(&entry.key_file),
            },
        })
    }

    /// The entry of this name as it stands.
    pub(crate) fn entry(&self, name: &str) -> Result<&Entry, ContextError> {
        let unknown = || ContextError::Unknown { name: name.to_owned(), known: self.names() };
        self.contexts.get(name).ok_or_else(unknown)
    }

    fn names(&self) -> Vec<String> {
        self.contexts.keys().cloned().collect()
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let exit = if matches!(error, ContextError::Unknown { .. }) { Exit::NotFound } else { Exit::Usage };
        let failure = Self::new(exit, error.to_string());
        let failure = std::error::Error::source(&error).into_iter().fold(failure, Self::because_of);
        match error {
            ContextError::NoneChosen { known } | ContextError::Unknown { known, .. } if !known.is_empty() => failure
                .detail(format!("known: {}", known.join(", ")))
                .fix("flota context use NAME")
                .fix("for one command:  --context NAME  or  FLOTA_CONTEXT=NAME"),
            ContextError::NoneChosen { .. } | ContextError::Unknown { .. } => failure.fix(ADD),
            ContextError::NoHome => failure.fix("FLOTA_CONFIG=FILE flota ..."),
            ContextError::Read { .. } | ContextError::Parse { .. } | ContextError::Write { .. } => failure,
        }
    }
}

const ADD: &str =
    "flota context add NAME --endpoint https://HOST:PORT --ca CA.pem --cert OPERATOR.pem --key OPERATOR.key --use";

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let part = folder.join(format!(".contexts.{}.part", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PLAIN;

    #[test]
    fn the_file_is_found_by_the_environment() {
        let with = |pairs: &'static [(&str, &str)]| {
            location(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("FLOTA_CONFIG", "/a/b"), ("HOME", "/h")]).unwrap(), Path::new("/a/b"));
        assert_eq!(with(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]).unwrap(), Path::new("/x/flota/contexts.toml"));
        assert_eq!(with(&[("HOME", "/h")]).unwrap(), Path::new("/h/.config/flota/contexts.toml"));
        assert!(matches!(with(&[]), Err(ContextError::NoHome)));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/contexts.toml");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        let text = "current = \"demo\"\n[contexts.demo]\nendpoint = \"https://127.0.0.1:7443\"\n\
                    ca_file = \"ca.pem\"\ncert_file = \"/etc/op.pem\"\nkey_file = \"keys/op.key\"\n";
        let contexts: Contexts = toml::from_str(text).unwrap();
        contexts.write(&path).unwrap();
        assert_eq!(Contexts::read(&path).unwrap(), contexts);
        let chosen = contexts.choose(None, &path).unwrap();
        assert_eq!(chosen.entry.ca_file, folder.path().join("deep/ca.pem"));
        assert_eq!(chosen.entry.cert_file, Path::new("/etc/op.pem"));
    }

    #[test]
    fn a_missing_context_says_how_to_mend_it() {
        let none = Contexts::default().choose(None, Path::new("x")).unwrap_err();
        let text = Failure::from(none).render(PLAIN).unwrap();
        assert!(text.contains("flota context add NAME --endpoint"), "{text}");
        let unknown = Contexts::default().choose(Some("prod"), Path::new("x")).unwrap_err();
        assert_eq!(Failure::from(unknown).exit(), Exit::NotFound);
    }
}
