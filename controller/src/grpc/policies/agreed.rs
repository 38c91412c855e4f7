//! Changes that take two people: what asks less of hosts than before. One asks, another one approves.
//!
//! A draft is approved by somebody else than its author; taking the active policy away, or going back to an earlier one,
//! is carried out when somebody else than the one who asked approves it.

use std::time::Duration;

use flota_model::Timestamp;
use flota_proto::v1;
use flota_store::{ApprovePolicy, PolicyChange, PolicyRecord, PolicyRequest, PolicyState, Previous};
use serde_json::json;
use tonic::{Response, Status};

use super::{MAX_NOTE_CHARS, activate, changed, label, previous, set_state, wrong_state};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// What nobody has agreed to by then was asked for of a fleet that is another one by now.
const REQUEST_LIFETIME: Duration = Duration::from_hours(24);
/// What is retired without a second person: no host is held to it, or less is accepted afterwards.
const TIGHTENING: &[&str] = &["draft", "approved", "staged", "retiring"];

/// Approves what waits for it, and was shown to the person: a change that was asked for, or else the draft.
pub(super) async fn approve(
    core: &Core,
    actor: &str,
    record: &PolicyRecord,
    reason: &str,
    asked_at: &str,
) -> Result<Response<v1::Policy>, Status> {
    let request = waiting(record, core.now());
    if request.map(|request| request.at.to_string()).unwrap_or_default() != asked_at {
        let sentence = format!("something else waits for an approval of {} than was shown", label(record));
        return Err(Fault::new(Code::Changed, sentence).fix("flota policy show, then approve again").into());
    }
    if let Some(request) = request {
        return agree(core, actor, record, request, reason).await;
    }
    let details = json!({ "reason": reason, "digest": record.digest });
    let audit = core.audit_by(actor, "policy.approve", format!("policy/{}", label(record)), "ok", &details);
    match core.store.approve_policy(&record.digest, actor, &audit).await.map_err(Fault::from)? {
        ApprovePolicy::Approved => changed(core, record).await,
        ApprovePolicy::AuthorMayNot => {
            let sentence = format!("{} wrote {}: somebody else must approve it", record.author, label(record));
            Err(Fault::new(Code::WrongState, sentence).fix("ask another approver").into())
        }
        ApprovePolicy::NoDraft { state } => Err(wrong_state(record, state, "approved").into()),
        ApprovePolicy::NoSuchPolicy => Err(Fault::not_found("policy", &label(record)).into()),
    }
}

/// Takes a policy out of use, if it is not the one that hosts are held to; else asks for it.
pub(super) async fn retire(
    core: &Core,
    actor: &str,
    record: &PolicyRecord,
    reason: &str,
    after_seconds: u32,
) -> Result<Response<v1::Policy>, Status> {
    let to = retired(previous(core, after_seconds)?);
    if record.state == PolicyState::Active {
        return ask(core, actor, record, PolicyChange::Retire { after_seconds }, reason).await;
    }
    let details = json!({ "reason": reason, "after_seconds": after_seconds });
    let audit = core.audit_by(actor, "policy.retire", format!("policy/{}", label(record)), "ok", &details);
    set_state(core, record, TIGHTENING, to, &audit).await
}

/// Asks to go back to the version of this name that was active before.
pub(super) async fn rollback(
    core: &Core,
    actor: &str,
    name: &str,
    reason: &str,
) -> Result<Response<v1::Policy>, Status> {
    let records = core.store.policies().await.map_err(Fault::from)?;
    let before = records
        .iter()
        .filter(|record| record.name == name && record.state != PolicyState::Active)
        .filter_map(|record| record.activated_at.map(|at| (at, record)))
        .max_by_key(|(at, _)| *at);
    let Some((_, before)) = before else {
        let sentence = format!("no earlier version of `{name}` was ever active");
        return Err(Fault::new(Code::WrongState, sentence).fix("flota policy list").into());
    };
    ask(core, actor, before, PolicyChange::Rollback, reason).await
}

