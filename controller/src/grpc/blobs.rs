//! Blobs over the wire. Hosts may fetch published releases and nothing else, and may send exports.

use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;

use flota_chunks::MAX_CHUNK_BYTES;
use flota_model::{Digest, HostId};
use flota_proto::v1;
use flota_proto::v1::blobs_server::Blobs;
use flota_proto::v1::put_blob_request::Part;
use futures_util::Stream;
use serde_json::json;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, Streaming};

use super::access::{self, Principal};
use super::rights;
use crate::blobs::{BlobError, MAX_BLOB_BYTES, Presence};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Ranges of one request: a few megabytes.
const MAX_RANGES: usize = 256;
/// Largest export a host may send, in bytes; an audit log of years fits.
const MAX_EXPORT_BYTES: u64 = 1024 * 1024 * 1024;

/// The service.
pub struct BlobsService(pub Arc<Core>);

type Chunks = Pin<Box<dyn Stream<Item = Result<v1::BlobChunk, Status>> + Send>>;

#[tonic::async_trait]
impl Blobs for BlobsService {
    type GetStream = Chunks;
    type IndexStream = Chunks;

    async fn get(&self, request: Request<v1::GetBlobRequest>) -> Result<Response<Chunks>, Status> {
        let principal = access::principal(&request)?;
        let v1::GetBlobRequest { digest, offset } = request.into_inner();
        let digest: Digest = digest.parse().map_err(Fault::bad)?;
        self.releases_alone(&principal, &digest).await?;
        let file = self.0.blobs.read(&digest, offset).map_err(Fault::from)?;
        let file = file.ok_or_else(|| Fault::not_found("blob", &digest.to_string()))?;
        self.note_download(&principal, &digest, offset).await?;
        Ok(Response::new(Box::pin(chunks(file))))
    }

    async fn index(&self, request: Request<v1::IndexRequest>) -> Result<Response<Chunks>, Status> {
        let principal = access::principal(&request)?;
        let digest: Digest = request.into_inner().digest.parse().map_err(Fault::bad)?;
        self.releases_alone(&principal, &digest).await?;
        let blobs = self.0.blobs.clone();
        let index = blocking(move || blobs.index(&digest)).await?;
        let index = index.ok_or_else(|| Fault::not_found("blob", &digest.to_string()))?;
        let parts: Vec<_> = index.chunks(flota_proto::CHUNK_BYTES).map(<[u8]>::to_vec).collect();
        let parts = parts.into_iter().map(|data| Ok(v1::BlobChunk { data }));
        Ok(Response::new(Box::pin(futures_util::stream::iter(parts))))
    }

    type PiecesStream = Chunks;

    async fn pieces(&self, request: Request<v1::PiecesRequest>) -> Result<Response<Chunks>, Status> {
        let principal = access::principal(&request)?;
        let v1::PiecesRequest { digest, ranges } = request.into_inner();
        let digest: Digest = digest.parse().map_err(Fault::bad)?;
        self.releases_alone(&principal, &digest).await?;
        if ranges.len() > MAX_RANGES || ranges.iter().any(|range| range.length > MAX_CHUNK_BYTES) {
            return Err(Fault::new(Code::TooMuch, "more, or larger, ranges than one request may have").into());
        }
        let file = self.0.blobs.read(&digest, 0).map_err(Fault::from)?;
        let file = file.ok_or_else(|| Fault::not_found("blob", &digest.to_string()))?;
        Ok(Response::new(Box::pin(pieces(file, ranges))))
    }

    async fn stat(&self, request: Request<v1::StatBlobRequest>) -> Result<Response<v1::StatBlobResponse>, Status> {
        let principal = access::principal(&request)?;
        let digest: Digest = request.into_inner().digest.parse().map_err(Fault::bad)?;
        if let Principal::Host(host) = &principal
            && !rights::may_export(&self.0, host, &digest).await?
        {
            return Ok(Response::new(v1::StatBlobResponse { complete: false, received_bytes: 0 }));
        }
        let (complete, received_bytes) = match self.0.blobs.presence(&digest) {
            Presence::Whole { size } => (true, size),
            Presence::Partial { received } => (false, received),
        };
        Ok(Response::new(v1::StatBlobResponse { complete, received_bytes }))
    }

