//! The life of attestation policies: from what hosts measure to what they are held to, and why one of them does not.

mod agreed;
mod explain;
mod measured;

use std::sync::Arc;
use std::time::Duration;

use flota_attest::policy::{self, Policy, ProposedRules};
use flota_model::{Digest, Selector, Timestamp};
use flota_proto::v1;
use flota_proto::v1::policies_server::Policies;
use flota_store::{AddPolicy, NewPolicy, PolicyRecord, PolicyState, Previous};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{access, select};
use crate::core::Core;
use crate::fault::{Code, Fault};
use measured::Measured;

/// Longest window of a staged policy and longest time that a former one stays accepted: a change that takes longer is a
/// policy, not an exception.
const MAX_WINDOW: Duration = Duration::from_hours(90 * 24);
/// Longest note, in characters.
const MAX_NOTE_CHARS: usize = 1000;

/// The service.
pub struct PoliciesService(pub Arc<Core>);

#[tonic::async_trait]
impl Policies for PoliciesService {
    async fn list(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        let name = request.into_inner().name;
        let records = self.0.store.policies().await.map_err(Fault::from)?;
        let fleet = self.0.store.hosts().await.map_err(Fault::from)?;
        let chosen = records.iter().filter(|record| name.is_empty() || record.name == name);
        Ok(Response::new(v1::ListPoliciesResponse {
            policies: chosen.map(|record| shown(record, &fleet, self.0.now())).collect(),
        }))
    }

    async fn show(&self, request: Request<v1::PolicyRef>) -> Result<Response<v1::PolicyDetail>, Status> {
        let record = find(&self.0, &request.into_inner().policy).await?;
        Ok(Response::new(detail(&self.0, &record, Vec::new()).await?))
    }

    async fn observe(&self, request: Request<v1::ObserveRequest>) -> Result<Response<v1::ObserveResponse>, Status> {
        let v1::ObserveRequest { selector, all_hosts, hosts } = request.into_inner();
        let selection = select::Selection { selector: &selector, names: &hosts, all: all_hosts };
        let measured = Measured::of(&self.0, selection).await?;
        Ok(Response::new(measured::observed(&measured)))
    }

    async fn propose(&self, request: Request<v1::ProposePolicyRequest>) -> Result<Response<v1::PolicyDetail>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let request = request.into_inner();
        let (policy, notes) = proposal(core, &request).await?;
        policy.check_selection(&core.selection).map_err(Fault::bad)?;
        let _selector: Selector = policy.applies_to().parse().map_err(Fault::bad)?;
        let digest = Digest::from_bytes(policy.digest());
        let new = NewPolicy {
            digest,
            name: policy.name().to_owned(),
            document_json: policy.to_canonical_json(),
            author: actor.clone(),
            note: request.note.chars().take(MAX_NOTE_CHARS).collect(),
            at: core.now(),
        };
        let details = json!({ "digest": digest, "applies_to": policy.applies_to(), "note": new.note });
        let audit = core.audit_by(&actor, "policy.propose", format!("policy/{}", new.name), "ok", &details);
        let notes = match core.store.add_policy(&new, &audit).await.map_err(Fault::from)? {
            AddPolicy::Added { .. } => notes,
            AddPolicy::AlreadyThere { version } => {
                vec![format!("this very document is there already, as {}@{version}", new.name)]
            }
        };
        let record = find(core, &digest.to_string()).await?;
        Ok(Response::new(detail(core, &record, notes).await?))
    }

    async fn diff(
        &self,
        request: Request<v1::DiffPoliciesRequest>,
    ) -> Result<Response<v1::DiffPoliciesResponse>, Status> {
        let v1::DiffPoliciesRequest { from, to } = request.into_inner();
        let to = find(&self.0, &to).await?;
        let from = match from.as_str() {
            "" => active(&self.0, &to.name).await?.ok_or_else(|| {
                Fault::new(Code::NotFound, format!("no version of {} is active", to.name)).fix("name both versions")
            })?,
            text => find(&self.0, text).await?,
        };
        let changes = policy::diff(&read(&from)?, &read(&to)?).iter().map(ToString::to_string).collect();
        Ok(Response::new(v1::DiffPoliciesResponse { from: label(&from), to: label(&to), changes }))
    }

    async fn approve(&self, request: Request<v1::PolicyActionRequest>) -> Result<Response<v1::Policy>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::PolicyActionRequest { policy, reason, asked_at } = request.into_inner();
        let record = find(&self.0, &policy).await?;
        agreed::approve(&self.0, &actor, &record, &reason, &asked_at).await
    }

    async fn stage(&self, request: Request<v1::StagePolicyRequest>) -> Result<Response<v1::Policy>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::StagePolicyRequest { policy, reason, from, until } = request.into_inner();
        let record = find(core, &policy).await?;
        let from = if from.is_empty() { core.now() } else { time(&from)? };
        let until = time(&until)?;
        if until <= from || until <= core.now() || until.since(from) > MAX_WINDOW {
            return Err(Fault::new(
                Code::BadRequest,
                "the window must end after it begins, in the future, and last 90 days at most",
            )
            .into());
        }
        let details = json!({ "reason": reason, "from": from, "until": until });
        let audit = core.audit_by(&actor, "policy.stage", format!("policy/{}", label(&record)), "ok", &details);
        let to = PolicyState::Staged { from, until };
        set_state(core, &record, &["approved", "staged"], to, &audit).await
    }

    async fn activate(&self, request: Request<v1::ActivatePolicyRequest>) -> Result<Response<v1::Policy>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::ActivatePolicyRequest { policy, reason, keep_previous_seconds } = request.into_inner();
        let record = find(core, &policy).await?;
        let details = json!({ "reason": reason, "keep_previous_seconds": keep_previous_seconds });
        let audit = core.audit_by(&actor, "policy.activate", format!("policy/{}", label(&record)), "ok", &details);
        let previous = previous(core, keep_previous_seconds)?;
        activate(core, &record, &["approved", "staged"], previous, &audit).await
    }

    async fn retire(&self, request: Request<v1::RetirePolicyRequest>) -> Result<Response<v1::Policy>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::RetirePolicyRequest { policy, reason, after_seconds } = request.into_inner();
        let record = find(&self.0, &policy).await?;
        agreed::retire(&self.0, &actor, &record, &reason, after_seconds).await
    }

    async fn rollback(&self, request: Request<v1::PolicyActionRequest>) -> Result<Response<v1::Policy>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::PolicyActionRequest { policy, reason, asked_at: _ } = request.into_inner();
        let name = policy.split('@').next().unwrap_or_default();
        agreed::rollback(&self.0, &actor, name, &reason).await
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainPolicyRequest>,
    ) -> Result<Response<v1::ExplainPolicyResponse>, Status> {
        let fleet = self.0.store.hosts().await.map_err(Fault::from)?;
        let host = select::find(&fleet, &request.into_inner().host)?;
        Ok(Response::new(explain::explain(&self.0, host).await?))
    }
}

