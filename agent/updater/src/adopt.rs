//! A plain installation becomes one that Flota updates: its program is packed, as a release like any other, and `current`
//! names it. Nothing of the installation is moved or changed, so it can be undone.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_model::Digest;
use flota_model::release::ReleaseRef;
use flota_package::{BuildError, PackageBuilder};
use serde::{Deserialize, Serialize};

use crate::driver::SpawnError;
use crate::files::{KeyFileError, digest_of, read_key};
use crate::journal::{Journal, JournalError};
use crate::offline::Offline;
use crate::settings::UpdaterSettings;
use crate::slots::{SlotError, Slots, at};

/// What is data, and Flota's own, in every installation (manual §1, §6): it stays where it is.
const NEVER_PROGRAM: [&str; 7] = ["config", "current", "exports", "logs", "releases", "secrets", "var"];
/// What an unpacked package brings along; the new one has its own.
const OF_A_PACKAGE: [&str; 3] = ["manifest.json", "manifest.sig", "manifest.json.sig"];
/// Where the package and the record of it are, in the agent's state folder.
const FOLDER: &str = "adopted";
const RECORD: &str = "adopted.json";

/// Why nothing was adopted, or it was not undone. Nothing of the installation was touched.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// There is a `current` already.
    #[error("this installation runs release {} already: there is nothing to adopt", .0.short())]
    Adopted(Digest),
    /// Nothing that could be the program.
    #[error("{} holds no program: everything in it is data", .0.display())]
    Empty(PathBuf),
    /// A link or device, which no package holds.
    #[error("{} is neither a file nor a folder, so no package holds it: name it as data (--data), or replace it", .0.display())]
    Special(PathBuf),
    /// An update is not over, or another release runs by now.
    #[error("{0}")]
    TooLate(String),
    /// There is no record of an adoption.
    #[error("nothing was adopted here")]
    Nothing,
    /// The key.
    #[error("reading the package key")]
    Key(#[from] KeyFileError),
    /// The package.
    #[error("building the package")]
    Build(#[from] BuildError),
    /// The agent runs, most often.
    #[error(transparent)]
    Open(#[from] SpawnError),
    /// The same.
    #[error("opening the update journal")]
    Journal(#[from] JournalError),
    /// A file or folder, of the releases or of the installation.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The release that was built is not accepted.
    #[error("placing the release: {0}")]
    Place(String),
}

/// What is the program and what is data.
#[derive(Debug)]
pub struct Division {
    /// Names in the bot's folder that become the release.
    pub program: Vec<String>,
    /// Names that stay as they are.
    pub data: Vec<String>,
}

/// What was adopted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// The release.
    pub digest: Digest,
    /// Its version.
    pub version: String,
    /// Its package, to be signed.
    pub package: PathBuf,
    /// Size of the package, in bytes.
    pub size: u64,
}

/// Divides the bot's folder; `data` names what is data beside the usual.
pub fn divide(settings: &UpdaterSettings, data: &[String]) -> Result<Division, AdoptError> {
    let root = &settings.root;
    let mut division = Division { program: Vec::new(), data: Vec::new() };
    for entry in fs::read_dir(root).map_err(at("reading", root))? {
        let name = entry.map_err(at("reading", root))?.file_name().to_string_lossy().into_owned();
        let kept = NEVER_PROGRAM.contains(&name.as_str()) || data.contains(&name) || name.starts_with('.');
        if kept || [&settings.state_dir, &settings.agent_dir].contains(&&root.join(&name)) {
            division.data.push(name);
        } else if !OF_A_PACKAGE.contains(&name.as_str()) {
            division.program.push(name);
        }
    }
    division.program.sort();
    division.data.sort();
    if division.program.is_empty() {
        return Err(AdoptError::Empty(root.clone()));
    }
    Ok(division)
}

/// Packs the program, places it as a release and lets `current` name it. The bot is neither stopped nor started.
pub async fn adopt(
    settings: Arc<UpdaterSettings>,
    division: &Division,
    package: &PackageBuilder,
    name: &str,
    version: &str,
) -> Result<Adopted, AdoptError> {
    if let Some(current) = Slots::open(&settings.root)?.current()? {
        return Err(AdoptError::Adopted(current.digest));
    }
    let key = read_key(&settings.package.key_file, "package.key_file")?;
    let folder = settings.state_dir.join(FOLDER);
    let tree = folder.join("tree");
    clear(&tree)?;
    fs::create_dir_all(&tree).map_err(at("making", &tree))?;
    for name in &division.program {
        copy(&settings.root.join(name), &tree.join(name))?;
    }
    let archive = folder.join(format!("{name}-{version}.tar.gz"));
    package.build(&tree, &key, &archive)?;
    clear(&tree)?;
    let (digest, size) = digest_of(&archive).map_err(at("reading", &archive))?;
    let adopted = Adopted { digest, version: version.to_owned(), package: archive.clone(), size };
    let record = serde_json::to_vec_pretty(&adopted).map_err(|error| at("writing", &folder)(error.into()))?;
    let path = folder.join(RECORD);
    flota_package::durable::write_file(&path, 0o644, &record).map_err(|error| AdoptError::Place(error.to_string()))?;
    let host = Offline::open(settings, Some(archive))?;
    let release = ReleaseRef { digest, version: version.to_owned(), size };
    host.place(&release).await.map_err(AdoptError::Place)?;
    Ok(adopted)
}

/// Takes an adoption back: the installation is as it was before.
pub fn undo(settings: &UpdaterSettings) -> Result<Adopted, AdoptError> {
    let folder = settings.state_dir.join(FOLDER);
    let record = folder.join(RECORD);
    let bytes = match fs::read(&record) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(AdoptError::Nothing),
        Err(error) => return Err(at("reading", &record)(error).into()),
    };
    let adopted: Adopted = serde_json::from_slice(&bytes).map_err(|error| at("reading", &record)(error.into()))?;
    let (_journal, state) = Journal::open(&settings.state_dir)?;
    // Whatever update is on its way, it would go back to this release.
    if let Some(state) = state.filter(|state| !state.phase().is_rest()) {
        let sentence = format!("an update is on its way ({}): start the agent and let it end", state.phase().name());
        return Err(AdoptError::TooLate(sentence));
    }
    let slots = Slots::open(&settings.root)?;
    if let Some(current) = slots.current()?.filter(|current| current.digest != adopted.digest) {
        let sentence = format!("release {} runs by now: roll it back first", current.digest.short());
        return Err(AdoptError::TooLate(sentence));
    }
    slots.unpoint()?;
    slots.remove(adopted.digest)?;
    clear(&folder)?;
    Ok(adopted)
}

fn copy(from: &Path, to: &Path) -> Result<(), AdoptError> {
    let kind = fs::symlink_metadata(from).map_err(at("looking at", from))?.file_type();
    if kind.is_file() {
        return Ok(fs::copy(from, to).map(drop).map_err(at("copying", from))?);
    }
    if !kind.is_dir() {
        return Err(AdoptError::Special(from.to_owned()));
    }
    fs::create_dir(to).map_err(at("making", to))?;
    for child in fs::read_dir(from).map_err(at("reading", from))? {
        let name = child.map_err(at("reading", from))?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn clear(path: &Path) -> Result<(), AdoptError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at("removing", path)(error).into()),
        _ => Ok(()),
    }
}
