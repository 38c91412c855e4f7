//! Who may call what, as a running controller has it: every RPC of its descriptors is called by an operator of each role.
//! What came of it is docs/roles.md.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use flota_net::dial::dial;
use flota_net::tls;
use flota_sim::Population;
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Bins, Controller};
use prost_types::FileDescriptorSet;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

const ROLES: [&str; 5] = ["viewer", "operator", "approver", "security", "admin"];
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/roles.md");
const HEAD: &str = "# Who may call what

What each role may ask of a controller, found by asking: a test calls every RPC of the running controller with a certificate of
each role (`UPDATE_GOLDEN=1 cargo nextest run -p flota-tests --test roles` writes this table anew). The rules are in
[access.rs](../controller/src/grpc/access.rs). What is in no row is refused, and every refusal is in the audit log.

Hosts call what their sessions need, and nothing that operators call but blobs, release metadata and health; before an approval
only the session. An approval is also refused to whoever wrote what is approved, whatever their role.

";

/// Every RPC of the Fleet listener, by service.
fn rpcs() -> BTreeMap<String, Vec<String>> {
    let set: FileDescriptorSet = prost::Message::decode(flota_proto::DESCRIPTORS).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let services = services.filter(|service| service.name() != "Enrollment");
    let methods = |service: &prost_types::ServiceDescriptorProto| {
        service.method.iter().map(|method| method.name().to_owned()).collect::<Vec<_>>()
    };
    services.map(|service| (service.name().to_owned(), methods(service))).collect()
}

async fn channel(controller: &Controller, operator: &str) -> Channel {
    let folder = controller.dir().join("operators").join(operator);
    let read = |path: &Path| std::fs::read(path).unwrap();
    let ca = read(&controller.ca_file());
    let config = tls::client_config(&ca, &read(&folder.join("cert.pem")), &read(&folder.join("key.pem"))).unwrap();
    dial(&controller.fleet, config).await.unwrap().channel
}

/// An empty message, which asks for nothing: refused for its role, or for what it says.
async fn call(channel: &Channel, service: &str, method: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/flota.v1.{service}/{method}")).unwrap();
    client.unary::<(), (), _>(Request::new(()), path, ProstCodec::default()).await.map(drop)
}

fn is_denied(answer: &Result<(), Status>) -> bool {
    answer.as_ref().is_err_and(|status| {
        let code = status.metadata().get(flota_proto::CODE_HEADER).and_then(|code| code.to_str().ok());
        code == Some("FLT-0202") && status.code() == Code::PermissionDenied
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_admits_the_roles_of_the_table_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let roots = dir.path().join("ek-roots.pem");
    std::fs::write(&roots, Population::generate(1, AkKind::P256).unwrap().ek_roots()).unwrap();
    let bins = Bins::beside_this_program().unwrap();
    let controller = Controller::start(&bins, &dir.path().join("controller"), &roots, 3600).unwrap();
    let mut channels = Vec::new();
    for role in ROLES {
        let name = format!("{role}-of-the-test");
        controller.operator(&name, role).unwrap();
        channels.push(channel(&controller, &name).await);
    }
    let mut table = HEAD.to_owned();
    writeln!(table, "| RPC | {} |\n|---|{}", ROLES.join(" | "), "---|".repeat(ROLES.len())).unwrap();
    let (mut all, mut refused) = (0, 0);
    for (service, methods) in rpcs() {
        for method in methods {
            let mut cells = Vec::new();
            for channel in &channels {
                let denied = is_denied(&call(channel, &service, &method).await);
                refused += usize::from(denied);
                cells.push(if denied { "" } else { "yes" });
            }
            all += 1;
            writeln!(table, "| `{service}.{method}` | {} |", cells.join(" | ")).unwrap();
        }
    }
    assert!(all > 60, "{all} RPCs");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(DOCUMENT, &table).unwrap();
    }
    let document = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(document == table, "docs/roles.md is not what the controller does; it does:\n{table}");
    // Each refusal was written down, with who was refused what.
    let log = controller.admin().unwrap().items(&["audit", "list", "--action", "access", "--limit", "0"]).unwrap();
    assert_eq!(log.iter().filter(|entry| entry["outcome"] == "denied").count(), refused);
}
