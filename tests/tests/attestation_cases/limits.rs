//! Evidence and messages that are too large, or say that they are: case 50.

use flota_net::dial::dial;
use flota_net::tls;
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_tests::client::{EnrolmentConnection, begin_request, evidence};
use flota_tests::{Ground, wait};
use http_body_util::{BodyExt as _, Full};
use tonic::codegen::Service as _;
use tonic::codegen::http::Request;
use tonic::{Code, Status};

use super::{assert_passes, enrolled, ground};

const HUNDRED_MEGABYTES: usize = 100 * 1024 * 1024;

/// Resident memory of the controller, in bytes.
fn resident(ground: &Ground) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", ground.controller.process().pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn is_refused_for_its_size(status: &Status) -> bool {
    status.code() == Code::OutOfRange || status.code() == Code::ResourceExhausted
}

#[tokio::test(flavor = "multi_thread")]
async fn case_50_a_hundred_megabytes_of_evidence_are_not_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    let challenge = session.challenge().await.unwrap();
    let before = resident(&ground);
    let huge = v1::Evidence { attest: vec![0xFF; HUNDRED_MEGABYTES], challenge_id: challenge.id, ..Default::default() };
    session.send(Up::Evidence(huge)).await.unwrap();
    let end = session.end().await;
    assert!(end.is_ok(), "the session ends: {end:?}");
    let grown = resident(&ground).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "the controller grew by {grown} bytes");

    // It was no evidence, so it is no verdict; the host connects again and is judged by what it says then.
    let mut session = host.connect(&ground).await;
    let challenge = session.challenge().await.unwrap();
    assert_passes(&session.judge(evidence(&host.tpm, &session.bound, &challenge).unwrap()).await.unwrap());
    assert_eq!(ground.trust(&host.name).unwrap(), "trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_50_an_enrolment_of_more_than_64_kib_is_not_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let token = ground.token("a").unwrap();
    let mut connection = EnrolmentConnection::dial(&ground.controller).await.unwrap();
    for size in [64 * 1024, HUNDRED_MEGABYTES] {
        let mut request = begin_request(&tpm, &token).unwrap();
        request.csr = vec![0x30; size];
        let refused = EnrolmentConnection::dial(&ground.controller).await.unwrap().begin(request).await.unwrap_err();
        assert!(is_refused_for_its_size(&refused) || refused.code() == Code::Unknown, "{refused:?}");
    }
    let challenge = connection.begin(begin_request(&tpm, &token).unwrap()).await.unwrap();
    assert_eq!(challenge.session_id.len(), 16, "and the next one is served");
}

/// A gRPC message announces its length in four bytes. Nothing is made ready for it.
#[tokio::test(flavor = "multi_thread")]
async fn case_50_a_message_that_announces_four_gigabytes_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let ca = tls::certificates(&std::fs::read(ground.controller.ca_file()).unwrap()).unwrap();
    let before = resident(&ground);
    for announced in [u32::MAX, u32::MAX - 1, 1 << 31] {
        let config = tls::anonymous_client_config(ca.clone()).unwrap();
        let mut channel = dial(&ground.controller.enrollment, config).await.unwrap().channel;
        let frame = [&[0][..], &announced.to_be_bytes(), b"0123456789"].concat();
        let request = Request::post("http://flota.invalid/flota.v1.Enrollment/Begin")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(tonic::body::Body::new(
                Full::new(frame.into()).map_err(|never: std::convert::Infallible| match never {}),
            ))
            .unwrap();
        std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
        let response = channel.call(request).await.unwrap();
        let headers = response.headers().clone();
        let trailers = response.into_body().collect().await.ok().and_then(|body| body.trailers().cloned());
        let status = headers.get("grpc-status").or_else(|| trailers.as_ref().and_then(|all| all.get("grpc-status")));
        let code = Code::from_bytes(status.expect("a status").as_bytes());
        assert!(matches!(code, Code::OutOfRange | Code::ResourceExhausted), "{announced}: {code:?}");
    }
    let grown = resident(&ground).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "the controller grew by {grown} bytes");
    wait::until("the controller to list its hosts", std::time::Duration::from_secs(10), || ground.hosts().map(Some))
        .unwrap();
}
