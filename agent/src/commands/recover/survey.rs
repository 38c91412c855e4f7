//! What there is to recover from; changes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use flota_daemon::error_chain::chain;
use flota_engine::State;
use flota_model::Digest;
use flota_procedures::bundle::{self, Verdict};
use flota_procedures::package::{self, CheckRequest, SignatureVerdict};
use flota_procedures::recover::{FileProof, FoundRelease, NoUpdate, Origin, Restoration, Tree, choose_update};
use flota_seal::secret::Secret;

use crate::procedures::{digest_of, present, read_key};
use crate::settings::Settings;
use flota_updater::Journal;

/// Exports that are tried, newest first, before the search ends: each may have half a gigabyte.
const MAX_EXPORTS_TRIED: usize = 20;

/// What was found on the host and in the backup.
pub(super) struct Survey {
    /// The newest export whose signature holds.
    pub(super) export: Option<FileProof>,
    /// Newer ones whose signature does not.
    pub(super) bad_exports: Vec<PathBuf>,
    /// Every release.
    pub(super) releases: Vec<FoundRelease>,
    /// What the agent's journal says; none if it is lost.
    pub(super) state: Option<State>,
    /// What restoring the backup comes to; none without one.
    pub(super) restoration: Option<Restoration>,
    /// Whether the host has something that `current` names.
    pub(super) is_installed: bool,
}

impl Survey {
    pub(super) fn take(settings: &Settings, backup: Option<&Path>, given: Option<&Path>) -> Result<Self, String> {
        let places = Places { root: &settings.root, backup };
        let restoration = match backup {
            None => None,
            Some(backup) => {
                let host = if settings.root.is_dir() { Tree::scan_host(&settings.root) } else { Ok(Tree::default()) };
                let scanned = Tree::scan(backup).and_then(|backup| Ok((backup, host?)));
                let (backup, host) = scanned.map_err(|error| chain(&error))?;
                Some(Restoration::plan(&backup, &host))
            }
        };
        let state = places.both(&settings.updater.state_dir).find_map(|folder| Journal::peek(&folder).transpose());
        let state = state.transpose().map_err(|error| chain(&error))?;
        let (export, bad_exports) = last_export(settings, &places)?;
        let releases = releases(settings, &places, given, state.as_ref())?;
        let is_installed = settings.root.join("current").exists();
        Ok(Self { export, bad_exports, releases, state, restoration, is_installed })
    }

    /// The release to apply.
    pub(super) fn update(&self) -> Result<&FoundRelease, NoUpdate> {
        choose_update(&self.releases)
    }

    /// That release again, in a run that goes on.
    pub(super) fn release(&self, digest: Digest) -> Option<&FoundRelease> {
        let mut found = self.releases.iter().filter(|release| release.digest == digest);
        let usable = found.clone().find(|release| release.refused.is_none());
        usable.or_else(|| found.next())
    }
}

/// A file as proof of something.
pub(super) fn proof(path: &Path) -> Option<FileProof> {
    let (sha256, size) = digest_of(path).ok()?;
    Some(FileProof { file: path.display().to_string(), sha256, size })
}

/// The proof of a release: its package, or the manifest of its folder.
pub(super) fn release_proof(release: &FoundRelease) -> Option<FileProof> {
    let folder = release.path.is_dir();
    proof(&if folder { release.path.join(package::DEFAULT_MANIFEST) } else { release.path.clone() })
}

/// The host before the backup: what is on the host is newer.
struct Places<'a> {
    root: &'a Path,
    backup: Option<&'a Path>,
}

impl Places<'_> {
    /// Both places of a path of the installation.
    fn both(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let inside = path.strip_prefix(self.root).ok();
        let in_backup = self.backup.zip(inside).map(|(backup, inside)| backup.join(inside));
        std::iter::once(path.to_owned()).chain(in_backup)
    }

    fn key(&self, path: &Path, setting: &'static str) -> Result<Secret, String> {
        let there = self.both(path).find(|path| path.is_file());
        read_key(there.as_deref().unwrap_or(path), setting).map_err(|error| chain(&error))
    }
}

/// The newest export that is as it was signed, and the newer ones that are not.
fn last_export(settings: &Settings, places: &Places<'_>) -> Result<(Option<FileProof>, Vec<PathBuf>), String> {
    let mut exports = Vec::new();
    for folder in places.both(&settings.root.join(&settings.export.output_dir)) {
        let named = entries(&folder)?.into_iter().filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            let is_export = name.strip_suffix(".json")?.starts_with("security_bundle_");
            is_export.then_some((name, path))
        });
        exports.extend(named);
    }
    // The names carry the time.
    exports.sort_by(|one, other| other.cmp(one));
    let mut bad = Vec::new();
    if exports.is_empty() {
        return Ok((None, bad));
    }
    let key = places.key(&settings.export.key_file, "export.key_file")?;
    for (_, path) in exports.into_iter().take(MAX_EXPORTS_TRIED) {
        match bundle::verify(&path, &key) {
            Verdict::Valid { .. } => return Ok((proof(&path), bad)),
            Verdict::Invalid(_) => bad.push(path),
        }
    }
    Ok((None, bad))
}

fn releases(
    settings: &Settings,
    places: &Places<'_>,
    given: Option<&Path>,
    state: Option<&State>,
) -> Result<Vec<FoundRelease>, String> {
    let key = places.key(&settings.updater.package.key_file, "package.key_file")?;
    let running = state.and_then(State::running).map(|running| running.digest);
    let current = places.both(&settings.root.join("current")).find_map(|link| {
        let target = fs::read_link(link).ok()?;
        target.file_name()?.to_str()?.parse::<Digest>().ok()
    });
    let mut found = Vec::new();
    if let Some(path) = given {
        let digest = digest_of(path).map_err(|error| format!("reading the package {}: {error}", path.display()))?.0;
        found.push((digest, path.to_owned(), Origin::Given));
    }
    for folder in places.both(&settings.root.join("releases")) {
        for path in entries(&folder)? {
            let Some(digest) = path.file_name().and_then(|name| name.to_str()?.parse::<Digest>().ok()) else {
                continue;
            };
            let origin = match digest {
                _ if Some(digest) == running => Origin::Journal,
                _ if Some(digest) == current => Origin::Current,
                _ => Origin::Present,
            };
            found.push((digest, path, origin));
        }
    }
    let judged = found.into_iter().map(|(digest, path, origin)| {
        let (version, refused) = judge(&path, &key);
        let denied = state.and_then(|state| state.denied().get(&digest));
        let denied = denied.map(|why| format!("this host went back from it: {why}"));
        FoundRelease { digest, version, path, origin, refused: refused.or(denied) }
    });
    Ok(judged.collect())
}

/// The version of a package, and why it cannot be applied.
fn judge(path: &Path, key: &Secret) -> (String, Option<String>) {
    match package::check(&CheckRequest { key: Some(key), ..CheckRequest::new(path, present()) }) {
        Err(error) => (String::new(), Some(chain(&error))),
        Ok(report) => {
            let refused = match report.signature() {
                _ if !report.is_ok() => Some(report.errors().join("; ")),
                SignatureVerdict::Valid { .. } => None,
                SignatureVerdict::Invalid | SignatureVerdict::NotChecked => Some("it is not signed".to_owned()),
            };
            (report.manifest().version().to_owned(), refused)
        }
    }
}

/// What is in a folder, in the order of the names; nothing if it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("listing {}: {error}", folder.display());
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let paths: Result<Vec<_>, _> = listed.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    Ok(paths)
}
