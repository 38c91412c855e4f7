//! Enrolment, M1 to M4: a host becomes a member by proving that endorsement key, attestation key and TLS key live in
//! one TPM of a trusted vendor, and that it was invited.
//!
//! Every check comes before anything is remembered; the session is consumed before it is verified; answers never hold
//! expected values (CVE-2023-38201).

mod checks;
mod sessions;
mod software;

use std::net::IpAddr;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use flota_attest::certify::CertifyEvidence;
use flota_attest::credential::make_credential;
use flota_attest::quote::QuoteEvidence;
use flota_model::host::KeyStorage;
use flota_model::{Digest, HostId, HostName, Timestamp, TokenId};
use flota_seal::binding::{self, BeginFields, ChallengeFields};
use flota_store::{
    Approval, EnrolOutcome, Enrolment, HostKeys, HostMeasurements, NewEscalation, TokenKey, TokenRecord, TokenState,
};
use serde_json::json;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::sessions::Command;

pub(crate) use checks::CheckedKeys;
use checks::{check_keys, verify};
pub use sessions::EnrolmentSessions;
use sessions::{Answered, Pending, Source};
pub use software::{SoftwareRequest, enrol as enrol_software_key};

/// Time between the two calls of an enrolment; a TPM needs well under a second.
pub const SESSION_SECONDS: u32 = 60;
/// Bytes of a session id.
const SESSION_ID_BYTES: usize = 16;
/// Bytes of nonces and of the credential's secret: a SHA-256.
const NONCE_BYTES: usize = 32;

/// The controller's answer to M1.
pub struct Challenge {
    /// Names the session.
    pub session_id: [u8; SESSION_ID_BYTES],
    /// Contents of TPM2B_ID_OBJECT.
    pub credential_blob: Vec<u8>,
    /// Contents of TPM2B_ENCRYPTED_SECRET.
    pub encrypted_secret: Vec<u8>,
    /// For the certification of the TLS key.
    pub certify_nonce: [u8; NONCE_BYTES],
    /// For the first quote.
    pub quote_nonce: [u8; NONCE_BYTES],
}

/// M3: what the host proves.
pub struct Proof<'a> {
    /// HMAC with the activated secret.
    pub proof: &'a [u8],
    /// TPMS_ATTEST and TPMT_SIGNATURE of the certification.
    pub certify: CertifyEvidence<'a>,
    /// The first quote.
    pub quote: QuoteEvidence<'a>,
}

impl Proof<'_> {
    /// SHA-256 over all of it and the connection: the same request again is told from another one.
    fn digest(&self, exporter: &[u8; 32]) -> [u8; 32] {
        let Self { proof, certify, quote } = self;
        let values: Vec<u8> =
            quote.pcr_values.iter().flat_map(|(index, value)| std::iter::once(*index).chain(*value)).collect();
        let parts: [&[u8]; 7] =
            [exporter, proof, certify.attest, certify.signature, quote.attest, quote.signature, &values];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        *Digest::of(&bytes).as_bytes()
    }
}

/// M4: the host is in.
#[derive(Debug, Clone)]
pub struct Member {
    /// For ever.
    pub id: HostId,
    /// Its name.
    pub name: HostName,
    /// Its client certificate, DER.
    pub certificate: Vec<u8>,
    /// A person must let it in before it is given anything.
    pub awaits_approval: bool,
}

