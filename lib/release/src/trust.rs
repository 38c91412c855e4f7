//! What this machine believes about releases, kept so that neither a crash nor an attacker takes it back.
//!
//! The client of the crate `tough` does the verification; it works in a folder of its own that is made from the kept
//! state and thrown away. The state is one file, replaced whole. It starts from the root that people installed.

mod kept;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tough::schema::{Root, Signed};
use tough::{Limits, Repository, RepositoryLoader};

use crate::admit::Floors;
use crate::catalogue::{Catalogue, Expiry, entries, root_expiry};
use crate::names::Role;
use crate::refusal::{RefreshError, sort};
use crate::source::{Bridge, MAX_METADATA_BYTES, MetadataSource};
use kept::Kept;

/// Most new root files in one refresh: at one a year, a lifetime's.
const MAX_NEW_ROOTS: u64 = 64;
/// A source that has not given the few files by then is as good as silent (TUF: slow retrieval attack).
const DEADLINE: Duration = Duration::from_mins(1);
/// Mode bits: write for group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Where the client believes the files to be; only their names go on to the source.
const BASE: &str = "flota://releases/metadata/";

/// Why there is no trust to begin with. People must mend it; nothing that is installed is touched by it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file with the first root cannot be read.
    #[error("reading the release root {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner can write it, so it says nothing.
    #[error("{} can be written by its group or by everybody: chmod go-w it, after a look at who wrote it", .0.display())]
    Writable(PathBuf),
    /// It is no root that is signed by its own keys.
    #[error("the release root is not one: {0}; take metadata/1.root.json of the folder in which releases are signed")]
    NotARoot(String),
}

/// What is believed.
#[derive(Debug)]
pub struct Trust {
    state: PathBuf,
    pinned: Vec<u8>,
}

impl Trust {
    /// Begins with the root that people installed at `root`; what was learned since is kept at `state`.
    pub fn open(root: &Path, state: &Path) -> Result<Self, TrustError> {
        let read = |source| TrustError::Read { path: root.to_owned(), source };
        let mut file = File::open(root).map_err(read)?;
        if file.metadata().map_err(read)?.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(TrustError::Writable(root.to_owned()));
        }
        let mut pinned = Vec::new();
        file.read_to_end(&mut pinned).map_err(read)?;
        check_root(&pinned)?;
        Ok(Self { state: state.to_owned(), pinned })
    }

    /// Asks a source for newer metadata and believes them if they deserve it. One refresh at a time.
    ///
    /// On a refusal, what was verified before the point of refusal is kept: a newer root, the time.
    pub async fn refresh(&self, source: Arc<dyn MetadataSource>) -> Result<Catalogue, RefreshError> {
        let (kept, catalogue) = self.weigh(source).await?;
        kept.write(&self.state).map_err(|error| RefreshError::Local(error.into()))?;
        catalogue
    }

    /// What [`Self::refresh`] would say; nothing is kept of it.
    pub async fn preview(&self, source: Arc<dyn MetadataSource>) -> Result<Catalogue, RefreshError> {
        self.weigh(source).await?.1
    }

    async fn weigh(
        &self,
        source: Arc<dyn MetadataSource>,
    ) -> Result<(Kept, Result<Catalogue, RefreshError>), RefreshError> {
        let mut kept = Kept::read(&self.state);
        kept.pin(&self.pinned);
        let work = tempfile::tempdir().map_err(|error| RefreshError::Local(error.into()))?;
        kept.unfold(work.path()).map_err(|error| RefreshError::Local(error.into()))?;
        let loaded = match tokio::time::timeout(DEADLINE, load(&kept, work.path(), source)).await {
            Ok(loaded) => loaded,
            Err(elapsed) => Err(RefreshError::Unavailable(elapsed.into())),
        };
        kept.fold(work.path()).map_err(|error| RefreshError::Local(error.into()))?;
        let catalogue = loaded.and_then(|repository| {
            Ok(Catalogue { entries: entries(repository.targets())?, expiries: expiries(&repository) })
        });
        Ok((kept, catalogue))
    }

    /// The floors that hold on this machine.
    pub fn floors(&self) -> Floors {
        Kept::read(&self.state).floors
    }

    /// Keeps floors; on disk when this returns.
    pub fn keep_floors(&self, floors: Floors) -> Result<(), RefreshError> {
        let mut kept = Kept::read(&self.state);
        kept.floors = floors;
        kept.write(&self.state).map_err(|error| RefreshError::Local(error.into()))
    }
}

/// Checks that these bytes are a root that is signed by enough of its own keys.
pub fn check_root(bytes: &[u8]) -> Result<(), TrustError> {
    let root: Signed<Root> = serde_json::from_slice(bytes).map_err(|error| TrustError::NotARoot(error.to_string()))?;
    root.signed.verify_role(&root).map_err(|error| TrustError::NotARoot(error.to_string()))
}

async fn load(kept: &Kept, work: &Path, source: Arc<dyn MetadataSource>) -> Result<Repository, RefreshError> {
    let base = url::Url::parse(BASE).map_err(|error| RefreshError::Local(error.into()))?;
    let limits = Limits {
        max_root_size: MAX_METADATA_BYTES,
        max_targets_size: MAX_METADATA_BYTES,
        max_timestamp_size: MAX_METADATA_BYTES,
        max_snapshot_size: MAX_METADATA_BYTES,
        max_root_updates: MAX_NEW_ROOTS,
    };
    let loader = RepositoryLoader::new(&kept.root, base.clone(), base).transport(Bridge(source)).limits(limits);
    loader.datastore(work).load().await.map_err(sort)
}

fn expiries(repository: &Repository) -> Vec<Expiry> {
    let (targets, snapshot) = (&repository.targets().signed, &repository.snapshot().signed);
    let timestamp = &repository.timestamp().signed;
    vec![
        root_expiry(repository.root()),
        Expiry { role: Role::Targets, version: targets.version.get(), at: targets.expires },
        Expiry { role: Role::Snapshot, version: snapshot.version.get(), at: snapshot.expires },
        Expiry { role: Role::Timestamp, version: timestamp.version.get(), at: timestamp.expires },
    ]
}
