//! Packages come and exports go over the session's connection.

mod fetch;

use std::error::Error;
use std::io::SeekFrom;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use flota_model::release::ReleaseRef;
use flota_model::{Digest, RolloutId};
use flota_proto::v1::agent_session_client::AgentSessionClient;
use flota_proto::v1::blobs_client::BlobsClient;
use flota_proto::v1::put_blob_request::Part;
use flota_proto::v1::releases_client::ReleasesClient;
use flota_proto::{CHUNK_BYTES, v1};
use flota_release::{MetadataSource, SourceError};
use flota_updater::OutsideError;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::refusal::refusal;
use crate::procedures::ExportFile;

/// Chunks read ahead of the network.
const READ_AHEAD: usize = 4;

/// Transfers over whatever connection there is at the moment.
#[derive(Debug)]
pub(crate) struct ControllerTransfer {
    channel: Mutex<Option<Channel>>,
    /// Bytes a second that packages may take of the network; none: as fast as it goes.
    rate: Option<NonZeroU64>,
    /// Bytes of packages that came, ever.
    received: AtomicU64,
}

impl ControllerTransfer {
    /// There is no connection yet.
    pub(crate) fn new(rate: Option<NonZeroU64>) -> Self {
        Self { channel: Mutex::new(None), rate, received: AtomicU64::new(0) }
    }

    /// Bytes of packages that came so far. While they grow, the way to the controller is good for something.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// There is a connection, or there is none any more.
    pub(super) fn set(&self, channel: Option<Channel>) {
        // Assigning an option cannot leave it half-done.
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = channel;
    }

    fn channel(&self) -> Result<Channel, OutsideError> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        channel.ok_or_else(|| OutsideError::transient("waiting for the controller", "there is no session"))
    }

    fn client(&self) -> Result<BlobsClient<Channel>, OutsideError> {
        self.channel().map(BlobsClient::new)
    }
}

impl ControllerTransfer {
    /// Brings a package to `into`; what lies below `seeds` is not fetched.
    pub(crate) async fn fetch(&self, release: &ReleaseRef, into: &Path, seeds: &[PathBuf]) -> Result<(), OutsideError> {
        let way = fetch::Way { client: self.client()?, rate: self.rate, received: &self.received };
        fetch::fetch(way, release, into, seeds).await
    }

    /// Takes a security export away and returns once it is safe there.
    pub(super) async fn upload(&self, export: &ExportFile) -> Result<(), OutsideError> {
        upload(self.client()?, &export.path, export.digest, export.size).await
    }

    /// The same, and has it entered in the archive as the one before this rollout's update.
    pub(crate) async fn archive(&self, export: &ExportFile, rollout: Option<RolloutId>) -> Result<(), OutsideError> {
        self.upload(export).await?;
        let mut client = AgentSessionClient::new(self.channel()?);
        let archived = client.archive(result(export, rollout)).await;
        archived.map(drop).map_err(|status| remote(&status, "having the security export archived"))
    }

    /// The signed metadata, from whatever connection there is.
    pub(crate) fn metadata(&self) -> Arc<dyn MetadataSource> {
        Arc::new(ControllerMetadata(self.channel().ok()))
    }
}

/// An export, as the controller is told of it.
pub(super) fn result(export: &ExportFile, rollout: Option<RolloutId>) -> v1::ExportResult {
    let ExportFile { path: _, digest, size, report } = export;
    v1::ExportResult {
        blob: digest.to_string(),
        size_bytes: *size,
        audit_entries: report.audit_entries(),
        alert_entries: report.alert_entries().unwrap_or(0),
        status: report.status().name().to_owned(),
        key_id: report.signature().key_id().unwrap_or_default().to_owned(),
        rollout: rollout.map(|rollout| rollout.to_string()).unwrap_or_default(),
    }
}

/// The signed metadata as the controller hands them on.
#[derive(Debug)]
struct ControllerMetadata(Option<Channel>);

#[async_trait]
impl MetadataSource for ControllerMetadata {
    async fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let failed = |source: Box<dyn Error + Send + Sync>| SourceError { name: name.to_owned(), source };
        let channel = self.0.clone().ok_or_else(|| failed("there is no session".into()))?;
        let request = v1::MetadataRequest { name: name.to_owned() };
        match ReleasesClient::new(channel).metadata(request).await {
            Ok(file) => Ok(Some(file.into_inner().contents)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(failed(refusal(&status).into())),
        }
    }
}

async fn upload(mut client: BlobsClient<Channel>, path: &Path, digest: Digest, size: u64) -> Result<(), OutsideError> {
    let what = "uploading the security export";
    let stat = client.stat(v1::StatBlobRequest { digest: digest.to_string() }).await;
    let stat = stat.map_err(|status| remote(&status, what))?.into_inner();
    if stat.complete {
        return Ok(());
    }
    let local = |error| OutsideError::transient(format!("reading {}", path.display()), error);
    let mut file = File::open(path).await.map_err(local)?;
    file.seek(SeekFrom::Start(stat.received_bytes)).await.map_err(local)?;
    let header = v1::PutBlobHeader { digest: digest.to_string(), size_bytes: size, offset: stat.received_bytes };
    let (sender, parts) = mpsc::channel(READ_AHEAD);
    // Ends with the file, or when the receiver is gone.
    let reading = tokio::spawn(send_parts(file, header, sender));
    client.put(ReceiverStream::new(parts)).await.map_err(|status| remote(&status, what))?;
    match reading.await {
        Ok(read) => read.map_err(local),
        Err(error) => Err(OutsideError::transient(what, error)),
    }
}

async fn send_parts(
    mut file: File,
    header: v1::PutBlobHeader,
    sender: mpsc::Sender<v1::PutBlobRequest>,
) -> std::io::Result<()> {
    let mut part = Part::Header(header);
    loop {
        if sender.send(v1::PutBlobRequest { part: Some(part) }).await.is_err() {
            return Ok(());
        }
        let mut data = vec![0; CHUNK_BYTES];
        let read = file.read(&mut data).await?;
        if read == 0 {
            return Ok(());
        }
        data.truncate(read);
        part = Part::Data(data);
    }
}

fn remote(status: &Status, what: &str) -> OutsideError {
    match status.code() {
        Code::NotFound | Code::PermissionDenied | Code::InvalidArgument | Code::ResourceExhausted => {
            OutsideError::permanent(what, refusal(status))
        }
        _ => OutsideError::transient(what, refusal(status)),
    }
}