/// M1 to M2.
pub async fn begin(
    core: &Core,
    fields: &BeginFields<'_>,
    ek_chain: &[Vec<u8>],
    token_mac: &[u8],
    from: IpAddr,
) -> Result<Challenge, Fault> {
    let now = core.now();
    core.enrolments.admit(Source::address(from), now)?;
    let token = match fields.token_id {
        // A known host comes back; whether it is known is seen when it has proven which TPM it has.
        "" => None,
        id => {
            let token = open_token(core, id, |key| fields.mac(key), token_mac, now).await?;
            if token.admits.key_storage != KeyStorage::Tpm {
                return Err(token_refused("it is for a host without a TPM"));
            }
            core.enrolments.attempt(&token.id)?;
            Some(token)
        }
    };
    let approval = token.as_ref().map_or(Approval::NotNeeded, |token| token.admits.approval);
    let token = token.map(|token| token.id);
    let pending_keys = check_keys(core, fields, ek_chain, now)?;
    core.enrolments.admit(Source::endorsement_key(Digest::of(pending_keys.ek.spki_der()), from), now)?;
    let random = SystemRandom::new();
    let secret = random_bytes::<NONCE_BYTES>(&random)?;
    let credential = make_credential(&pending_keys.ek, pending_keys.ak.name(), &secret, &random)
        .map_err(|error| Fault::new(Code::Bug, "the credential could not be made").because(error))?;
    let challenge = Challenge {
        session_id: random_bytes(&random)?,
        credential_blob: credential.credential_blob,
        encrypted_secret: credential.encrypted_secret,
        certify_nonce: random_bytes(&random)?,
        quote_nonce: random_bytes(&random)?,
    };
    let transcript = binding::transcript(
        fields,
        &ChallengeFields {
            session_id: &challenge.session_id,
            credential_blob: &challenge.credential_blob,
            encrypted_secret: &challenge.encrypted_secret,
            certify_nonce: &challenge.certify_nonce,
            quote_nonce: &challenge.quote_nonce,
        },
    );
    let expires_at = now.plus(std::time::Duration::from_secs(u64::from(SESSION_SECONDS)));
    let csr = fields.csr.to_vec();
    let pending = Pending { token, approval, keys: pending_keys, csr, secret: secret.into(), transcript, expires_at };
    core.enrolments.insert(challenge.session_id, pending, now)?;
    Ok(challenge)
}

/// M3 to M4.
pub async fn finish(core: &Core, session_id: &[u8], proof: &Proof<'_>, exporter: &[u8; 32]) -> Result<Member, Fault> {
    let now = core.now();
    let request = proof.digest(exporter);
    if let Some(member) = core.enrolments.answered(session_id, &request, now) {
        return Ok(member);
    }
    // Consumed first: a wrong proof cannot be followed by a better one.
    let pending = core.enrolments.take(session_id, now).ok_or_else(|| {
        Fault::new(Code::EvidenceRefused, "this enrolment is unknown, over, or took too long").fix("begin again")
    })?;
    let entered = match verify(core, &pending, proof, exporter) {
        Ok(measurements) => enter(core, &pending, measurements, now).await,
        Err(fault) => Err(fault),
    };
    let member = match entered {
        Ok(member) => member,
        Err(fault) => return Err(refused_on_record(core, &pending, fault).await?),
    };
    core.enrolments.remember(session_id, Answered { request, member: member.clone(), expires_at: pending.expires_at });
    Ok(member)
}

/// A refusal after a valid invitation is on the record; one that concerns a host which is in is also for the security
/// role: somebody tries to be that host.
async fn refused_on_record(core: &Core, pending: &Pending, fault: Fault) -> Result<Fault, Fault> {
    let host = HostId::of_endorsement_key(&Digest::of(pending.keys.ek.spki_der()));
    let details = json!({ "token": pending.token, "code": fault.code.as_str(), "reason": fault.sentence });
    let audit = core.audit_host(&host, "host.enrol", "refused", &details);
    core.store.append_audit(&[audit]).await?;
    if fault.code == Code::NameTaken {
        let summary = format!("an enrolment as a host that is in was refused: {}", fault.sentence);
        let escalation = NewEscalation { kind: "enrolment".into(), summary };
        let audit = core.audit("escalation.open", format!("host/{host}"), "ok", &json!({ "kind": "enrolment" }));
        core.store.escalate(&host, &escalation, &audit).await?;
    }
    Ok(fault)
}

