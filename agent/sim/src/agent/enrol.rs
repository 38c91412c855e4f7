//! Enrolment, as `flota-agent enroll` does it.

use flota_net::dial::{DialError, Dialed};
use flota_net::tls::TlsFileError;
use flota_proto::v1;
use flota_proto::v1::enrollment_client::EnrollmentClient;
use flota_seal::binding::{self, BeginFields, ChallengeFields};
use rustls::pki_types::CertificateDer;

use super::evidence::{pcr_indices, pcr_values};
use super::{Member, Refusal};
use crate::soft_tpm::{SoftTpm, SoftTpmError};

/// The enrolment protocol spoken.
const PROTOCOL: u32 = 1;

/// Why a simulated host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Not `flt_<id>_<secret>`.
    #[error("this is not an enrolment token: expected the whole line that flota token create printed")]
    Token,
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] SoftTpmError),
    /// The fleet CA.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The connection.
    #[error("connecting to the controller's enrollment listener")]
    Dial(#[from] DialError),
    /// The controller refused.
    #[error("the controller refused the enrolment")]
    Refused(#[from] Refusal),
    /// The controller's answer breaks the protocol.
    #[error("the controller's answer makes no sense: {0}")]
    Answer(&'static str),
}

/// Enrols over a connection that is up.
pub(super) async fn enrol(tpm: &SoftTpm, connection: Dialed, token: &str) -> Result<Member, EnrolError> {
    let token = token.trim();
    let token_id = token.strip_prefix("flt_").and_then(|rest| rest.split_once('_')).ok_or(EnrolError::Token)?.0;
    let csr = tpm.certificate_request()?;
    let fields = BeginFields {
        token_id,
        ek_certificate: tpm.ek_certificate(),
        ek_public: tpm.ek_public(),
        ak_public: tpm.ak_public(),
        tls_public: tpm.tls_public(),
        csr: &csr,
        agent_version: env!("CARGO_PKG_VERSION"),
    };
    let mut client = EnrollmentClient::new(connection.channel);
    let challenge = client.begin(begin(&fields, token)).await.map_err(Refusal::from)?.into_inner();
    let transcript = binding::transcript(&fields, &challenge_fields(&challenge));
    let finish = prove(tpm, challenge, &transcript, &connection.exporter)?;
    let member = client.finish(finish).await.map_err(Refusal::from)?.into_inner();
    Ok(Member {
        host_id: member.host_id.parse().map_err(|_| EnrolError::Answer("the host id is malformed"))?,
        host_name: member.host_name.parse().map_err(|_| EnrolError::Answer("the host name is malformed"))?,
        certificate: CertificateDer::from(member.certificate),
    })
}

fn begin(fields: &BeginFields<'_>, token: &str) -> v1::BeginRequest {
    v1::BeginRequest {
        protocol: PROTOCOL,
        token_id: fields.token_id.to_owned(),
        token_mac: fields.mac(&binding::token_key(token)).to_vec(),
        ek_certificate: fields.ek_certificate.to_vec(),
        ek_public: fields.ek_public.to_vec(),
        ak_public: fields.ak_public.to_vec(),
        tls_public: fields.tls_public.to_vec(),
        csr: fields.csr.to_vec(),
        agent_version: fields.agent_version.to_owned(),
        ..v1::BeginRequest::default()
    }
}

fn challenge_fields(challenge: &v1::BeginResponse) -> ChallengeFields<'_> {
    ChallengeFields {
        session_id: &challenge.session_id,
        credential_blob: &challenge.credential_blob,
        encrypted_secret: &challenge.encrypted_secret,
        certify_nonce: &challenge.certify_nonce,
        quote_nonce: &challenge.quote_nonce,
    }
}

/// Everything the TPM has to say. It takes some two milliseconds of the processor, so it stays on this thread.
#[expect(clippy::needless_update, reason = "the message may gain fields that a simulated host leaves empty")]
fn prove(
    tpm: &SoftTpm,
    challenge: v1::BeginResponse,
    transcript: &[u8; 32],
    exporter: &[u8; 32],
) -> Result<v1::FinishRequest, EnrolError> {
    let secret = tpm.activate_credential(&challenge.credential_blob, &challenge.encrypted_secret)?;
    let certified = tpm.certify_tls_key(binding::certify_qualifying(transcript, exporter))?;
    let pcrs = pcr_indices(&challenge.pcrs).ok_or(EnrolError::Answer("it asks for PCRs that do not exist"))?;
    let quote = tpm.quote(binding::enrol_quote_qualifying(transcript, exporter), &pcrs)?;
    Ok(v1::FinishRequest {
        session_id: challenge.session_id,
        proof: binding::enrol_proof(&secret, transcript).to_vec(),
        certify_attest: certified.attest,
        certify_signature: certified.signature,
        quote_attest: quote.signed.attest,
        quote_signature: quote.signed.signature,
        pcr_values: pcr_values(&quote.pcr_values),
        ..v1::FinishRequest::default()
    })
}
