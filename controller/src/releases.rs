//! Releases: what operators signed, kept for the hosts. The controller verifies as a host does, so that nothing is stored
//! that no host would believe; it has no key, and its word counts for nothing.

use std::path::Path;
use std::sync::Arc;

use flota_model::release::{Release, ReleaseRef};
use flota_package::CheckRequest;
use flota_release::{Catalogue, Entry, MAX_METADATA_BYTES, Memory, RefreshError, Terms, Trust};
use flota_store::{Publish, ReleaseMetadata};
use serde_json::json;

use crate::blobs::Presence;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// The first root, in the data folder: `metadata/1.root.json` of the folder in which releases are signed.
pub const ROOT: &str = "release-root.json";
/// What was believed last.
const TRUST: &str = "release-trust.json";
/// Metadata files of one upload: every root since the first, and three.
const MAX_FILES: usize = 128;

/// What an upload changed.
pub struct Published {
    /// What is signed now.
    pub catalogue: Catalogue,
    /// Releases that are new here.
    pub published: Vec<Release>,
    /// Releases that were signed before and are not any more.
    pub withdrawn: Vec<Release>,
}

/// Takes over newer metadata, and enters the releases that they sign.
pub async fn publish(core: &Core, actor: &str, files: ReleaseMetadata) -> Result<Published, Fault> {
    let largest = usize::try_from(MAX_METADATA_BYTES).unwrap_or(usize::MAX);
    if files.len() > MAX_FILES || files.values().any(|contents| contents.len() > largest) {
        return Err(Fault::new(Code::TooMuch, "that is more metadata than a folder of releases has"));
    }
    let _alone = core.releases.lock().await;
    // What was believed until now, to tell what is withdrawn; it may have expired, and then nothing was.
    let before = believed(core).await.map(|catalogue| catalogue.entries).unwrap_or_default();
    let trust = trust(core)?;
    let catalogue = trust.preview(Arc::new(Memory::new(files.clone()))).await.map_err(refused)?;
    let known = core.store.releases().await?;
    let mut published = Vec::new();
    for entry in &catalogue.entries {
        if known.iter().any(|release| release.target.digest == entry.digest) {
            continue;
        }
        let release = enter(core, actor, entry).await?;
        published.push(release);
    }
    let gone = |release: &&Release| {
        let digest = &release.target.digest;
        before.iter().any(|entry| entry.digest == *digest) && catalogue.find(digest).is_none()
    };
    let withdrawn: Vec<Release> = known.iter().filter(gone).cloned().collect();
    let versions = |releases: &[Release]| -> Vec<String> {
        releases.iter().map(|release| release.target.version.clone()).collect()
    };
    let details = json!({
        "published": versions(&published), "withdrawn": versions(&withdrawn),
        "versions": catalogue.expiries.iter().map(|expiry| (expiry.role.name(), expiry.version)).collect::<Vec<_>>(),
    });
    let audit = core.audit_by(actor, "release.metadata", "releases".to_owned(), "ok", &details);
    core.store.set_release_metadata(&files, &audit).await?;
    // Only now: were they believed before they are stored, those that are stored would be too old to be believed.
    trust.refresh(Arc::new(Memory::new(files))).await.map_err(refused)?;
    Ok(Published { catalogue, published, withdrawn })
}

/// What is signed, if that is believed now.
pub async fn signed(core: &Core) -> Result<Catalogue, Fault> {
    let _alone = core.releases.lock().await;
    believed(core).await
}

/// Whether a rollout of this release may begin: it is signed, and will be for as long as hosts may ask. Gives its terms.
pub async fn check_signed(core: &Core, release: &ReleaseRef) -> Result<Terms, Fault> {
    let catalogue = signed(core).await?;
    let entry = catalogue.find(&release.digest).ok_or_else(|| {
        let sentence = format!("release {} is not signed any more: no host would install it", release.version);
        Fault::new(Code::PackageRefused, sentence).fix("flota release list")
    })?;
    Ok(entry.terms.clone())
}

async fn believed(core: &Core) -> Result<Catalogue, Fault> {
    let trust = trust(core)?;
    let files = core.store.release_metadata().await?;
    if files.is_empty() {
        return Err(Fault::new(Code::NotFound, "no release is signed").fix("flota release init, sign, publish"));
    }
    trust.refresh(Arc::new(Memory::new(files))).await.map_err(refused)
}