async fn proposal(core: &Core, request: &v1::ProposePolicyRequest) -> Result<(Policy, Vec<String>), Fault> {
    if !request.document_json.is_empty() {
        let policy = Policy::parse(request.document_json.as_bytes()).map_err(Fault::bad)?;
        if !request.name.is_empty() && request.name != policy.name() {
            let sentence = format!("the document is of `{}`, not of `{}`", policy.name(), request.name);
            return Err(Fault::new(Code::BadRequest, sentence));
        }
        return Ok((policy, Vec::new()));
    }
    let selection = select::Selection { selector: &request.selector, names: &request.hosts, all: request.all_hosts };
    let measured = Measured::of(core, selection).await?;
    let rules = if request.by_events { ProposedRules::EventsWhereLogsReplay } else { ProposedRules::Values };
    let proposal =
        Policy::propose(&request.name, &request.applies_to, &measured.observations(), rules).map_err(Fault::bad)?;
    Ok((proposal.policy, proposal.notes.iter().map(ToString::to_string).collect()))
}

/// A policy by name (its newest version), by name and version, or by a prefix of its digest that no other has.
async fn find(core: &Core, text: &str) -> Result<PolicyRecord, Fault> {
    let records = core.store.policies().await?;
    let not_found = || Fault::not_found("policy", text).fix("flota policy list");
    if let Some((name, version)) = text.split_once('@') {
        let found = records.iter().find(|record| record.name == name && record.version.to_string() == version);
        return found.cloned().ok_or_else(not_found);
    }
    if let Some(newest) = records.iter().find(|record| record.name == text) {
        return Ok(newest.clone());
    }
    let matching: Vec<&PolicyRecord> =
        records.iter().filter(|record| !text.is_empty() && record.digest.to_string().starts_with(text)).collect();
    match matching.as_slice() {
        [one] => Ok((*one).clone()),
        _ => Err(not_found()),
    }
}

async fn active(core: &Core, name: &str) -> Result<Option<PolicyRecord>, Fault> {
    let records = core.store.policies().await?;
    Ok(records.into_iter().find(|record| record.name == name && record.state == PolicyState::Active))
}

