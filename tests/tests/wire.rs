//! What the Fleet listener answers to those who should not be there, and to uploads that are not what they claim.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;

use flota_model::Digest;
use flota_net::dial::dial;
use flota_net::tls;
use flota_proto::v1;
use flota_proto::v1::blobs_client::BlobsClient;
use flota_proto::v1::put_blob_request::Part;
use flota_tests::{Bins, Fleet, FleetOptions};
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

fn fleet(dir: &Path) -> Fleet {
    Fleet::install(&Bins::beside_this_program().unwrap(), dir, FleetOptions { hosts: 0, ..FleetOptions::default() })
        .unwrap()
}

fn ca_pem(fleet: &Fleet) -> Vec<u8> {
    std::fs::read(fleet.controller.ca_file()).unwrap()
}

/// Every RPC that the Fleet listener has, gRPC's own included.
fn fleet_rpcs() -> Vec<String> {
    let set: prost_types::FileDescriptorSet = prost::Message::decode(flota_proto::DESCRIPTORS).unwrap();
    let mut rpcs = vec!["/grpc.health.v1.Health/Check".to_owned()];
    for file in &set.file {
        for service in file.service.iter().filter(|service| service.name() != "Enrollment") {
            for method in &service.method {
                rpcs.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    rpcs
}

/// Calls an RPC with an empty message, whatever it takes.
async fn call(channel: Channel, path: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(Request::new(()), path.parse().unwrap(), codec).await.map(drop)
}

/// Refused before any service: no answer of the controller carries a code of ours.
fn is_refused_by_tls(status: &Status) -> bool {
    !status.metadata().contains_key(flota_proto::CODE_HEADER)
        && matches!(status.code(), Code::Unknown | Code::Unavailable | Code::Cancelled)
}

#[tokio::test(flavor = "multi_thread")]
async fn case_27_no_rpc_of_the_fleet_listener_answers_a_client_without_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path());
    let rpcs = fleet_rpcs();
    assert!(rpcs.len() > 25, "{rpcs:?}");
    for rpc in rpcs {
        let config = tls::anonymous_client_config(tls::certificates(&ca_pem(&fleet)).unwrap()).unwrap();
        let status = match dial(&fleet.controller.fleet, config).await {
            Ok(connection) => call(connection.channel, &rpc).await.expect_err("it answered"),
            Err(_) => continue,
        };
        assert!(is_refused_by_tls(&status), "{rpc}: {status:?}");
    }
    // The listener is there, and answers those who have one.
    let health = call(admin_channel(&fleet).await, "/grpc.health.v1.Health/Check").await;
    assert!(health.is_ok(), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_ca_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path());
    let (ca_params, ca_key) = (ca_params(), KeyPair::generate().unwrap());
    let status = call_as(&fleet, &Issuer::new(ca_params, ca_key), "flota://operator/admin").await;
    assert!(is_refused_by_tls(&status), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_fleet_for_nobody_we_know_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path());
    let key = std::fs::read_to_string(fleet.controller.dir().join("ca-key.pem")).unwrap();
    let ca = String::from_utf8(ca_pem(&fleet)).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&ca, KeyPair::from_pem(&key).unwrap()).unwrap();
    // "admin" exists; with another certificate it is somebody else.
    for name in ["flota://operator/eve", "flota://operator/admin", "flota://host/0123456789abcdef"] {
        let status = call_as(&fleet, &issuer, name).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{name}: {status:?}");
        assert_eq!(status.metadata().get(flota_proto::CODE_HEADER).unwrap(), "FLT-0201");
    }
}

async fn call_as(fleet: &Fleet, issuer: &Issuer<'_, KeyPair>, uri: &str) -> Status {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).unwrap();
    let config =
        tls::client_config(&ca_pem(fleet), certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    match dial(&fleet.controller.fleet, config).await {
        Ok(connection) => call(connection.channel, "/flota.v1.Hosts/List").await.unwrap_err(),
        Err(error) => Status::unavailable(error.to_string()),
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_is_kept_for_later_and_never_shown_as_whole() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path());
    let mut blobs = BlobsClient::new(admin_channel(&fleet).await);
    let digest = Digest::of(b"hello world").to_string();

    let cut = put(&mut blobs, &digest, 11, 0, b"hello ").await.unwrap_err();
    assert_eq!(cut.code(), Code::Aborted, "{cut:?}");
    assert!(cut.message().contains("6 of 11 bytes"), "{cut:?}");
    let stat = blobs.stat(v1::StatBlobRequest { digest: digest.clone() }).await.unwrap().into_inner();
    assert_eq!((stat.complete, stat.received_bytes), (false, 6));
    let get = blobs.get(v1::GetBlobRequest { digest: digest.clone(), offset: 0 }).await;
    assert_eq!(get.unwrap_err().code(), Code::NotFound);

    put(&mut blobs, &digest, 11, 6, b"world").await.unwrap();
    let mut chunks = blobs.get(v1::GetBlobRequest { digest, offset: 6 }).await.unwrap().into_inner();
    assert_eq!(chunks.message().await.unwrap().unwrap().data, b"world");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_other_bytes_than_announced_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path());
    let mut blobs = BlobsClient::new(admin_channel(&fleet).await);
    let digest = Digest::of(b"hello").to_string();
    let wrong = put(&mut blobs, &digest, 5, 0, b"hellO").await.unwrap_err();
    assert_eq!(wrong.metadata().get(flota_proto::CODE_HEADER).unwrap(), "FLT-0411");
    let stat = blobs.stat(v1::StatBlobRequest { digest }).await.unwrap().into_inner();
    assert_eq!((stat.complete, stat.received_bytes), (false, 0));
}

async fn admin_channel(fleet: &Fleet) -> Channel {
    let folder = fleet.controller.dir().join("operators/admin");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let config = tls::client_config(&ca_pem(fleet), &read("cert.pem"), &read("key.pem")).unwrap();
    dial(&fleet.controller.fleet, config).await.unwrap().channel
}

async fn put(
    blobs: &mut BlobsClient<Channel>,
    digest: &str,
    size_bytes: u64,
    offset: u64,
    data: &[u8],
) -> Result<(), Status> {
    let header = v1::PutBlobHeader { digest: digest.to_owned(), size_bytes, offset };
    let parts = [Part::Header(header), Part::Data(data.to_vec())].map(|part| v1::PutBlobRequest { part: Some(part) });
    blobs.put(tokio_stream::iter(parts)).await.map(drop)
}