fn trust(core: &Core) -> Result<Trust, Fault> {
    let root = core.settings.data_dir.join(ROOT);
    if !root.is_file() {
        let fix = format!("copy metadata/1.root.json of the folder in which releases are signed to {}", root.display());
        return Err(Fault::new(Code::WrongState, "this controller knows no root of releases").fix(fix));
    }
    Trust::open(&root, &core.settings.data_dir.join(TRUST))
        .map_err(|error| Fault::new(Code::WrongState, flota_daemon::error_chain::chain(&error)))
}

fn refused(error: RefreshError) -> Fault {
    match &error {
        RefreshError::Refused { refusal, .. } => {
            let sentence = format!("the release metadata are not believed: {refusal} [{}]", refusal.code());
            Fault::new(Code::PackageRefused, sentence)
                .fix("flota release verify DIR; flota release sign DIR --extend")
                .because(error)
        }
        RefreshError::Unavailable(_) => Fault::new(Code::PackageRefused, "the release metadata are not complete")
            .fix("upload the folder anew: flota release publish DIR")
            .because(error),
        RefreshError::Clock { .. } => {
            Fault::new(Code::Unavailable, format!("the controller's clock is wrong: {error}"))
        }
        _ => Fault::new(Code::Unavailable, "the controller cannot keep what it believes of releases").because(error),
    }
}

/// Enters a release whose package is here and is what its terms say.
async fn enter(core: &Core, actor: &str, entry: &Entry) -> Result<Release, Fault> {
    let Entry { digest, size, terms, .. } = entry;
    if core.blobs.presence(digest) != (Presence::Whole { size: *size }) {
        let sentence = format!("the package of release {} is not uploaded", terms.version);
        return Err(Fault::new(Code::NotFound, sentence).fix("flota release publish DIR uploads it"));
    }
    let (path, now) = (core.blobs.path(digest), core.now());
    let (blobs, blob) = (core.blobs.clone(), *digest);
    let work = tokio::task::spawn_blocking(move || {
        let found = inspect(&path, now.as_micros())?;
        // Cut now, so that the first host does not wait for it.
        blobs.index(&blob)?;
        Ok::<_, Fault>(found)
    });
    let found = work.await.map_err(|error| Fault::new(Code::Bug, "the check ended early").because(error))??;
    if found != terms.version {
        let sentence = format!("the package of release {} says that it is {found}", terms.version);
        return Err(Fault::new(Code::PackageRefused, sentence).fix("sign the package anew: flota release sign"));
    }
    let release = Release {
        target: ReleaseRef { digest: *digest, version: terms.version.clone(), size: *size },
        id: terms.id.clone(),
        platform: terms.platform.clone(),
        runtime: terms.runtime.clone(),
        published_at: now,
        published_by: actor.to_owned(),
    };
    let details = json!({ "id": release.id, "version": release.target.version, "sequence": terms.sequence });
    let audit = core.audit_by(actor, "release.publish", format!("release/{digest}"), "ok", &details);
    match core.store.publish(&release, &audit).await? {
        Publish::Published | Publish::AlreadyThere => Ok(release),
        Publish::VersionTaken(other) => Err(Fault::new(
            Code::PackageRefused,
            format!("version {} is published already, as package {}", terms.version, other.short()),
        )
        .fix("build the package with a new version: a version means one package for ever")),
    }
}

/// The version of a package that is whole. Whether it is authentic only the hosts decide, with keys that are not here.
fn inspect(path: &Path, now_micros: i64) -> Result<String, Fault> {
    let refused = |sentence: String| {
        Fault::new(Code::PackageRefused, sentence)
            .fix("check it where it was built: flota-agent check-update-integrity")
    };
    let now = jiff::Timestamp::from_microsecond(now_micros)
        .map_err(|error| Fault::new(Code::Bug, "the clock is out of range").because(error))?;
    let report = flota_package::check(&CheckRequest::new(path, now)).map_err(|error| {
        refused(format!("the package cannot be checked: {}", flota_daemon::error_chain::chain(&error)))
    })?;
    if !report.is_ok() {
        return Err(refused(format!("the package is not whole: {}", report.errors().join("; "))));
    }
    Ok(report.manifest().version().to_owned())
}
