//! A file into a blob: resumed where an earlier attempt stopped.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flota_model::Digest;
use flota_proto::CHUNK_BYTES;
use flota_proto::v1::put_blob_request::Part;
use flota_proto::v1::{PutBlobHeader, PutBlobRequest, StatBlobRequest};
use futures_util::stream::{self, Stream};
use sha2::Digest as _;
use tokio::time::interval;

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::bytes;

/// Redrawing the progress line more often shows nothing more.
const REDRAW: Duration = Duration::from_millis(200);

/// A file whose bytes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashed {
    /// Of its bytes.
    pub(crate) digest: Digest,
    /// Of its bytes.
    pub(crate) size: u64,
}

/// Reads the file once for its digest and size.
pub(crate) fn hash(path: &Path) -> Result<Hashed, Failure> {
    let read = || -> io::Result<Hashed> {
        let (mut file, mut hasher, mut size) = (File::open(path)?, sha2::Sha256::new(), 0_u64);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let got = file.read(&mut chunk)?;
            if got == 0 {
                return Ok(Hashed { digest: Digest::from_bytes(hasher.finalize().into()), size });
            }
            hasher.update(chunk.get(..got).unwrap_or_default());
            size = size.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        }
    };
    read().map_err(|error| unreadable(path, &error).nothing_changed())
}

/// Uploads what the controller does not have yet.
pub(crate) async fn send(
    invocation: &Invocation,
    session: &Session,
    path: &Path,
    hashed: Hashed,
) -> Result<(), Failure> {
    let digest = hashed.digest.to_string();
    let answer = session.blobs().stat(session.ask(StatBlobRequest { digest: digest.clone() })).await;
    let there = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    if there.complete {
        invocation.out.talk("the controller has these bytes already.");
        return Ok(());
    }
    let offset = there.received_bytes.min(hashed.size);
    if offset > 0 {
        invocation.out.talk(&format!("resuming at {} of {}", bytes(offset), bytes(hashed.size)));
    }
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.seek(SeekFrom::Start(offset)).map_err(|error| unreadable(path, &error))?;
    let sent = Arc::new(AtomicU64::new(offset));
    let header = PutBlobHeader { digest, size_bytes: hashed.size, offset };
    put(invocation, session, parts(header, file, Arc::clone(&sent)), &sent, hashed.size).await
}

async fn put(
    invocation: &Invocation,
    session: &Session,
    parts: impl Stream<Item = PutBlobRequest> + Send + 'static,
    sent: &AtomicU64,
    size: u64,
) -> Result<(), Failure> {
    let mut client = session.blobs();
    let mut answer = std::pin::pin!(client.put(parts));
    let mut redraw = interval(REDRAW);
    let result = loop {
        tokio::select! {
            result = &mut answer => break result,
            _ = redraw.tick() => {
                let sent = sent.load(Ordering::Relaxed);
                let percent = sent.saturating_mul(100).checked_div(size).unwrap_or(100);
                invocation.out.progress(&format!("uploading {} of {} ({percent} %)", bytes(sent), bytes(size)));
            }
        }
    };
    invocation.out.progress("");
    result.map(drop).map_err(|status| {
        let failure = Failure::of_status(&status, Stake::Repeatable);
        match failure.exit() {
            Exit::Unreachable => failure.fix("repeat the command: the upload resumes where it stopped"),
            _ => failure,
        }
    })
}

/// The header, then the file in chunks. A file that cannot be read further ends the stream short, and the controller
/// refuses it; so does one that was changed since it was hashed.
fn parts(header: PutBlobHeader, file: File, sent: Arc<AtomicU64>) -> impl Stream<Item = PutBlobRequest> + Send {
    stream::unfold((Some(header), file, sent), |(header, mut file, sent)| async move {
        if let Some(header) = header {
            return Some((PutBlobRequest { part: Some(Part::Header(header)) }, (None, file, sent)));
        }
        let mut data = Vec::with_capacity(CHUNK_BYTES);
        let limit = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
        let got = (&mut file).take(limit).read_to_end(&mut data).ok().filter(|got| *got > 0)?;
        sent.fetch_add(u64::try_from(got).unwrap_or(0), Ordering::Relaxed);
        Some((PutBlobRequest { part: Some(Part::Data(data)) }, (None, file, sent)))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read {}", path.display())).because_of(error)
}
