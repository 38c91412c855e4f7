//! Enrolment, message by message.

use flota_net::dial::dial_with_exporter;
use flota_proto::v1;
use flota_proto::v1::enrollment_client::EnrollmentClient;
use flota_seal::binding::{self, BeginFields, ChallengeFields, EXPORTER_LABEL};
use flota_tpm::Tpm;
use tonic::Status;
use tonic::transport::Channel;

use super::{certificate_request, client_config};
use crate::controller::Controller;

/// The protocol spoken.
const PROTOCOL: u32 = 1;

/// What a host holds when it is in the fleet.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub host_id: String,
    /// Its name.
    pub host_name: String,
    /// Its client certificate, DER.
    pub certificate: Vec<u8>,
}

impl From<v1::FinishResponse> for Member {
    fn from(response: v1::FinishResponse) -> Self {
        Self { host_id: response.host_id, host_name: response.host_name, certificate: response.certificate }
    }
}

/// One connection to the Enrollment listener.
#[derive(Debug, Clone)]
pub struct EnrolmentConnection {
    client: EnrollmentClient<Channel>,
    /// Keying material of this connection.
    pub exporter: [u8; 32],
}

impl EnrolmentConnection {
    /// Connects, as anybody may.
    pub async fn dial(controller: &Controller) -> anyhow::Result<Self> {
        let tls = client_config(controller, None)?;
        let dialed = dial_with_exporter(&controller.enrollment, tls, EXPORTER_LABEL).await?;
        Ok(Self { client: EnrollmentClient::new(dialed.channel), exporter: dialed.exporter })
    }

    /// M1 to M2.
    pub async fn begin(&mut self, request: v1::BeginRequest) -> Result<v1::BeginResponse, Status> {
        self.client.begin(request).await.map(tonic::Response::into_inner)
    }

    /// M3 to M4.
    pub async fn finish(&mut self, request: v1::FinishRequest) -> Result<v1::FinishResponse, Status> {
        self.client.finish(request).await.map(tonic::Response::into_inner)
    }
}

/// M1 as an honest host sends it.
pub fn begin_request(tpm: &Tpm, token: &str) -> anyhow::Result<v1::BeginRequest> {
    let keys = tpm.identity();
    let mut request = v1::BeginRequest {
        protocol: PROTOCOL,
        token_id: token.split('_').nth(1).unwrap_or_default().to_owned(),
        ek_certificate: keys.ek_certificate.clone(),
        ek_public: keys.ek_public.clone(),
        ak_public: keys.ak_public.clone(),
        tls_public: keys.tls_public.clone(),
        csr: certificate_request(tpm)?,
        agent_version: "0".to_owned(),
        ek_chain: keys.ek_chain.clone(),
        ..v1::BeginRequest::default()
    };
    sign_begin(&mut request, token);
    Ok(request)
}

/// Puts the token's MAC over whatever the request says now.
pub fn sign_begin(request: &mut v1::BeginRequest, token: &str) {
    request.token_mac = fields(request).mac(&binding::token_key(token)).to_vec();
}

/// What both sides have said.
pub fn transcript(request: &v1::BeginRequest, challenge: &v1::BeginResponse) -> [u8; 32] {
    let challenge = ChallengeFields {
        session_id: &challenge.session_id,
        credential_blob: &challenge.credential_blob,
        encrypted_secret: &challenge.encrypted_secret,
        certify_nonce: &challenge.certify_nonce,
        quote_nonce: &challenge.quote_nonce,
    };
    binding::transcript(&fields(request), &challenge)
}

/// M3 as an honest host makes it for this connection.
pub fn prove(
    tpm: &Tpm,
    request: &v1::BeginRequest,
    challenge: &v1::BeginResponse,
    exporter: &[u8; 32],
) -> anyhow::Result<v1::FinishRequest> {
    let transcript = transcript(request, challenge);
    let secret = tpm.activate_credential(&challenge.credential_blob, &challenge.encrypted_secret)?;
    let certified = tpm.certify_tls_key(binding::certify_qualifying(&transcript, exporter))?;
    let pcrs = challenge.pcrs.iter().map(|index| u8::try_from(*index)).collect::<Result<Vec<u8>, _>>()?;
    let quote = tpm.quote(binding::enrol_quote_qualifying(&transcript, exporter), &pcrs)?;
    Ok(v1::FinishRequest {
        session_id: challenge.session_id.clone(),
        proof: binding::enrol_proof(secret.expose(), &transcript).to_vec(),
        certify_attest: certified.attest,
        certify_signature: certified.signature,
        quote_attest: quote.attest,
        quote_signature: quote.signature,
        pcr_values: super::session::pcr_values(&quote.pcr_values),
    })
}

/// An honest enrolment from one end to the other.
pub async fn enrol(controller: &Controller, tpm: &Tpm, token: &str) -> anyhow::Result<Member> {
    let mut connection = EnrolmentConnection::dial(controller).await?;
    let request = begin_request(tpm, token)?;
    let challenge = connection.begin(request.clone()).await?;
    let proof = prove(tpm, &request, &challenge, &connection.exporter)?;
    Ok(connection.finish(proof).await?.into())
}

fn fields(request: &v1::BeginRequest) -> BeginFields<'_> {
    BeginFields {
        token_id: &request.token_id,
        ek_certificate: &request.ek_certificate,
        ek_public: &request.ek_public,
        ak_public: &request.ak_public,
        tls_public: &request.tls_public,
        csr: &request.csr,
        agent_version: &request.agent_version,
    }
}
