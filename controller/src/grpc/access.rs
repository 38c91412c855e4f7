//! Who may call what: one table, enforced before any service. What is not in the table is denied.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flota_attest::public::Public;
use flota_model::host::{Host, KeyStorage};
use flota_model::{HostId, Role};
use serde_json::json;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::peer::{Identity, Peer, PeerCertificate};

/// Who may call an RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Hosts of the fleet.
    Hosts,
    /// Hosts and these operators.
    HostsAnd(&'static [Role]),
    /// Operators with one of these roles.
    Operators(&'static [Role]),
}

const EVERYONE: &[Role] = &[Role::Viewer, Role::Operator, Role::Approver, Role::Security, Role::Admin];
const RUNNERS: &[Role] = &[Role::Operator, Role::Approver, Role::Security, Role::Admin];
const UPDATERS: &[Role] = &[Role::Operator, Role::Approver, Role::Admin];
const APPROVERS: &[Role] = &[Role::Approver, Role::Admin];
const GUARDS: &[Role] = &[Role::Operator, Role::Security, Role::Admin];
const ADMINS: &[Role] = &[Role::Admin];
const SECURITY: &[Role] = &[Role::Security, Role::Admin];
const POLICY_AUTHORS: &[Role] = &[Role::Security, Role::Admin];
const POLICY_APPROVERS: &[Role] = &[Role::Approver, Role::Security, Role::Admin];

/// The table: every RPC of the Fleet listener. Gives none for what is not in it.
pub fn admits(path: &str) -> Option<Admit> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let service = match service.strip_prefix("flota.v1.") {
        Some(service) => service,
        // Health and reflection tell nothing about the fleet, and still only its members may ask.
        None if matches!(service, "grpc.health.v1.Health" | "grpc.reflection.v1.ServerReflection") => {
            return Some(Admit::HostsAnd(EVERYONE));
        }
        None => return None,
    };
    #[expect(clippy::match_same_arms, reason = "a table reads by service, not by role")]
    let admit = match (service, method) {
        ("AgentSession", "Connect" | "Archive") => Admit::Hosts,
        ("Blobs", "Get" | "Stat" | "Put") => Admit::HostsAnd(RUNNERS),
        ("Blobs", "Index" | "Pieces") => Admit::Hosts,
        ("Hosts", "List" | "Show") | ("Exports" | "Audit" | "Releases", "List") => Admit::Operators(EVERYONE),
        ("Hosts", "Ping") => Admit::Operators(RUNNERS),
        ("Tokens", "List") => Admit::Operators(RUNNERS),
        ("Tokens", "Create" | "Revoke") => Admit::Operators(ADMINS),
        ("Exports", "Search") => Admit::Operators(RUNNERS),
        ("Exports", "Holds") => Admit::Operators(EVERYONE),
        ("Exports", "Hold" | "Release") => Admit::Operators(SECURITY),
        ("Exports" | "Health", "Run") => Admit::Operators(RUNNERS),
        ("Health", "Show") | ("Tasks", "Status") | ("Audit", "Verify") => Admit::Operators(EVERYONE),
        ("Releases", "Publish") => Admit::Operators(UPDATERS),
        ("Releases", "Metadata") => Admit::HostsAnd(EVERYONE),
        ("Rollouts", "List" | "Show" | "Watch") => Admit::Operators(EVERYONE),
        ("Rollouts", "Create" | "Start" | "Pause" | "Resume" | "Abort" | "Rollback") => Admit::Operators(UPDATERS),
        ("Rollouts", "Amend" | "Retry" | "Skip") => Admit::Operators(UPDATERS),
        ("Rollouts", "Documents") | ("Audit", "Read" | "Checkpoint") => Admit::Operators(EVERYONE),
        ("Rollouts", "Simulate") => Admit::Operators(EVERYONE),
        ("Rollouts", "Approve") => Admit::Operators(APPROVERS),
        ("Checklists", "Show") => Admit::Operators(EVERYONE),
        ("Recoveries", "Plan" | "List" | "Status") => Admit::Operators(EVERYONE),
        ("Recoveries", "Run" | "Abort") => Admit::Operators(UPDATERS),
        ("Freezes", "List") => Admit::Operators(EVERYONE),
        ("Freezes", "Create") => Admit::Operators(UPDATERS),
        ("Freezes", "End") => Admit::Operators(APPROVERS),
        ("Alerts" | "Silences", "List") => Admit::Operators(EVERYONE),
        ("Silences", "Create" | "End") => Admit::Operators(RUNNERS),
        ("Attestation", "Challenge" | "Quarantine") => Admit::Operators(GUARDS),
        ("Attestation", "Clear") => Admit::Operators(SECURITY),
        ("Hosts", "Decommission") => Admit::Operators(ADMINS),
        ("Hosts", "TakeReceipt") => Admit::Operators(UPDATERS),
        ("Enrolments", "List") => Admit::Operators(EVERYONE),
        ("Enrolments", "Approve" | "Deny") => Admit::Operators(POLICY_APPROVERS),
        ("Policies", "List" | "Show" | "Diff" | "Observe" | "Explain") => Admit::Operators(EVERYONE),
        ("Policies", "Propose") => Admit::Operators(POLICY_AUTHORS),
        ("Policies", "Approve") => Admit::Operators(POLICY_APPROVERS),
        ("Policies", "Stage" | "Activate" | "Retire" | "Rollback") => Admit::Operators(POLICY_AUTHORS),
        ("Escalations", "List") => Admit::Operators(EVERYONE),
        ("Escalations", "Resolve") => Admit::Operators(SECURITY),
        _ => return None,
    };
    Some(admit)
}

