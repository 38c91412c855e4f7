//! Enrolment: the host proves to the controller which TPM it has, and becomes a member of the fleet.
//!
//! A host that is known may come back without a token, with the TPM that it enrolled with. A host without a TPM needs a
//! token each time: nothing else tells it from whoever copied its key.

mod software;
mod tpm;

use flota_model::{HostId, HostName};
use flota_net::dial::{DialError, Dialed, dial_with_exporter};
use flota_net::tls::{self, TlsFileError};
use flota_proto::v1;
use flota_seal::binding::{self, EXPORTER_LABEL};
use flota_tpm::TpmError;
use rustls::pki_types::CertificateDer;
use tokio::task::JoinError;

use crate::host_key::{HostKey, HostKeyError};
use crate::identity::{Approval, Identity, IdentityError};
use crate::session::refusal::Refusal;
use crate::settings::Settings;

/// The enrolment protocol spoken.
const PROTOCOL: u32 = 1;
/// How the controller says that a person must let the host in.
const PENDING_APPROVAL: &str = "pending_approval";

pub(crate) use tpm::{pcr_indices, pcr_values};

/// Why the host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Not `flt_<id>_<secret>`.
    #[error("this is not an enrolment token: expected the whole line that flota token create printed")]
    Token,
    /// A host without a TPM has nothing else to prove who it is.
    #[error("a host without a TPM comes back with a new token alone: flota token create NAME --software-key")]
    TokenNeeded,
    /// The key.
    #[error(transparent)]
    Key(#[from] HostKeyError),
    /// The TPM.
    #[error("asking the TPM")]
    Tpm(#[from] TpmError),
    /// The fleet CA of the settings.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The connection.
    #[error("connecting to the controller's enrollment listener")]
    Dial(#[from] DialError),
    /// The controller refused.
    #[error("the controller refused the enrolment")]
    Refused(#[source] Refusal),
    /// The controller may have let the host in, or not.
    #[error("the controller did not answer the enrolment; try again, with a new token if this one was used by then")]
    Unanswered(#[source] Refusal),
    /// The same, of a host that its TPM lets in again.
    #[error(
        "the controller did not answer the enrolment; try again, and if the token was used by then, run flota-agent enroll \
         without it"
    )]
    AnswerLost(#[source] Refusal),
    /// The controller's answer breaks the protocol.
    #[error("the controller's answer makes no sense: {0}")]
    Answer(&'static str),
    /// Keeping what was given.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A task of the agent ended early.
    #[error("the agent's own task ended early")]
    Task(#[from] JoinError),
}

/// By what a host asks to be let in.
#[derive(Clone, Copy)]
pub enum Invitation<'a> {
    /// The line that `flota token create` printed.
    Token(&'a str),
    /// It was in the fleet before, and its TPM proves that it is the same.
    Known,
}

/// Enrols this host and keeps the identity it is given.
pub async fn enrol(settings: &Settings, invitation: Invitation<'_>) -> Result<Identity, EnrolError> {
    let token = Token::of(invitation)?;
    let key = HostKey::open_or_make(settings).await?;
    let identity = admitted(settings, &key, token).await?;
    identity.save(&settings.state_dir)?;
    Ok(identity)
}

/// Comes back as the host that this one was, with the same keys. The identity is kept.
pub(crate) async fn come_back(settings: &Settings, key: &HostKey, was: &HostId) -> Result<Identity, EnrolError> {
    let identity = admitted(settings, key, None).await?;
    if identity.host_id != *was {
        return Err(EnrolError::Answer("this host has come back as another one"));
    }
    identity.save(&settings.state_dir)?;
    Ok(identity)
}

async fn admitted(settings: &Settings, key: &HostKey, token: Option<Token<'_>>) -> Result<Identity, EnrolError> {
    let csr = key.certificate_request()?;
    let member = match (key, token) {
        (HostKey::Tpm(tpm), token) => tpm::enrol(connect(settings).await?, tpm, token, csr).await?,
        (HostKey::File(_), Some(token)) => software::enrol(connect(settings).await?, token, csr).await?,
        (HostKey::File(_), None) => return Err(EnrolError::TokenNeeded),
    };
    identity(member)
}

async fn connect(settings: &Settings) -> Result<Dialed, EnrolError> {
    let ca = tls::certificates(&tls::read_file(&settings.controller.ca_file)?)?;
    let tls = tls::anonymous_client_config(ca)?;
    Ok(dial_with_exporter(&settings.controller.enrollment, tls, EXPORTER_LABEL).await?)
}

fn identity(member: v1::FinishResponse) -> Result<Identity, EnrolError> {
    let host_id: HostId = member.host_id.parse().map_err(|_| EnrolError::Answer("the host id is malformed"))?;
    let host_name: HostName = member.host_name.parse().map_err(|_| EnrolError::Answer("the host name is malformed"))?;
    let approval = if member.status == PENDING_APPROVAL { Approval::Awaited } else { Approval::Given };
    Ok(Identity { host_id, host_name, certificate: CertificateDer::from(member.certificate), approval })
}

/// An enrolment token. Its secret half is for the MAC alone.
#[derive(Clone, Copy)]
struct Token<'a> {
    id: &'a str,
    line: &'a str,
}

impl<'a> Token<'a> {
    fn of(invitation: Invitation<'a>) -> Result<Option<Self>, EnrolError> {
        let Invitation::Token(line) = invitation else { return Ok(None) };
        let line = line.trim();
        let id = line.strip_prefix("flt_").and_then(|rest| rest.split_once('_')).ok_or(EnrolError::Token)?.0;
        if id.is_empty() { Err(EnrolError::Token) } else { Ok(Some(Self { id, line })) }
    }

    fn key(self) -> zeroize::Zeroizing<[u8; 32]> {
        binding::token_key(self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_whole_line_and_a_known_host_has_none() {
        let token = Token::of(Invitation::Token(" flt_0123456789ab_secret_of_it\n")).unwrap().unwrap();
        assert_eq!((token.id, token.line), ("0123456789ab", "flt_0123456789ab_secret_of_it"));
        assert!(Token::of(Invitation::Known).unwrap().is_none());
        // An empty id would ask for what a known host asks for.
        for bad in ["", "flt_", "flt__secret", "0123456789ab_secret"] {
            assert!(matches!(Token::of(Invitation::Token(bad)), Err(EnrolError::Token)), "{bad}");
        }
    }

    #[test]
    fn the_answer_says_whether_a_person_must_let_the_host_in() {
        let answer = |status: &str| v1::FinishResponse {
            host_id: "0123456789abcdef".to_owned(),
            host_name: "fra-bot-07".to_owned(),
            status: status.to_owned(),
            ..v1::FinishResponse::default()
        };
        assert_eq!(identity(answer("pending_approval")).unwrap().approval, Approval::Awaited);
        for other in ["enrolled", ""] {
            assert_eq!(identity(answer(other)).unwrap().approval, Approval::Given, "{other}");
        }
        assert!(identity(v1::FinishResponse::default()).is_err());
    }
}
