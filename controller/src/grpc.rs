//! The services. Thin: parse the request, ask the model's and the store's words, print the answer.
//!
//! Who may call what is decided in one table, [`access`], before any service sees the request.

pub mod access;
pub mod alerts;
pub mod attestation;
pub mod audit;
pub mod blobs;
pub mod checklists;
pub mod enrollment;
pub mod enrolments;
pub mod escalations;
pub mod exports;
pub mod freezes;
pub mod health;
pub mod hosts;
pub mod policies;
pub mod recoveries;
pub mod releases;
mod rights;
pub mod rollouts;
pub mod select;
pub mod session;
pub mod silences;
pub mod spans;
pub mod status;
pub mod tasks;
pub mod tokens;
pub mod view;

use std::sync::Arc;

use flota_proto::v1;
use tonic::service::Routes;

use crate::core::Core;

/// Services of the Enrollment listener.
pub fn enrollment_routes(core: &Arc<Core>) -> Routes {
    Routes::new(
        v1::enrollment_server::EnrollmentServer::new(enrollment::EnrollmentService(Arc::clone(core)))
            .max_decoding_message_size(enrollment::MAX_MESSAGE_BYTES),
    )
}

/// Services of the Fleet listener, for hosts and operators.
pub fn fleet_routes(core: &Arc<Core>) -> Routes {
    let core = || Arc::clone(core);
    Routes::new(
        v1::agent_session_server::AgentSessionServer::new(session::SessionService(core()))
            .max_decoding_message_size(flota_proto::MAX_MESSAGE_BYTES),
    )
    .add_service(v1::blobs_server::BlobsServer::new(blobs::BlobsService(core())))
    .add_service(v1::hosts_server::HostsServer::new(hosts::HostsService(core())))
    .add_service(v1::tokens_server::TokensServer::new(tokens::TokensService(core())))
    .add_service(v1::exports_server::ExportsServer::new(exports::ExportsService(core())))
    .add_service(v1::health_server::HealthServer::new(health::HealthService(core())))
    .add_service(v1::tasks_server::TasksServer::new(tasks::TasksService(core())))
    .add_service(v1::releases_server::ReleasesServer::new(releases::ReleasesService(core())))
    .add_service(v1::rollouts_server::RolloutsServer::new(rollouts::RolloutsService(core())))
    .add_service(v1::checklists_server::ChecklistsServer::new(checklists::ChecklistsService(core())))
    .add_service(v1::recoveries_server::RecoveriesServer::new(recoveries::RecoveriesService(core())))
    .add_service(v1::freezes_server::FreezesServer::new(freezes::FreezesService(core())))
    .add_service(v1::alerts_server::AlertsServer::new(alerts::AlertsService(core())))
    .add_service(v1::silences_server::SilencesServer::new(silences::SilencesService(core())))
    .add_service(v1::attestation_server::AttestationServer::new(attestation::AttestationService(core())))
    .add_service(v1::enrolments_server::EnrolmentsServer::new(enrolments::EnrolmentsService(core())))
    .add_service(v1::policies_server::PoliciesServer::new(policies::PoliciesService(core())))
    .add_service(v1::escalations_server::EscalationsServer::new(escalations::EscalationsService(core())))
    .add_service(v1::audit_server::AuditServer::new(audit::AuditService(core())))
}
