//! M1 to M4: the host with a TPM.

use std::time::Duration;

use flota_net::dial::Dialed;
use flota_proto::v1;
use flota_proto::v1::enrollment_client::EnrollmentClient;
use flota_seal::binding::{self, BeginFields, ChallengeFields};
use flota_tpm::Tpm;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::{EnrolError, PROTOCOL, Token};
use crate::session::refusal::{is_of_controller, refusal};

/// How long an answer may take. The controller verifies in milliseconds, and gives an enrolment a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Enrols over a connection that is up. Without a token the host must be known by its TPM.
pub(super) async fn enrol(
    connection: Dialed,
    tpm: &Tpm,
    token: Option<Token<'_>>,
    csr: Vec<u8>,
) -> Result<v1::FinishResponse, EnrolError> {
    let keys = tpm.identity();
    let fields = BeginFields {
        token_id: token.map_or("", |token| token.id),
        ek_certificate: &keys.ek_certificate,
        ek_public: &keys.ek_public,
        ak_public: &keys.ak_public,
        tls_public: &keys.tls_public,
        csr: &csr,
        agent_version: env!("CARGO_PKG_VERSION"),
    };
    let mut client = EnrollmentClient::new(connection.channel);
    let begin = begin(&fields, token, &keys.ek_chain);
    let challenge = answered(client.begin(begin)).await.map_err(EnrolError::from)?;
    let transcript = binding::transcript(&fields, &challenge_fields(&challenge));
    let finish = prove(tpm.clone(), challenge, transcript, connection.exporter).await?;
    finish_twice(&mut client, finish).await
}

/// The second time only if the first has no answer. The same request over the same connection has the same answer; over
/// another one it proves nothing.
async fn finish_twice(
    client: &mut EnrollmentClient<Channel>,
    request: v1::FinishRequest,
) -> Result<v1::FinishResponse, EnrolError> {
    match answered(client.finish(request.clone())).await {
        Err(NoAnswer::Lost(status)) => {
            let why = flota_daemon::error_chain::chain(&status);
            tracing::warn!(why, "the answer to the enrolment was lost; asking once more");
            answered(client.finish(request)).await.map_err(|none| match none {
                NoAnswer::Lost(status) => EnrolError::AnswerLost(refusal(&status)),
                refused @ NoAnswer::Refused(_) => refused.into(),
            })
        }
        answer => Ok(answer?),
    }
}

/// Why a call has no result.
pub(super) enum NoAnswer {
    /// The controller said no.
    Refused(Status),
    /// Nobody knows what the controller did.
    Lost(Status),
}

impl From<NoAnswer> for EnrolError {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Refused(status) => Self::Refused(refusal(&status)),
            NoAnswer::Lost(status) => Self::Unanswered(refusal(&status)),
        }
    }
}

/// Waits for the answer to a call.
pub(super) async fn answered<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, NoAnswer> {
    match tokio::time::timeout(ANSWER_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        // A status that is not the controller's own was made on the way.
        Ok(Err(status)) if is_of_controller(&status) => Err(NoAnswer::Refused(status)),
        Ok(Err(status)) => Err(NoAnswer::Lost(status)),
        Err(_) => Err(NoAnswer::Lost(Status::deadline_exceeded("no answer in 20 s"))),
    }
}

fn begin(fields: &BeginFields<'_>, token: Option<Token<'_>>, ek_chain: &[Vec<u8>]) -> v1::BeginRequest {
    v1::BeginRequest {
        protocol: PROTOCOL,
        token_id: fields.token_id.to_owned(),
        token_mac: token.map(|token| fields.mac(&token.key()).to_vec()).unwrap_or_default(),
        ek_certificate: fields.ek_certificate.to_vec(),
        ek_public: fields.ek_public.to_vec(),
        ak_public: fields.ak_public.to_vec(),
        tls_public: fields.tls_public.to_vec(),
        csr: fields.csr.to_vec(),
        agent_version: fields.agent_version.to_owned(),
        ek_chain: ek_chain.to_vec(),
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

/// Everything the TPM has to say, on a thread that may block.
async fn prove(
    tpm: Tpm,
    challenge: v1::BeginResponse,
    transcript: [u8; 32],
    exporter: [u8; 32],
) -> Result<v1::FinishRequest, EnrolError> {
    let work = tokio::task::spawn_blocking(move || {
        let secret = tpm.activate_credential(&challenge.credential_blob, &challenge.encrypted_secret)?;
        let certified = tpm.certify_tls_key(binding::certify_qualifying(&transcript, &exporter))?;
        let pcrs = pcr_indices(&challenge.pcrs).ok_or(EnrolError::Answer("it asks for PCRs that do not exist"))?;
        let quote = tpm.quote(binding::enrol_quote_qualifying(&transcript, &exporter), &pcrs)?;
        Ok(v1::FinishRequest {
            session_id: challenge.session_id,
            proof: binding::enrol_proof(secret.expose(), &transcript).to_vec(),
            certify_attest: certified.attest,
            certify_signature: certified.signature,
            quote_attest: quote.attest,
            quote_signature: quote.signature,
            pcr_values: pcr_values(&quote.pcr_values),
        })
    });
    work.await?
}

/// PCR indices as the TPM takes them.
pub(crate) fn pcr_indices(indices: &[u32]) -> Option<Vec<u8>> {
    indices.iter().map(|index| u8::try_from(*index).ok()).collect()
}

/// PCR values as the wire carries them.
pub(crate) fn pcr_values(values: &[(u8, [u8; 32])]) -> Vec<v1::PcrValue> {
    values.iter().map(|(index, value)| v1::PcrValue { index: u32::from(*index), value: value.to_vec() }).collect()
}
