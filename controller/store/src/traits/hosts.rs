//! Operators, enrolment, hosts.

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::host::Host;
use flota_model::update::{DesiredState, UpdateReport};
use flota_model::{Digest, HostId, Timestamp, TokenId};

use crate::{
    EnrolOutcome, Enrolment, HostKeys, NewToken, OperatorRecord, SetDesired, StoreError, TokenKey, TokenRecord,
};

/// Who may do what.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// Adds an operator. False: one of that name or with that certificate is there, nothing changed.
    async fn add_operator(&self, operator: &OperatorRecord, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Removes an operator: its certificate is worth nothing from then on. False: there is none of that name.
    async fn remove_operator(&self, name: &str, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// The operator with this certificate.
    async fn operator_by_certificate(&self, certificate: &Digest) -> Result<Option<OperatorRecord>, StoreError>;
}

/// Tokens and enrolment.
#[async_trait]
pub trait EnrolmentStore: Send + Sync {
    /// Adds a token. False: its host name is taken by a host or by another token that is open at `created_at`; nothing
    /// changed.
    async fn create_token(&self, token: &NewToken, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// All tokens, newest first; those past their end are `Expired` at `now`.
    async fn tokens(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError>;

    /// A token and what proves it, whatever its state.
    async fn token(&self, id: &TokenId, now: Timestamp) -> Result<Option<(TokenRecord, TokenKey)>, StoreError>;

    /// Withdraws an open token. False: it was not open.
    async fn revoke_token(&self, id: &TokenId, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Consumes the token and enters the host, in one transaction. The name is the token's, else the host's id. Trust
    /// becomes `Pending`, or `Unattested` with a software key; the lease ends. A token that asks for approval makes the
    /// host await it. A renewal also forgets what the host said and what was confirmed of it, since a machine installed
    /// anew counts its reports from one; it lifts no quarantine.
    ///
    /// Without a token a known host comes back with new keys of the same TPM. It keeps its standing and what it is
    /// measured against (an empty document leaves the stored one and its log as they are), but its lease ends, and
    /// `Trusted` becomes `Stale`: it must pass a quote again.
    async fn enrol(&self, enrolment: &Enrolment, audit: &AuditEntry) -> Result<EnrolOutcome, StoreError>;

    /// A person lets a host in that awaited it. False: no such host, or it awaits nothing.
    async fn approve_enrolment(&self, id: &HostId, audit: &AuditEntry) -> Result<bool, StoreError>;
}

/// Hosts, what they say and what is wanted of them.
#[async_trait]
pub trait HostStore: Send + Sync {
    /// All hosts, by name.
    async fn hosts(&self) -> Result<Vec<Host>, StoreError>;

    /// One host.
    async fn host(&self, id: &HostId) -> Result<Option<Host>, StoreError>;

    /// Its keys and the end of its certificate.
    async fn host_keys(&self, id: &HostId) -> Result<Option<(HostKeys, Timestamp)>, StoreError>;

    /// Notes a new session: agent version, and that it was seen. Reports count anew from one: an agent that lost its
    /// journal must be believed again.
    async fn connected(&self, id: &HostId, agent_version: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Notes that hosts were heard of; many at once, one transaction, no audit.
    async fn seen(&self, hosts: &[(HostId, Timestamp)]) -> Result<(), StoreError>;

    /// Stores a report unless one of the same or a higher sequence is there, or no such host (then false). Audited only
    /// when the phase or the running release differs from the stored one.
    async fn report(&self, id: &HostId, report: &UpdateReport, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Makes `desired` the host's desired state if its generation is newer than the stored one.
    async fn set_desired(
        &self,
        id: &HostId,
        desired: &DesiredState,
        audit: &AuditEntry,
    ) -> Result<SetDesired, StoreError>;

    /// Notes a renewed certificate. Of a host that is not there: nothing.
    async fn certificate_renewed(
        &self,
        id: &HostId,
        expires_at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
}
