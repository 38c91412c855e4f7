//! What a member of the fleet may do and what it may not, by a client with a real TPM and its own ideas of the protocol.
#![expect(clippy::unwrap_used, reason = "a test panics")]

#[path = "membership/certificates.rs"]
mod certificates;
#[path = "membership/costs.rs"]
mod costs;
#[path = "membership/rights.rs"]
mod rights;

use std::path::Path;

use flota_proto::v1;
use flota_proto::v1::blobs_client::BlobsClient;
use flota_proto::v1::put_blob_request::Part;
use flota_tests::client::{Member, enrol, fleet_channel};
use flota_tests::{Bins, Ground};
use flota_tpm::Tpm;
use tonic::Status;
use tonic::transport::Channel;

/// No quote is asked for but the first.
const NEVER: u64 = 3600;

fn ground(dir: &Path, tpms: usize) -> Ground {
    Ground::new(&Bins::beside_this_program().unwrap(), dir, tpms, NEVER).unwrap()
}

/// A host that is in the fleet, and a connection of its own.
struct Host {
    tpm: Tpm,
    member: Member,
    channel: Channel,
}

async fn enrolled(ground: &Ground, tpm: usize) -> Host {
    let token = ground.token(&format!("host-{tpm}")).unwrap();
    let tpm = ground.open(tpm).unwrap();
    let member = enrol(&ground.controller, &tpm, &token).await.unwrap();
    let channel = fleet_channel(&ground.controller, &member, &tpm).await.unwrap();
    Host { tpm, member, channel }
}

/// The controller's own code in a refusal.
fn code(status: &Status) -> &str {
    status.metadata().get(flota_proto::CODE_HEADER).map_or("", |value| value.to_str().unwrap())
}

async fn put(channel: &Channel, digest: &str, announced: u64, data: &[u8]) -> Result<(), Status> {
    let header = v1::PutBlobHeader { digest: digest.to_owned(), size_bytes: announced, offset: 0 };
    let parts = [Part::Header(header), Part::Data(data.to_vec())].map(|part| v1::PutBlobRequest { part: Some(part) });
    BlobsClient::new(channel.clone()).put(tokio_stream::iter(parts)).await.map(drop)
}
