//! Tokens, enrolments, attestation, policies and escalations, answered by the script.

use flota_proto::v1;
use tonic::{Request, Response, Status};

use super::super::trust::{explanation, observation, policy_request};
use super::services::{Answer, Service, host};

impl Service {
    /// A policy as the controller finds it: by name, by name and version, by a prefix of its digest.
    fn policy(&self, text: &str) -> Result<v1::PolicyDetail, Status> {
        let script = self.0.lock().unwrap();
        let found = script.policies.iter().find(|detail| {
            let policy = detail.policy.as_ref().unwrap();
            let label = format!("{}@{}", policy.name, policy.version);
            !text.is_empty() && (policy.name == text || label == text || policy.digest.starts_with(text))
        });
        found.cloned().ok_or_else(|| Status::not_found(format!("there is no policy `{text}`")))
    }

    fn in_state(&self, text: &str, state: &str) -> Result<v1::Policy, Status> {
        let policy = self.policy(text)?.policy.unwrap();
        Ok(v1::Policy { state: state.into(), ..policy })
    }
}

#[tonic::async_trait]
impl v1::tokens_server::Tokens for Service {
    async fn create(&self, request: Request<v1::CreateTokenRequest>) -> Answer<v1::CreateTokenResponse> {
        self.decide("Tokens.Create", &request)?;
        Ok(Response::new(v1::CreateTokenResponse {
            token: "flt-secret".into(),
            id: "t-7f3a".into(),
            expires_at: "2026-11-23T15:43:10Z".into(),
        }))
    }

    async fn list(&self, _: Request<v1::ListTokensRequest>) -> Answer<v1::ListTokensResponse> {
        Ok(Response::new(v1::ListTokensResponse { tokens: self.0.lock().unwrap().tokens.clone() }))
    }

    async fn revoke(&self, request: Request<v1::RevokeTokenRequest>) -> Answer<v1::RevokeTokenResponse> {
        self.decide("Tokens.Revoke", &request)?;
        Ok(Response::new(v1::RevokeTokenResponse {}))
    }
}

#[tonic::async_trait]
impl v1::enrolments_server::Enrolments for Service {
    async fn list(&self, _: Request<v1::ListEnrolmentsRequest>) -> Answer<v1::ListEnrolmentsResponse> {
        let enrolments = self.0.lock().unwrap().enrolments.clone();
        Ok(Response::new(v1::ListEnrolmentsResponse { enrolments }))
    }

    async fn approve(&self, request: Request<v1::HostActionRequest>) -> Answer<v1::Host> {
        self.decide("Enrolments.Approve", &request)?;
        let host = host(&request.into_inner().host)?;
        Ok(Response::new(v1::Host { awaits_approval: false, ..host }))
    }

    async fn deny(&self, request: Request<v1::HostActionRequest>) -> Answer<v1::Host> {
        self.decide("Enrolments.Deny", &request)?;
        let host = host(&request.into_inner().host)?;
        Ok(Response::new(v1::Host { trust: "retired".into(), awaits_approval: false, ..host }))
    }
}

#[tonic::async_trait]
impl v1::attestation_server::Attestation for Service {
    async fn challenge(&self, request: Request<v1::ChallengeRequest>) -> Answer<v1::ChallengeResponse> {
        self.decide("Attestation.Challenge", &request)?;
        Ok(Response::new(v1::ChallengeResponse::default()))
    }

    async fn quarantine(&self, request: Request<v1::HostActionRequest>) -> Answer<v1::Host> {
        self.decide("Attestation.Quarantine", &request)?;
        let host = host(&request.into_inner().host)?;
        Ok(Response::new(v1::Host { trust: "quarantined".into(), lease_until: String::new(), ..host }))
    }

    async fn clear(&self, request: Request<v1::HostActionRequest>) -> Answer<v1::Host> {
        self.decide("Attestation.Clear", &request)?;
        let host = host(&request.into_inner().host)?;
        Ok(Response::new(v1::Host { trust: "stale".into(), lease_until: String::new(), ..host }))
    }
}

#[tonic::async_trait]
impl v1::policies_server::Policies for Service {
    async fn list(&self, request: Request<v1::ListPoliciesRequest>) -> Answer<v1::ListPoliciesResponse> {
        let name = request.into_inner().name;
        let script = self.0.lock().unwrap();
        let policies = script.policies.iter().filter_map(|detail| detail.policy.clone());
        let policies = policies.filter(|policy| name.is_empty() || policy.name == name).collect();
        Ok(Response::new(v1::ListPoliciesResponse { policies }))
    }

