//! Where metadata come from. None of it is believed for that.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures_util::stream;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};

use crate::names::is_metadata_name;

/// Largest metadata file. A thousand releases take about 600 KiB.
pub const MAX_METADATA_BYTES: u64 = 1 << 20;

/// A source did not answer. Asking again later may help.
#[derive(Debug, thiserror::Error)]
#[error("asking for {name}")]
pub struct SourceError {
    /// For which file.
    pub name: String,
    /// Why it did not answer.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// A place that has metadata files by name.
#[async_trait]
pub trait MetadataSource: fmt::Debug + Send + Sync {
    /// The file of that name; `None` if there is none. Need not give more than [`MAX_METADATA_BYTES`] and one byte.
    async fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError>;
}

/// A folder, as a desk or a memory stick has it.
#[derive(Debug, Clone)]
pub struct Folder(pub PathBuf);

impl Folder {
    fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_METADATA_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

#[async_trait]
impl MetadataSource for Folder {
    async fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let path = self.0.join(name);
        let read = tokio::task::spawn_blocking(move || Self::read(&path)).await;
        let failed = |source: Box<dyn Error + Send + Sync>| SourceError { name: name.to_owned(), source };
        read.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))
    }
}

/// Files in memory: what an upload brought.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: Arc<RwLock<BTreeMap<String, Vec<u8>>>>,
}

impl Memory {
    /// These files.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { files: Arc::new(RwLock::new(files)) }
    }

    /// Puts a file in the place of one of that name; `None` takes it away.
    pub fn set(&self, name: &str, bytes: Option<Vec<u8>>) {
        // Single insertions and removals: a panic elsewhere leaves the map whole.
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        match bytes {
            Some(bytes) => files.insert(name.to_owned(), bytes),
            None => files.remove(name),
        };
    }
}

#[async_trait]
impl MetadataSource for Memory {
    async fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.files.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }
}

/// A source, as the TUF client reads one.
#[derive(Debug, Clone)]
pub(crate) struct Bridge(pub(crate) Arc<dyn MetadataSource>);

#[async_trait]
impl Transport for Bridge {
    async fn fetch(&self, url: url::Url) -> Result<TransportStream, TransportError> {
        let name = url.path().rsplit('/').next().unwrap_or_default();
        let missing = || TransportError::new(TransportErrorKind::FileNotFound, &url);
        if !is_metadata_name(name) {
            return Err(missing());
        }
        let found = self.0.metadata(name).await;
        let bytes = found.map_err(|error| TransportError::new_with_cause(TransportErrorKind::Other, &url, error))?;
        let bytes = bytes.ok_or_else(missing)?;
        Ok(Box::pin(stream::iter([Ok(bytes.into())])))
    }
}