/// Makes a proven host a member, and its certificate.
async fn enter(
    core: &Core,
    pending: &Pending,
    measurements: HostMeasurements,
    now: Timestamp,
) -> Result<Member, Fault> {
    let spki_sha256 = Digest::of(pending.keys.ek.spki_der());
    let host = HostId::of_endorsement_key(&spki_sha256);
    let (certificate, certificate_expires_at) = core
        .ca
        .issue_host(&host, &pending.csr, now)
        .map_err(|error| Fault::new(Code::Bug, "the certificate could not be made").because(error))?;
    let enrolment = Enrolment {
        token: pending.token.clone(),
        host: host.clone(),
        keys: HostKeys {
            ek_spki_sha256: spki_sha256,
            ek_public: pending.keys.ek.to_2b(),
            ak_public: pending.keys.ak.to_2b(),
            tls_public: pending.keys.tls.to_2b(),
            tpm_manufacturer: pending.keys.manufacturer.clone(),
        },
        key_storage: KeyStorage::Tpm,
        measurements: if pending.token.is_some() { measurements } else { nothing_new() },
        certificate_expires_at,
        at: now,
    };
    let details = json!({ "token": pending.token, "ek_sha256": spki_sha256, "tpm": pending.keys.manufacturer });
    let audit = core.audit_host(&host, "host.enrol", "ok", &details);
    let name = member_name(core.store.enrol(&enrolment, &audit).await?)?;
    end_session_of_former_key(core, &host);
    let awaits_approval = pending.approval == Approval::Needed;
    tracing::info!(host.id = %host, host.name = %name, awaits_approval, "host enrolled");
    Ok(Member { id: host, name, certificate: certificate.to_vec(), awaits_approval })
}

/// The certificate of a session that is open now is over a key that the host no longer has.
fn end_session_of_former_key(core: &Core, host: &HostId) {
    let reason = "the host has enrolled again".to_owned();
    // False: it has none.
    let _closed = core.sessions.ask(host, Command::Close { reason });
}

/// Measurements of a host that comes back without a token: what is known of it stays. Were its quote taken over, a host
/// that drifted, or whose TPM was set back, would be as good as new by asking for it.
const fn nothing_new() -> HostMeasurements {
    HostMeasurements {
        baseline_json: String::new(),
        clock_json: String::new(),
        quoted_json: String::new(),
        baseline_log: None,
        quoted_log: None,
    }
}

/// The name of a host that was entered, or why it was not.
fn member_name(outcome: EnrolOutcome) -> Result<HostName, Fault> {
    match outcome {
        EnrolOutcome::Enrolled { name } | EnrolOutcome::Renewed { name } => Ok(name),
        EnrolOutcome::TokenNotUsable(state) => Err(check_token_state(state).err().unwrap_or_else(used)),
        EnrolOutcome::NoSuchToken => Err(token_refused("it is unknown")),
        EnrolOutcome::NotKnown => {
            let sentence = "no host with this TPM may come back without a token";
            Err(Fault::new(Code::TokenRefused, sentence).fix("make a token: flota token create NAME"))
        }
        EnrolOutcome::NameTaken { name } => {
            let sentence = format!("this TPM or the token's name belongs to `{name}` already");
            Err(
                Fault::new(Code::NameTaken, sentence).fix("for a new host, make a token for another name; to enrol a known one again, make a token without a name")
            )
        }
    }
}

/// An open token whose holder made this MAC.
async fn open_token(
    core: &Core,
    id: &str,
    mac: impl Fn(&[u8; 32]) -> [u8; 32],
    token_mac: &[u8],
    now: Timestamp,
) -> Result<TokenRecord, Fault> {
    let id: TokenId = id.parse().map_err(|_| token_refused("it is unknown"))?;
    let (record, TokenKey(key)) = core.store.token(&id, now).await?.ok_or_else(|| token_refused("it is unknown"))?;
    if !binding::tags_equal(&mac(&key), token_mac) {
        return Err(token_refused("it is unknown"));
    }
    check_token_state(record.state)?;
    Ok(record)
}

fn random_bytes<const N: usize>(random: &SystemRandom) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).map_err(|_| Fault::new(Code::Unavailable, "the system gives no random numbers"))?;
    Ok(bytes)
}

fn token_refused(why: &str) -> Fault {
    Fault::new(Code::TokenRefused, format!("the enrolment token cannot be used: {why}"))
        .fix("make a new one: flota token create NAME")
}

fn used() -> Fault {
    token_refused("it was used")
}

fn check_token_state(state: TokenState) -> Result<(), Fault> {
    match state {
        TokenState::Open => Ok(()),
        TokenState::Used => Err(used()),
        TokenState::Expired => Err(token_refused("it has expired")),
        TokenState::Revoked => Err(token_refused("it was revoked")),
    }
}
