//! RPCs and blobs.

use flota_model::Digest;
use flota_proto::v1;
use flota_proto::v1::agent_session_client::AgentSessionClient;
use flota_proto::v1::blobs_client::BlobsClient;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{code, enrolled, ground, put};

/// What hosts may call; everything else is operators'.
const HOSTS_OWN: [&str; 8] = [
    "/flota.v1.AgentSession/Connect",
    "/flota.v1.AgentSession/Archive",
    "/flota.v1.Blobs/Get",
    "/flota.v1.Blobs/Stat",
    "/flota.v1.Blobs/Put",
    "/flota.v1.Blobs/Index",
    "/flota.v1.Blobs/Pieces",
    "/flota.v1.Releases/Metadata",
];

/// Every RPC of the Fleet listener.
fn rpcs() -> Vec<String> {
    let set: prost_types::FileDescriptorSet = prost::Message::decode(flota_proto::DESCRIPTORS).unwrap();
    let services = set.file.iter().flat_map(|file| file.service.iter().map(|service| (file.package(), service)));
    services
        .filter(|(_, service)| service.name() != "Enrollment")
        .flat_map(|(package, service)| {
            service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
        })
        .collect()
}

async fn call(channel: &Channel, path: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(Request::new(()), path.parse().unwrap(), codec).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_may_not_call_what_operators_may() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let (own, operators): (Vec<_>, Vec<_>) = rpcs().into_iter().partition(|rpc| HOSTS_OWN.contains(&rpc.as_str()));
    assert_eq!(own.len(), HOSTS_OWN.len());
    assert!(operators.len() > 30, "{operators:?}");
    for rpc in &operators {
        let refused = call(&host.channel, rpc).await.expect_err("it answered");
        assert_eq!(code(&refused), "FLT-0202", "{rpc}: {refused:?}");
    }
    let denials = ground.audit("access").unwrap();
    assert_eq!(denials.len(), operators.len(), "each of them is on the record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_given_releases_alone_and_has_no_part_in_another_hosts_exports() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (owner, other) = (enrolled(&ground, 0).await, enrolled(&ground, 1).await);
    let bundle = b"the records of a bot";
    let digest = Digest::of(bundle).to_string();
    let size = u64::try_from(bundle.len()).unwrap();
    put(&owner.channel, &digest, size, bundle).await.unwrap();
    let export = || v1::ExportResult {
        blob: digest.clone(),
        status: "ok".to_owned(),
        rollout: "R-7".to_owned(),
        ..Default::default()
    };
    AgentSessionClient::new(owner.channel.clone()).archive(export()).await.unwrap();
    let kept = ground.admin.items(&["export", "list"]).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["rollout"].as_str().unwrap_or_default(), "", "it has no part in R-7: {kept:?}");

    // The other one knows the digest.
    let get = v1::GetBlobRequest { digest: digest.clone(), offset: 0 };
    let mut blobs = BlobsClient::new(other.channel.clone());
    assert_eq!(code(&blobs.get(get.clone()).await.unwrap_err()), "FLT-0301");
    assert_eq!(code(&blobs.index(v1::IndexRequest { digest: digest.clone() }).await.unwrap_err()), "FLT-0301");
    let ranges = vec![v1::Range { offset: 0, length: 4 }];
    let pieces = v1::PiecesRequest { digest: digest.clone(), ranges };
    assert_eq!(code(&blobs.pieces(pieces).await.unwrap_err()), "FLT-0301");
    let stat = blobs.stat(v1::StatBlobRequest { digest: digest.clone() }).await.unwrap().into_inner();
    assert_eq!((stat.complete, stat.received_bytes), (false, 0), "it is not told that somebody has it");
    assert_eq!(code(&put(&other.channel, &digest, size, bundle).await.unwrap_err()), "FLT-0101");
    let claimed = AgentSessionClient::new(other.channel.clone()).archive(export()).await.unwrap_err();
    assert_eq!(code(&claimed), "FLT-0101", "{claimed:?}");
    assert_eq!(ground.admin.items(&["export", "list"]).unwrap().len(), 1);

    // Its owner may ask how much of it is here, and is given nothing back either; operators are, on the record.
    let mut blobs = BlobsClient::new(owner.channel.clone());
    assert!(blobs.stat(v1::StatBlobRequest { digest: digest.clone() }).await.unwrap().into_inner().complete);
    assert_eq!(code(&blobs.get(get).await.unwrap_err()), "FLT-0301");
    let file = dir.path().join("bundle");
    ground
        .admin
        .ok(&["export", "get", kept[0]["id"].as_str().unwrap(), "--file", &file.display().to_string()])
        .unwrap();
    assert_eq!(std::fs::read(file).unwrap(), bundle);
    let downloads = ground.audit("blob.get").unwrap();
    assert_eq!(downloads[0]["actor"], "operator/admin");
    assert_eq!(downloads[0]["object"].as_str().unwrap(), format!("blob/{digest}"));
}
