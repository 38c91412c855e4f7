//! A package by its chunks: what the installed releases hold is not fetched, a cut costs one chunk at most, and each chunk
//! is verified before it is used.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flota_chunks::{Assembly, AssemblyError, Index, MAX_INDEX_BYTES, Run, Seeds, Tally};
use flota_model::release::ReleaseRef;
use flota_proto::v1;
use flota_proto::v1::blobs_client::BlobsClient;
use flota_updater::OutsideError;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::remote;

const WHAT: &str = "fetching the package";

/// The way that a package comes.
pub(super) struct Way<'a> {
    pub(super) client: BlobsClient<Channel>,
    /// Bytes a second that it may take; none: as fast as it goes.
    pub(super) rate: Option<NonZeroU64>,
    /// Counts the bytes that come.
    pub(super) received: &'a AtomicU64,
}

/// Brings a package to `into`.
pub(super) async fn fetch(
    way: Way<'_>,
    release: &ReleaseRef,
    into: &Path,
    seeds: &[PathBuf],
) -> Result<(), OutsideError> {
    let Way { mut client, rate, received } = way;
    if let Some(folder) = into.parent() {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| OutsideError::transient(format!("making {}", folder.display()), error))?;
    }
    let index = kept_index(&mut client, release, &into.with_extension("index")).await?;
    let (path, folders) = (into.to_owned(), seeds.to_vec());
    let (mut assembly, seeds) = blocking(move || {
        let seeds = Seeds::scan(&folders, &index);
        Ok((Assembly::open(index, &path)?, Arc::new(seeds)))
    })
    .await?;
    let pace = Pace { rate, began: Instant::now(), received };
    loop {
        let from = Arc::clone(&seeds);
        let (taken, missing) = blocking(move || {
            assembly.take(&from)?;
            let missing = assembly.missing(&from);
            Ok((assembly, missing))
        })
        .await?;
        assembly = match missing {
            Some(run) => ask(&mut client, release, taken, run, &pace).await?,
            None => return finish(release, taken).await,
        };
    }
}

/// The list of chunks: as an attempt before kept it, or fetched, and kept for the next one.
async fn kept_index(
    client: &mut BlobsClient<Channel>,
    release: &ReleaseRef,
    file: &Path,
) -> Result<Index, OutsideError> {
    if let Ok(bytes) = tokio::fs::read(file).await
        && let Ok(index) = Index::decode(&bytes)
        && (index.digest(), index.size()) == (release.digest, release.size)
    {
        return Ok(index);
    }
    let index = index(client, release).await?;
    // Half of it, after a crash, is none; without it the next attempt fetches it again.
    if let Err(error) = tokio::fs::write(file, index.encode()).await {
        tracing::warn!(%error, "the list of chunks cannot be kept");
    }
    Ok(index)
}

async fn index(client: &mut BlobsClient<Channel>, release: &ReleaseRef) -> Result<Index, OutsideError> {
    let request = v1::IndexRequest { digest: release.digest.to_string() };
    let mut parts = client.index(request).await.map_err(|status| remote(&status, WHAT))?.into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await.map_err(|status| remote(&status, WHAT))? {
        if bytes.len().saturating_add(part.data.len()) > MAX_INDEX_BYTES {
            return Err(OutsideError::permanent(WHAT, "the list of chunks has no end"));
        }
        bytes.extend_from_slice(&part.data);
    }
    let index = Index::decode(&bytes).map_err(|error| OutsideError::transient(WHAT, error))?;
    if (index.digest(), index.size()) != (release.digest, release.size) {
        return Err(OutsideError::permanent(WHAT, "the list of chunks is of another package"));
    }
    Ok(index)
}

/// Asks for a run of chunks, and takes each as it comes.
async fn ask(
    client: &mut BlobsClient<Channel>,
    release: &ReleaseRef,
    mut assembly: Assembly,
    run: Run,
    pace: &Pace<'_>,
) -> Result<Assembly, OutsideError> {
    let ranges = assembly.chunks(run).iter().map(|chunk| v1::Range { offset: chunk.offset, length: chunk.length });
    let request = v1::PiecesRequest { digest: release.digest.to_string(), ranges: ranges.collect() };
    let mut pieces = client.pieces(request).await.map_err(|status| remote(&status, WHAT))?.into_inner();
    for number in run.first..run.first.saturating_add(run.count) {
        let piece = pieces.message().await.map_err(|status| remote(&status, WHAT))?;
        let piece = piece.ok_or_else(|| OutsideError::transient(WHAT, "the stream ended early"))?;
        pace.received.fetch_add(piece.data.len() as u64, Ordering::Relaxed);
        assembly = blocking(move || assembly.accept(number, &piece.data).map(|()| assembly)).await?;
        pace.keep(assembly.tally().received).await;
    }
    Ok(assembly)
}

async fn finish(release: &ReleaseRef, assembly: Assembly) -> Result<(), OutsideError> {
    let Tally { resumed, reused, fetched, received } = blocking(move || Ok(assembly.finish()?)).await?;
    tracing::info!(release = %release.digest, resumed, reused, fetched, received, "the package is here");
    Ok(())
}

/// Keeps a transfer from taking more of the network than it may.
struct Pace<'a> {
    rate: Option<NonZeroU64>,
    began: Instant,
    received: &'a AtomicU64,
}

impl Pace<'_> {
    /// Waits until so many bytes may have come.
    async fn keep(&self, received: u64) {
        if let Some(rate) = self.rate {
            let due = Duration::from_micros(received.saturating_mul(1_000_000) / rate);
            tokio::time::sleep_until(self.began + due).await;
        }
    }
}

/// Work on the disk. When its future is dropped, the chunk in hand is still finished, and the next life finds it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AssemblyError> + Send + 'static,
) -> Result<T, OutsideError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| OutsideError::transient(WHAT, error)),
        Err(error) => Err(OutsideError::transient(WHAT, error)),
    }
}