    async fn put(
        &self,
        request: Request<Streaming<v1::PutBlobRequest>>,
    ) -> Result<Response<v1::PutBlobResponse>, Status> {
        let (host, limit) = match access::principal(&request)? {
            Principal::Host(host) => (Some(host), MAX_EXPORT_BYTES),
            Principal::Operator { .. } => (None, MAX_BLOB_BYTES),
        };
        let mut parts = request.into_inner();
        let Some(v1::PutBlobRequest { part: Some(Part::Header(header)) }) = parts.next().await.transpose()? else {
            return Err(Fault::new(Code::BadRequest, "the first part of an upload must be its header").into());
        };
        let digest: Digest = header.digest.parse().map_err(Fault::bad)?;
        if header.size_bytes > limit {
            return Err(Fault::from(BlobError::TooLarge { limit }).into());
        }
        if let Some(host) = &host {
            self.may_send(host, &digest, header.size_bytes.saturating_sub(header.offset)).await?;
        }
        if let Presence::Whole { size } = self.0.blobs.presence(&digest) {
            return Ok(Response::new(v1::PutBlobResponse { digest: header.digest, size_bytes: size }));
        }
        let mut upload = self.0.blobs.upload(digest, header.size_bytes, header.offset).map_err(Fault::from)?;
        while let Some(part) = parts.next().await {
            let Some(Part::Data(data)) = part?.part else {
                return Err(Fault::new(Code::BadRequest, "after its header an upload has data alone").into());
            };
            if let Some(host) = &host {
                self.0.quotas.upload(host, u64::try_from(data.len()).unwrap_or(u64::MAX))?;
            }
            upload = blocking(move || upload.write(&data).map(|()| upload)).await?;
        }
        let size_bytes = blocking(move || upload.finish()).await?;
        Ok(Response::new(v1::PutBlobResponse { digest: header.digest, size_bytes }))
    }
}

impl BlobsService {
    /// Hosts are given packages of releases and nothing else.
    async fn releases_alone(&self, principal: &Principal, digest: &Digest) -> Result<(), Fault> {
        let Principal::Host(host) = principal else { return Ok(()) };
        if rights::may_fetch(&self.0, digest).await? {
            return Ok(());
        }
        tracing::warn!(host.id = %host, blob = %digest, "a host asked for a blob that is no release");
        Err(Fault::not_found("blob", &digest.to_string()))
    }

    /// Who was given a bot's records is itself on the record.
    async fn note_download(&self, principal: &Principal, digest: &Digest, offset: u64) -> Result<(), Fault> {
        let Principal::Operator { .. } = principal else { return Ok(()) };
        let details = json!({ "offset": offset });
        let audit = self.0.audit_by(&principal.actor(), "blob.get", format!("blob/{digest}"), "ok", &details);
        Ok(self.0.store.append_audit(&[audit]).await?)
    }

    /// Hosts send exports of their own, and so much a day.
    async fn may_send(&self, host: &HostId, digest: &Digest, bytes: u64) -> Result<(), Fault> {
        if !rights::may_export(&self.0, host, digest).await? {
            tracing::warn!(host.id = %host, blob = %digest, "a host sends a blob that is another's");
            return Err(Fault::new(Code::BadRequest, "this blob is no export of this host"));
        }
        self.0.quotas.may_upload(host, bytes)
    }
}

/// A piece is read and compressed when the receiver takes it.
fn pieces(file: std::fs::File, ranges: Vec<v1::Range>) -> impl Stream<Item = Result<v1::BlobChunk, Status>> {
    let ranges = ranges.into_iter();
    futures_util::stream::try_unfold((file, ranges), |(file, mut ranges)| async move {
        let Some(range) = ranges.next() else { return Ok(None) };
        let read = move || {
            let io = |source| BlobError::Io { doing: "reading", source };
            let mut data = vec![0; usize::try_from(range.length).unwrap_or(0)];
            file.read_exact_at(&mut data, range.offset).map_err(io)?;
            Ok((flota_chunks::pack(&data).map_err(io)?, file))
        };
        let (data, file) = blocking(read).await?;
        Ok(Some((v1::BlobChunk { data }, (file, ranges))))
    })
}

/// A chunk is read when the receiver takes it: a receiver that stops taking holds no thread.
fn chunks(file: std::fs::File) -> impl Stream<Item = Result<v1::BlobChunk, Status>> {
    futures_util::stream::try_unfold(file, |mut file| async move {
        let read = move || {
            let mut data = vec![0; flota_proto::CHUNK_BYTES];
            let length = file.read(&mut data).map_err(|source| BlobError::Io { doing: "reading", source })?;
            data.truncate(length);
            Ok((data, file))
        };
        let (data, file) = blocking(read).await?;
        Ok((!data.is_empty()).then_some((v1::BlobChunk { data }, file)))
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BlobError> + Send + 'static) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Fault::new(Code::Bug, "the blob's task ended early").because(error)),
    }
}

impl From<BlobError> for Fault {
    fn from(error: BlobError) -> Self {
        let code = match &error {
            BlobError::WrongOffset { .. } | BlobError::Truncated { .. } | BlobError::Busy => Code::Changed,
            BlobError::TooLarge { .. } => Code::TooMuch,
            BlobError::WrongDigest { .. } => Code::PackageRefused,
            BlobError::File(_) | BlobError::Io { .. } => {
                return Self::new(Code::Unavailable, "the blob folder does not answer").because(error);
            }
        };
        Self::new(code, error.to_string())
    }
}
