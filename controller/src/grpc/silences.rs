//! Silences over the wire.

use std::sync::Arc;

use flota_alerts::rules;
use flota_model::Timestamp;
use flota_model::alert::{MAX_SILENCE_REASON, Silence};
use flota_model::host::{Host, Trust};
use flota_proto::v1;
use flota_proto::v1::silences_server::Silences;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::access::{self, Principal};
use super::spans;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Longest silence: a maintenance takes days, and what is silent for longer is forgotten.
const BOUNDS: spans::Bounds = spans::Bounds { what: "a silence", days: 14, reason: MAX_SILENCE_REASON };

/// The service.
pub struct SilencesService(pub Arc<Core>);

#[tonic::async_trait]
impl Silences for SilencesService {
    async fn create(&self, request: Request<v1::CreateSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        let core = &self.0;
        let principal = access::principal(&request)?;
        let silence = asked(core, &principal, request.into_inner())?;
        let details = json!({
            "selector": silence.selector, "rule": silence.rule, "from": silence.from, "until": silence.until,
            "reason": silence.reason,
        });
        let audit = core.audit_by(&principal.actor(), "silence.create", "silences".to_owned(), "ok", &details);
        let id = core.store.add_silence(&silence, &audit).await.map_err(Fault::from)?;
        let fleet = core.store.hosts().await.map_err(Fault::from)?;
        Ok(Response::new(shown(&Silence { id, ..silence }, &fleet, core.now())))
    }

    async fn list(
        &self,
        request: Request<v1::ListSilencesRequest>,
    ) -> Result<Response<v1::ListSilencesResponse>, Status> {
        let now = self.0.now();
        let since = (!request.into_inner().all).then_some(now);
        let silences = self.0.store.silences(since).await.map_err(Fault::from)?;
        let fleet = self.0.store.hosts().await.map_err(Fault::from)?;
        let silences = silences.iter().map(|one| shown(one, &fleet, now)).collect();
        Ok(Response::new(v1::ListSilencesResponse { silences }))
    }

    async fn end(&self, request: Request<v1::EndSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::EndSilenceRequest { id, reason } = request.into_inner();
        let reason: String = reason.chars().take(MAX_SILENCE_REASON).collect();
        let audit = core.audit_by(&actor, "silence.end", format!("silence/{id}"), "ok", &json!({ "reason": reason }));
        let ended = core.store.end_silence(id, &audit).await.map_err(Fault::from)?;
        let silences = core.store.silences(None).await.map_err(Fault::from)?;
        match silences.iter().find(|silence| silence.id == id) {
            None => Err(Fault::not_found("silence", &id.to_string()).fix("flota silence list").into()),
            Some(_) if !ended => Err(Fault::new(Code::WrongState, format!("silence {id} is over already")).into()),
            Some(silence) => {
                let fleet = core.store.hosts().await.map_err(Fault::from)?;
                Ok(Response::new(shown(silence, &fleet, core.now())))
            }
        }
    }
}

fn asked(core: &Core, principal: &Principal, request: v1::CreateSilenceRequest) -> Result<Silence, Fault> {
    let v1::CreateSilenceRequest { selector, all_hosts, rule, from, until, reason } = request;
    let span = spans::read(spans::Asked { selector, all_hosts, from, until, reason }, &BOUNDS, core.now())?;
    let spans::Span { selector, from, until, reason } = span;
    if !rule.is_empty() && rules::rule(&rule).is_none() {
        let known: Vec<&str> = rules::RULES.iter().map(|rule| rule.name).collect();
        return Err(Fault::not_found("alert rule", &rule).fix(format!("one of {}", known.join(", "))));
    }
    let rule = Some(rule).filter(|rule| !rule.is_empty());
    Ok(Silence { id: 0, selector, rule, from, until, reason, created_by: principal.name() })
}

fn shown(silence: &Silence, fleet: &[Host], now: Timestamp) -> v1::Silence {
    let Silence { id, selector, rule, from, until, reason, created_by } = silence;
    let hosts =
        fleet.iter().filter(|host| host.trust != Trust::Retired && selector.matches(&host.name, &host.labels)).count();
    v1::Silence {
        id: *id,
        selector: selector.to_string(),
        rule: rule.clone().unwrap_or_default(),
        from: from.to_string(),
        until: until.to_string(),
        reason: reason.clone(),
        created_by: created_by.clone(),
        state: spans::state(*from, *until, now).to_owned(),
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
    }
}
