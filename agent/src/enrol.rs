//! Enrolment: the host proves to the controller which TPM it has, and becomes a member of the fleet.

use flota_daemon::dial::{DialError, dial_with_exporter};
use flota_daemon::tls::{self, TlsFileError};
use flota_model::{HostId, HostName};
use flota_proto::v1;
use flota_proto::v1::enrollment_client::EnrollmentClient;
use flota_seal::binding::{self, BeginFields, ChallengeFields, EXPORTER_LABEL};
use flota_tpm::{Tpm, TpmConfig, TpmError};
use rcgen::CertificateParams;
use rustls::pki_types::CertificateDer;

use crate::identity::{Identity, IdentityError};
use crate::session::refusal::{Refusal, refusal};
use crate::settings::Settings;

/// The enrolment protocol spoken.
const PROTOCOL: u32 = 1;

/// Why the host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Hosts without a TPM are not supported yet.
    #[error("no TPM is configured: set [tpm] tcti in the settings")]
    NoTpm,
    /// Not `flt_<id>_<secret>`.
    #[error("this is not an enrolment token: expected the whole line that flota token create printed")]
    Token,
    /// The TPM.
    #[error("asking the TPM")]
    Tpm(#[from] TpmError),
    /// The certificate request.
    #[error("making the certificate request")]
    Request(#[source] rcgen::Error),
    /// The fleet CA of the settings.
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
    /// Keeping what was given.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A task of the agent ended early.
    #[error("the agent's own task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// Opens the TPM of the settings. Blocks for at most a minute, on a thread of its own.
pub async fn open_tpm(settings: &Settings) -> Result<Tpm, EnrolError> {
    let tcti = settings.tpm.clone().ok_or(EnrolError::NoTpm)?;
    let config = TpmConfig { tcti, state_dir: settings.state_dir.clone() };
    Ok(tokio::task::spawn_blocking(move || Tpm::open(config)).await??)
}

/// A certificate request over the TPM's TLS key, signed by it.
pub fn certificate_request(tpm: &Tpm) -> Result<Vec<u8>, EnrolError> {
    let key = tpm.tls_key();
    let request = CertificateParams::default().serialize_request(&*key).map_err(EnrolError::Request)?;
    Ok(request.der().to_vec())
}

/// Enrols this host with a token and keeps the identity it is given.
pub async fn enrol(settings: &Settings, token: &str) -> Result<Identity, EnrolError> {
    let token = token.trim();
    let token_id = token.strip_prefix("flt_").and_then(|rest| rest.split_once('_')).ok_or(EnrolError::Token)?.0;
    let tpm = open_tpm(settings).await?;
    let csr = certificate_request(&tpm)?;
    let keys = tpm.identity();
    let fields = BeginFields {
        token_id,
        ek_certificate: &keys.ek_certificate,
        ek_public: &keys.ek_public,
        ak_public: &keys.ak_public,
        tls_public: &keys.tls_public,
        csr: &csr,
        agent_version: env!("CARGO_PKG_VERSION"),
    };
    let ca = tls::certificates(&tls::read_file(&settings.controller.ca_file)?)?;
    let tls = tls::anonymous_client_config(ca)?;
    let connection = dial_with_exporter(&settings.controller.enrollment, tls, EXPORTER_LABEL).await?;
    let mut client = EnrollmentClient::new(connection.channel);

    let challenge = client.begin(begin(&fields, token)).await.map_err(|status| refusal(&status))?.into_inner();
    let transcript = binding::transcript(&fields, &challenge_fields(&challenge));
    let finish = prove(tpm, challenge, transcript, connection.exporter).await?;
    let member = client.finish(finish).await.map_err(|status| refusal(&status))?.into_inner();
    let identity = identity(member)?;
    identity.save(&settings.state_dir)?;
    Ok(identity)
}

fn begin(fields: &BeginFields<'_>, token: &str) -> v1::BeginRequest {
    let key = binding::token_key(token);
    v1::BeginRequest {
        protocol: PROTOCOL,
        token_id: fields.token_id.to_owned(),
        token_mac: fields.mac(&key).to_vec(),
        ek_certificate: fields.ek_certificate.to_vec(),
        ek_public: fields.ek_public.to_vec(),
        ak_public: fields.ak_public.to_vec(),
        tls_public: fields.tls_public.to_vec(),
        csr: fields.csr.to_vec(),
        agent_version: fields.agent_version.to_owned(),
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

fn identity(member: v1::FinishResponse) -> Result<Identity, EnrolError> {
    let host_id: HostId = member.host_id.parse().map_err(|_| EnrolError::Answer("the host id is malformed"))?;
    let host_name: HostName = member.host_name.parse().map_err(|_| EnrolError::Answer("the host name is malformed"))?;
    Ok(Identity { host_id, host_name, certificate: CertificateDer::from(member.certificate) })
}

/// PCR indices as the TPM takes them.
pub(crate) fn pcr_indices(indices: &[u32]) -> Option<Vec<u8>> {
    indices.iter().map(|index| u8::try_from(*index).ok()).collect()
}

/// PCR values as the wire carries them.
pub(crate) fn pcr_values(values: &[(u8, [u8; 32])]) -> Vec<v1::PcrValue> {
    values.iter().map(|(index, value)| v1::PcrValue { index: u32::from(*index), value: value.to_vec() }).collect()
}