    async fn show(&self, request: Request<v1::PolicyRef>) -> Answer<v1::PolicyDetail> {
        Ok(Response::new(self.policy(&request.into_inner().policy)?))
    }

    async fn observe(&self, request: Request<v1::ObserveRequest>) -> Answer<v1::ObserveResponse> {
        self.decide("Policies.Observe", &request)?;
        Ok(Response::new(observation()))
    }

    async fn propose(&self, request: Request<v1::ProposePolicyRequest>) -> Answer<v1::PolicyDetail> {
        self.decide("Policies.Propose", &request)?;
        Ok(Response::new(self.policy(&request.into_inner().name)?))
    }

    async fn diff(&self, request: Request<v1::DiffPoliciesRequest>) -> Answer<v1::DiffPoliciesResponse> {
        self.decide("Policies.Diff", &request)?;
        let diff = self.0.lock().unwrap().diff.clone();
        diff.map(Response::new).ok_or_else(|| Status::not_found("no version of prod is active"))
    }

    async fn approve(&self, request: Request<v1::PolicyActionRequest>) -> Answer<v1::Policy> {
        self.decide("Policies.Approve", &request)?;
        Ok(Response::new(self.in_state(&request.into_inner().policy, "approved")?))
    }

    async fn stage(&self, request: Request<v1::StagePolicyRequest>) -> Answer<v1::Policy> {
        self.decide("Policies.Stage", &request)?;
        let v1::StagePolicyRequest { policy, from, until, .. } = request.into_inner();
        let staged = self.in_state(&policy, "staged")?;
        Ok(Response::new(v1::Policy { valid_from: from, valid_until: until, ..staged }))
    }

    async fn activate(&self, request: Request<v1::ActivatePolicyRequest>) -> Answer<v1::Policy> {
        self.decide("Policies.Activate", &request)?;
        Ok(Response::new(self.in_state(&request.into_inner().policy, "active")?))
    }

    async fn retire(&self, request: Request<v1::RetirePolicyRequest>) -> Answer<v1::Policy> {
        self.decide("Policies.Retire", &request)?;
        let v1::RetirePolicyRequest { policy, after_seconds, .. } = request.into_inner();
        let known = self.policy(&policy)?.policy.unwrap_or_default();
        if known.state == "active" {
            return Ok(Response::new(v1::Policy { request: Some(policy_request("retire")), ..known }));
        }
        Ok(Response::new(self.in_state(&policy, if after_seconds == 0 { "retired" } else { "retiring" })?))
    }

    async fn rollback(&self, request: Request<v1::PolicyActionRequest>) -> Answer<v1::Policy> {
        self.decide("Policies.Rollback", &request)?;
        let before = self.in_state("prod@2", "retired")?;
        Ok(Response::new(v1::Policy { request: Some(policy_request("rollback")), ..before }))
    }

    async fn explain(&self, request: Request<v1::ExplainPolicyRequest>) -> Answer<v1::ExplainPolicyResponse> {
        let host_name = host(&request.into_inner().host)?.name;
        Ok(Response::new(v1::ExplainPolicyResponse { host_name, ..explanation() }))
    }
}

#[tonic::async_trait]
impl v1::escalations_server::Escalations for Service {
    async fn list(&self, request: Request<v1::ListEscalationsRequest>) -> Answer<v1::ListEscalationsResponse> {
        let all = request.into_inner().all;
        let mut escalations = self.0.lock().unwrap().escalations.clone();
        escalations.retain(|escalation| all || escalation.state == "open");
        Ok(Response::new(v1::ListEscalationsResponse { escalations }))
    }

    async fn resolve(&self, request: Request<v1::ResolveEscalationRequest>) -> Answer<v1::Escalation> {
        self.decide("Escalations.Resolve", &request)?;
        let v1::ResolveEscalationRequest { id, resolution } = request.into_inner();
        let mut script = self.0.lock().unwrap();
        let found = script.escalations.iter_mut().find(|escalation| escalation.id == id);
        let escalation = found.ok_or_else(|| Status::not_found(format!("there is no escalation `{id}`")))?;
        escalation.state = "resolved".into();
        escalation.resolution = resolution;
        escalation.resolved_by = "operator/ola".into();
        escalation.resolved_at = "2026-11-23T14:43:10Z".into();
        Ok(Response::new(escalation.clone()))
    }
}