/// What a host may do before a person has let it in.
const WAITING_ROOM: &str = "/flota.v1.AgentSession/Connect";

/// Who calls; every service finds it in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A host.
    Host(HostId),
    /// An operator.
    Operator {
        /// Its name.
        name: String,
        /// Its role.
        role: Role,
    },
}

impl Principal {
    /// As it stands in the audit log.
    pub fn actor(&self) -> String {
        match self {
            Self::Host(id) => format!("host/{id}"),
            Self::Operator { name, .. } => format!("operator/{name}"),
        }
    }

    /// Its name alone, as people know it.
    pub fn name(&self) -> String {
        match self {
            Self::Host(id) => id.to_string(),
            Self::Operator { name, .. } => name.clone(),
        }
    }
}

/// The caller of a request that passed the table.
pub fn principal<T>(request: &tonic::Request<T>) -> Result<Principal, Fault> {
    let principal = request.extensions().get::<Principal>();
    principal.cloned().ok_or_else(|| Fault::new(Code::Bug, "a request passed without a principal"))
}

/// The other end of a request's connection.
pub fn peer<T>(request: &tonic::Request<T>) -> Result<Arc<Peer>, Fault> {
    let peer = request.extensions().get::<Arc<Peer>>();
    peer.cloned().ok_or_else(|| Fault::new(Code::Bug, "a request came over no connection of ours"))
}

/// Puts the table in front of services.
#[derive(Clone)]
pub struct AccessLayer(pub Arc<Core>);

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access { core: Arc::clone(&self.0), inner }
    }
}

/// Services behind the table.
#[derive(Clone)]
pub struct Access<S> {
    core: Arc<Core>,
    inner: S,
}

impl<S> Service<Request<Body>> for Access<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The instance that was ready serves this call; its clone takes the next one.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            let peer = request.extensions().get::<Arc<Peer>>().cloned();
            match authorize(&core, peer.as_deref(), request.uri().path()).await {
                Ok(principal) => {
                    request.extensions_mut().insert(principal);
                    inner.call(request).await
                }
                Err(fault) => Ok(Status::from(fault).into_http()),
            }
        })
    }
}

