//! One call: the host without a TPM, where the controller's settings and the token allow it.

use flota_net::dial::Dialed;
use flota_proto::v1;
use flota_proto::v1::enrollment_client::EnrollmentClient;
use flota_seal::binding;

use super::tpm::answered;
use super::{EnrolError, PROTOCOL, Token};

/// Enrols over a connection that is up. Asked once: a token is good for one host, and a second time it would be used.
pub(super) async fn enrol(
    connection: Dialed,
    token: Token<'_>,
    csr: Vec<u8>,
) -> Result<v1::FinishResponse, EnrolError> {
    let agent_version = env!("CARGO_PKG_VERSION");
    let mac = binding::software_enrol_mac(&token.key(), token.id, &csr, agent_version, &connection.exporter);
    let request = v1::EnrolSoftwareKeyRequest {
        protocol: PROTOCOL,
        token_id: token.id.to_owned(),
        token_mac: mac.to_vec(),
        csr,
        agent_version: agent_version.to_owned(),
    };
    Ok(answered(EnrollmentClient::new(connection.channel).enrol_software_key(request)).await?)
}
