//! Enrolment over the wire.

use std::sync::Arc;

use flota_attest::certify::CertifyEvidence;
use flota_attest::quote::QuoteEvidence;
use flota_proto::v1;
use flota_proto::v1::enrollment_server::Enrollment;
use flota_seal::binding::BeginFields;
use tonic::{Request, Response, Status};

use super::access;
use crate::core::Core;
use crate::enrolment::{self, Member, Proof, SESSION_SECONDS, SoftwareRequest};
use crate::fault::{Code, Fault};

/// Largest message of an enrolment, in bytes: certificates and structures of a TPM take a tenth of it.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// The protocol spoken.
const PROTOCOL: u32 = 1;

/// The service.
pub struct EnrollmentService(pub Arc<Core>);

#[tonic::async_trait]
impl Enrollment for EnrollmentService {
    async fn begin(&self, request: Request<v1::BeginRequest>) -> Result<Response<v1::BeginResponse>, Status> {
        let from = access::peer(&request)?.address;
        let begin = request.into_inner();
        check_protocol(begin.protocol)?;
        let fields = BeginFields {
            token_id: &begin.token_id,
            ek_certificate: &begin.ek_certificate,
            ek_public: &begin.ek_public,
            ak_public: &begin.ak_public,
            tls_public: &begin.tls_public,
            csr: &begin.csr,
            agent_version: &begin.agent_version,
        };
        let challenge = enrolment::begin(&self.0, &fields, &begin.ek_chain, &begin.token_mac, from).await?;
        Ok(Response::new(v1::BeginResponse {
            session_id: challenge.session_id.to_vec(),
            credential_blob: challenge.credential_blob,
            encrypted_secret: challenge.encrypted_secret,
            certify_nonce: challenge.certify_nonce.to_vec(),
            quote_nonce: challenge.quote_nonce.to_vec(),
            pcrs: self.0.selection.indices().map(u32::from).collect(),
            ttl_seconds: SESSION_SECONDS,
        }))
    }

    async fn finish(&self, request: Request<v1::FinishRequest>) -> Result<Response<v1::FinishResponse>, Status> {
        let exporter = access::peer(&request)?.exporter;
        let finish = request.into_inner();
        let pcr_values = pcr_values(&finish.pcr_values)?;
        let proof = Proof {
            proof: &finish.proof,
            certify: CertifyEvidence { attest: &finish.certify_attest, signature: &finish.certify_signature },
            quote: QuoteEvidence {
                attest: &finish.quote_attest,
                signature: &finish.quote_signature,
                pcr_values: &pcr_values,
            },
        };
        let member = enrolment::finish(&self.0, &finish.session_id, &proof, &exporter).await?;
        Ok(Response::new(finish_response(&self.0, member)))
    }

    async fn enrol_software_key(
        &self,
        request: Request<v1::EnrolSoftwareKeyRequest>,
    ) -> Result<Response<v1::FinishResponse>, Status> {
        let peer = access::peer(&request)?;
        let v1::EnrolSoftwareKeyRequest { protocol, token_id, token_mac, csr, agent_version } = request.into_inner();
        check_protocol(protocol)?;
        let request = SoftwareRequest {
            token_id: &token_id,
            token_mac: &token_mac,
            csr: &csr,
            agent_version: &agent_version,
            exporter: &peer.exporter,
        };
        let member = enrolment::enrol_software_key(&self.0, &request, peer.address).await?;
        Ok(Response::new(finish_response(&self.0, member)))
    }
}

fn check_protocol(protocol: u32) -> Result<(), Fault> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    let sentence = format!("this controller speaks enrolment protocol {PROTOCOL}, not {protocol}");
    Err(Fault::new(Code::BadRequest, sentence).fix("install an agent of the controller's version"))
}

fn finish_response(core: &Core, member: Member) -> v1::FinishResponse {
    v1::FinishResponse {
        host_id: member.id.to_string(),
        host_name: member.name.to_string(),
        certificate: member.certificate,
        fleet_ca: core.ca.certificate().to_vec(),
        status: if member.awaits_approval { "pending_approval" } else { "enrolled" }.to_owned(),
    }
}

/// PCR values as the verifier takes them.
pub fn pcr_values(values: &[v1::PcrValue]) -> Result<Vec<(u8, [u8; 32])>, Fault> {
    let wrong = || Fault::new(Code::BadRequest, "pcr_values must be indices below 256 with 32 bytes each");
    values
        .iter()
        .map(|v1::PcrValue { index, value }| {
            let index = u8::try_from(*index).map_err(|_| wrong())?;
            Ok((index, value.as_slice().try_into().map_err(|_| wrong())?))
        })
        .collect()
}