async fn authorize(core: &Core, peer: Option<&Peer>, path: &str) -> Result<Principal, Fault> {
    let unknown = || {
        Fault::new(Code::UnknownCertificate, "the client certificate belongs to nobody this controller knows")
            .fix("check the context's certificate, or enrol the host")
    };
    let certificate = peer.and_then(|peer| peer.certificate.as_ref()).ok_or_else(unknown)?;
    if certificate.not_after <= core.now() {
        return Err(Fault::new(Code::UnknownCertificate, "the client certificate has expired on this connection")
            .fix("connect again with a new certificate"));
    }
    let principal = identify(core, certificate, path).await?.ok_or_else(unknown)?;
    let admitted = match (admits(path), &principal) {
        (Some(Admit::Hosts | Admit::HostsAnd(_)), Principal::Host(_)) => true,
        (Some(Admit::Operators(roles) | Admit::HostsAnd(roles)), Principal::Operator { role, .. }) => {
            roles.contains(role)
        }
        _ => false,
    };
    if admitted {
        return Ok(principal);
    }
    let path: String = path.chars().take(120).collect();
    let entry = core.audit_by(&principal.actor(), "access", path.clone(), "denied", &json!({}));
    core.store.append_audit(&[entry]).await?;
    Err(denial(&principal, &path))
}

async fn identify(core: &Core, certificate: &PeerCertificate, path: &str) -> Result<Option<Principal>, Fault> {
    match &certificate.identity {
        Identity::Host(id) => {
            if core.denied.contains(id) {
                return Ok(None);
            }
            let host = core.store.host(id).await?.filter(|host| host.trust.admits_connection());
            if let Some(host) = &host
                && !is_its_key(core, host, &certificate.public_key).await?
            {
                tracing::warn!(host.id = %id, "a certificate over a key that this host had before was refused");
                return Ok(None);
            }
            // Until a person has let it in, a host may wait in a session, and nothing else.
            if path != WAITING_ROOM && host.as_ref().is_some_and(|host| host.awaits_approval) {
                return Err(
                    Fault::new(Code::RoleMissing, "the host waits for approval").fix("flota enrolment approve HOST")
                );
            }
            Ok(host.map(|host| Principal::Host(host.id)))
        }
        Identity::Operator(name) => {
            let operator = core.store.operator_by_certificate(&certificate.digest).await?;
            let operator = operator.filter(|operator| operator.name == *name);
            Ok(operator.map(|operator| Principal::Operator { name: operator.name, role: operator.role }))
        }
    }
}

/// Whether this is the key that the host enrolled with last: a certificate over one before it ends with it.
pub(crate) async fn is_its_key(core: &Core, host: &Host, public_key: &[u8]) -> Result<bool, Fault> {
    let Some((keys, _)) = core.store.host_keys(&host.id).await? else { return Ok(false) };
    if host.key_storage == KeyStorage::File {
        return Ok(keys.tls_public == public_key);
    }
    let key = Public::parse_2b(&keys.tls_public)
        .map_err(|error| Fault::new(Code::Bug, "the host's stored keys cannot be read").because(error))?;
    Ok(key.spki_der() == public_key)
}

fn denial(principal: &Principal, path: &str) -> Fault {
    match (principal, admits(path)) {
        (Principal::Operator { name, role }, Some(Admit::Operators(roles) | Admit::HostsAnd(roles))) => {
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            let sentence = format!("operator {name} is {role}; this needs {}", roles.join(" or "));
            Fault::new(Code::RoleMissing, sentence).fix("ask an operator with that role")
        }
        _ => Fault::new(Code::RoleMissing, "this certificate does not admit this request"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every RPC of the descriptor set but those of the Enrollment listener, as `/package.Service/Method`.
    fn fleet_rpcs() -> Vec<String> {
        let set: prost_types::FileDescriptorSet = prost::Message::decode(flota_proto::DESCRIPTORS).unwrap();
        let services = set.file.iter().flat_map(|file| {
            file.service.iter().map(move |service| (format!("{}.{}", file.package(), service.name()), service))
        });
        services
            .filter(|(name, _)| name != "flota.v1.Enrollment")
            .flat_map(|(name, service)| {
                service.method.iter().map(move |method| format!("/{name}/{}", method.name())).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn every_rpc_is_in_the_table() {
        let rpcs = fleet_rpcs();
        assert!(rpcs.len() > 20, "{rpcs:?}");
        for rpc in rpcs {
            assert!(admits(&rpc).is_some(), "{rpc} is not in the access table");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_denied() {
        for path in ["/flota.v1.Hosts/Delete", "/flota.v1.Enrollment/Begin", "/x/y", "", "/flota.v1.Hosts"] {
            assert_eq!(admits(path), None, "{path}");
        }
    }
}