async fn set_state(
    core: &Core,
    record: &PolicyRecord,
    from: &[&str],
    to: PolicyState,
    audit: &flota_model::audit::AuditEntry,
) -> Result<Response<v1::Policy>, Status> {
    if core.store.set_policy_state(&record.digest, from, to, audit).await.map_err(Fault::from)? {
        return changed(core, record).await;
    }
    Err(wrong_state(record, record.state, to.as_str()).into())
}

async fn activate(
    core: &Core,
    record: &PolicyRecord,
    from: &[&str],
    previous: Previous,
    audit: &flota_model::audit::AuditEntry,
) -> Result<Response<v1::Policy>, Status> {
    // The fleet may quote other PCRs by now than when the policy was proposed.
    read(record)?.check_selection(&core.selection).map_err(Fault::bad)?;
    if core.store.activate_policy(&record.digest, from, previous, audit).await.map_err(Fault::from)? {
        return changed(core, record).await;
    }
    Err(wrong_state(record, record.state, "active").into())
}

/// In force from now on; the answer shows it as it is.
async fn changed(core: &Core, record: &PolicyRecord) -> Result<Response<v1::Policy>, Status> {
    core.policies.reload(&*core.store).await.map_err(Fault::from)?;
    let fleet = core.store.hosts().await.map_err(Fault::from)?;
    let record = find(core, &record.digest.to_string()).await?;
    Ok(Response::new(shown(&record, &fleet, core.now())))
}

fn previous(core: &Core, seconds: u32) -> Result<Previous, Fault> {
    let kept = Duration::from_secs(u64::from(seconds));
    if kept > MAX_WINDOW {
        return Err(Fault::new(Code::BadRequest, "a former policy is accepted for 90 days at most"));
    }
    Ok(if kept.is_zero() { Previous::Retired } else { Previous::AcceptedUntil(core.now().plus(kept)) })
}

fn wrong_state(record: &PolicyRecord, state: PolicyState, wanted: &str) -> Fault {
    let next = match state {
        PolicyState::Draft => "flota policy approve, by somebody else than its author",
        PolicyState::Retired => "flota policy rollback, or propose it again",
        _ => "flota policy list",
    };
    let sentence = format!("{} is {} and cannot become {wanted}", label(record), state.as_str());
    Fault::new(Code::WrongState, sentence).fix(next)
}

fn time(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map_err(|_| Fault::new(Code::BadRequest, "a time must be RFC 3339, as in 2026-11-27T10:00:00Z"))
}

fn read(record: &PolicyRecord) -> Result<Policy, Fault> {
    Policy::parse(record.document_json.as_bytes())
        .map_err(|error| Fault::new(Code::Bug, "a stored policy cannot be read").because(error))
}

fn label(record: &PolicyRecord) -> String {
    format!("{}@{}", record.name, record.version)
}

async fn detail(core: &Core, record: &PolicyRecord, notes: Vec<String>) -> Result<v1::PolicyDetail, Fault> {
    let fleet = core.store.hosts().await?;
    Ok(v1::PolicyDetail {
        policy: Some(shown(record, &fleet, core.now())),
        document_json: record.document_json.clone(),
        notes,
    })
}

fn shown(record: &PolicyRecord, fleet: &[flota_model::host::Host], now: Timestamp) -> v1::Policy {
    let applies_to = read(record).map(|policy| policy.applies_to().to_owned()).unwrap_or_default();
    let selector: Option<Selector> = applies_to.parse().ok();
    let hosts = fleet.iter().filter(|host| {
        host.trust.admits_connection() && selector.as_ref().is_some_and(|one| one.matches(&host.name, &host.labels))
    });
    let met = format!("{}@{}", record.name, record.version);
    let trusted = |host: &&flota_model::host::Host| {
        host.policy.split(", ").any(|policy| policy == met) && host.trust == flota_model::host::Trust::Trusted
    };
    let (from, until) = match record.state {
        PolicyState::Staged { from, until } => (from.to_string(), until.to_string()),
        PolicyState::Retiring { until } => (String::new(), until.to_string()),
        _ => (String::new(), String::new()),
    };
    v1::Policy {
        digest: record.digest.to_string(),
        name: record.name.clone(),
        version: record.version,
        state: record.state.as_str().to_owned(),
        hosts: u32::try_from(hosts.clone().count()).unwrap_or(u32::MAX),
        hosts_met: u32::try_from(hosts.filter(trusted).count()).unwrap_or(u32::MAX),
        applies_to,
        author: record.author.clone(),
        created_at: record.created_at.to_string(),
        approvers: record.approvers.clone(),
        note: record.note.clone(),
        valid_from: from,
        valid_until: until,
        request: agreed::waiting(record, now).map(agreed::shown),
    }
}
