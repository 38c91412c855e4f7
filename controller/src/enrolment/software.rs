//! Hosts without a TPM, where settings and token allow them: one call, a key in a file, and `unattested` for ever.

use std::net::IpAddr;

use flota_model::host::KeyStorage;
use flota_model::{Digest, HostId};
use flota_seal::binding;
use flota_store::{Approval, Enrolment, HostKeys};
use serde_json::json;

use super::sessions::Source;
use super::{Member, end_session_of_former_key, member_name, nothing_new, open_token, token_refused};
use crate::ca;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// What such a host sends.
pub struct SoftwareRequest<'a> {
    /// Public half of its token.
    pub token_id: &'a str,
    /// Proof of the other half, bound to the rest and to the connection.
    pub token_mac: &'a [u8],
    /// PKCS#10, signed by the key.
    pub csr: &'a [u8],
    /// Software version of the agent.
    pub agent_version: &'a str,
    /// Of this connection.
    pub exporter: &'a [u8; binding::EXPORTER_BYTES],
}

/// Makes the host a member.
pub async fn enrol(core: &Core, request: &SoftwareRequest<'_>, from: IpAddr) -> Result<Member, Fault> {
    let now = core.now();
    core.enrolments.admit(Source::address(from), now)?;
    if !core.settings.allow_software_keys {
        return Err(Fault::new(Code::EvidenceRefused, "software_key: this controller admits hosts with a TPM only")
            .fix("allow_software_keys = true in controller.toml, or a machine with a TPM"));
    }
    let SoftwareRequest { token_id, token_mac, csr, agent_version, exporter } = *request;
    let mac = |key: &[u8; 32]| binding::software_enrol_mac(key, token_id, csr, agent_version, exporter);
    let token = open_token(core, token_id, mac, token_mac, now).await?;
    if token.admits.key_storage != KeyStorage::File {
        return Err(token_refused("it is for a host with a TPM").fix("flota token create NAME --software-key"));
    }
    core.enrolments.attempt(&token.id)?;
    let spki =
        ca::request_public_key(csr).map_err(|error| Fault::new(Code::EvidenceRefused, format!("csr: {error}")))?;
    let fingerprint = Digest::of(&spki);
    let host = HostId::of_endorsement_key(&fingerprint);
    let (certificate, certificate_expires_at) = core
        .ca
        .issue_host(&host, csr, now)
        .map_err(|error| Fault::new(Code::Bug, "the certificate could not be made").because(error))?;
    let enrolment = Enrolment {
        token: Some(token.id.clone()),
        host: host.clone(),
        keys: HostKeys {
            ek_spki_sha256: fingerprint,
            ek_public: Vec::new(),
            ak_public: Vec::new(),
            tls_public: spki,
            tpm_manufacturer: String::new(),
        },
        key_storage: KeyStorage::File,
        measurements: nothing_new(),
        certificate_expires_at,
        at: now,
    };
    let details = json!({ "token": token.id, "key_sha256": fingerprint, "key_storage": KeyStorage::File });
    let audit = core.audit_host(&host, "host.enrol", "ok", &details);
    let name = member_name(core.store.enrol(&enrolment, &audit).await?)?;
    end_session_of_former_key(core, &host);
    let awaits_approval = token.admits.approval == Approval::Needed;
    tracing::warn!(host.id = %host, host.name = %name, awaits_approval, "host enrolled with a key in a file");
    Ok(Member { id: host, name, certificate: certificate.to_vec(), awaits_approval })
}