/// The change that waits for a second person.
pub(super) fn waiting(record: &PolicyRecord, now: Timestamp) -> Option<&PolicyRequest> {
    record.request.as_ref().filter(|request| now < ends(request))
}

/// As it is shown.
pub(super) fn shown(request: &PolicyRequest) -> v1::PolicyRequest {
    let after_seconds = match request.change {
        PolicyChange::Retire { after_seconds } => after_seconds,
        PolicyChange::Rollback => 0,
    };
    v1::PolicyRequest {
        change: request.change.as_str().to_owned(),
        after_seconds,
        author: request.author.clone(),
        reason: request.reason.clone(),
        at: request.at.to_string(),
        until: ends(request).to_string(),
    }
}

fn ends(request: &PolicyRequest) -> Timestamp {
    request.at.plus(REQUEST_LIFETIME)
}

async fn ask(
    core: &Core,
    actor: &str,
    record: &PolicyRecord,
    change: PolicyChange,
    reason: &str,
) -> Result<Response<v1::Policy>, Status> {
    let reason = reason.chars().take(MAX_NOTE_CHARS).collect();
    let request = PolicyRequest { change, author: actor.to_owned(), reason, at: core.now() };
    let details = json!(shown_in_audit(&request));
    let audit = core.audit_by(actor, "policy.ask", format!("policy/{}", label(record)), "ok", &details);
    if core.store.ask_policy_change(&record.digest, &request, &audit).await.map_err(Fault::from)? {
        return changed(core, record).await;
    }
    Err(Fault::not_found("policy", &label(record)).into())
}

async fn agree(
    core: &Core,
    actor: &str,
    record: &PolicyRecord,
    request: &PolicyRequest,
    reason: &str,
) -> Result<Response<v1::Policy>, Status> {
    let (word, object) = (request.change.as_str(), format!("policy/{}", label(record)));
    if request.author == actor {
        let what = match request.change {
            PolicyChange::Retire { .. } => "retirement",
            PolicyChange::Rollback => "rollback",
        };
        let sentence = format!("{actor} asked for the {what} of {}: somebody else must approve it", label(record));
        return Err(Fault::new(Code::WrongState, sentence).fix("ask another approver").into());
    }
    let mut details = shown_in_audit(request);
    details.insert("note".into(), json!(reason));
    // Taken first: should the change fail after it, it has to be asked for again, and is not carried out twice.
    let audit = core.audit_by(actor, "policy.approve", object.clone(), "ok", &json!(details));
    if !core.store.take_policy_request(&record.digest, request, &audit).await.map_err(Fault::from)? {
        return Err(Fault::new(Code::Changed, "something else was asked for meanwhile")
            .fix("flota policy show")
            .into());
    }
    let audit = core.audit_by(actor, &format!("policy.{word}"), object, "ok", &json!(details));
    match request.change {
        PolicyChange::Retire { after_seconds } => {
            set_state(core, record, &["active"], retired(previous(core, after_seconds)?), &audit).await
        }
        PolicyChange::Rollback => activate(core, record, &["retiring", "retired"], Previous::Retired, &audit).await,
    }
}

fn shown_in_audit(request: &PolicyRequest) -> serde_json::Map<String, serde_json::Value> {
    let v1::PolicyRequest { change, after_seconds, author, reason, at: _, until } = shown(request);
    let details = [
        ("change", json!(change)),
        ("after_seconds", json!(after_seconds)),
        ("asked_by", json!(author)),
        ("reason", json!(reason)),
        ("until", json!(until)),
    ];
    details.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

const fn retired(previous: Previous) -> PolicyState {
    match previous {
        Previous::Retired => PolicyState::Retired,
        Previous::AcceptedUntil(until) => PolicyState::Retiring { until },
    }
}
