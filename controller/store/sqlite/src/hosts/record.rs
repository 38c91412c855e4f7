//! Rows of hosts, and what they say.

use flota_model::Timestamp;
use flota_model::host::{Confirmed, Host, OemStanding};
use flota_model::update::{DesiredState, UpdateReport};
use flota_store::{HostKeys, StoreError};

use crate::row::{KEY_STORAGES, Origin};

macro_rules! select_hosts {
    ($rest:literal) => {
        concat!(
            "select h.id, h.name, h.labels, h.trust, h.trust_reason, h.enrolled_at, h.lease_until, \
             h.key_storage, h.awaits_approval, h.policy, h.oem_evidence, h.oem_licence, l.last_seen, l.agent_version, \
             r.sequence as report_sequence, r.generation as report_generation, r.phase as report_phase, \
             r.running as report_running, r.version as report_version, r.detail as report_detail, \
             c.running as confirmed_running, c.generation as confirmed_generation, c.at as confirmed_at, \
             d.generation as desired_generation, d.goal as desired_goal, d.rollout as desired_rollout \
             from hosts h join host_liveness l on l.host = h.id left join host_reports r on r.host = h.id \
             left join host_confirmed c on c.host = h.id left join host_desired d on d.host = h.id ",
            $rest
        )
    };
}

/// Every host, by name.
pub(super) const ALL_HOSTS: &str = select_hosts!("order by h.name");
/// The host whose id is `$1`.
pub(super) const ONE_HOST: &str = select_hosts!("where h.id = $1");

#[derive(sqlx::FromRow)]
pub(super) struct HostRow {
    id: String,
    name: String,
    labels: String,
    trust: String,
    trust_reason: String,
    enrolled_at: i64,
    lease_until: Option<i64>,
    key_storage: String,
    awaits_approval: bool,
    policy: String,
    oem_evidence: String,
    oem_licence: String,
    last_seen: Option<i64>,
    agent_version: String,
    #[sqlx(flatten)]
    report: ReportColumns,
    #[sqlx(flatten)]
    confirmed: ConfirmedColumns,
    #[sqlx(flatten)]
    desired: DesiredColumns,
}

#[derive(sqlx::FromRow)]
#[expect(clippy::struct_field_names, reason = "the columns of a join, which need the prefix")]
struct ReportColumns {
    report_sequence: Option<i64>,
    report_generation: Option<i64>,
    report_phase: Option<String>,
    report_running: Option<String>,
    report_version: Option<String>,
    report_detail: Option<String>,
}

#[derive(sqlx::FromRow)]
#[expect(clippy::struct_field_names, reason = "the columns of a join, which need the prefix")]
struct ConfirmedColumns {
    confirmed_running: Option<String>,
    confirmed_generation: Option<i64>,
    confirmed_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
#[expect(clippy::struct_field_names, reason = "the columns of a join, which need the prefix")]
pub(super) struct DesiredColumns {
    desired_generation: Option<i64>,
    desired_goal: Option<String>,
    desired_rollout: Option<i64>,
}

impl TryFrom<HostRow> for Host {
    type Error = StoreError;

    fn try_from(row: HostRow) -> Result<Self, StoreError> {
        let HostRow {
            id,
            name,
            labels,
            trust,
            trust_reason,
            enrolled_at,
            lease_until,
            key_storage,
            awaits_approval,
            policy,
            oem_evidence,
            oem_licence,
            last_seen,
            agent_version,
            report,
            confirmed,
            desired,
        } = row;
        let origin = Origin { table: "hosts", row: &id };
        Ok(Self {
            name: origin.parse("name", &name)?,
            labels: origin.json("labels", &labels)?,
            trust: origin.parse("trust", &trust)?,
            trust_reason,
            last_seen: last_seen.map(Timestamp::from_micros),
            agent_version,
            observed: report.read(Origin { table: "host_reports", row: &id })?,
            confirmed: confirmed.read(Origin { table: "host_confirmed", row: &id })?,
            desired: desired.read(Origin { table: "host_desired", row: &id })?,
            enrolled_at: Timestamp::from_micros(enrolled_at),
            lease_until: lease_until.map(Timestamp::from_micros),
            key_storage: origin.word("key_storage", &key_storage, &KEY_STORAGES)?,
            awaits_approval,
            policy,
            oem: OemStanding { evidence: oem_evidence, licence: oem_licence },
            id: origin.parse("id", &id)?,
        })
    }
}

impl ReportColumns {
    fn read(self, origin: Origin<'_>) -> Result<Option<UpdateReport>, StoreError> {
        let Self {
            report_sequence: Some(sequence),
            report_generation: generation,
            report_phase: Some(phase),
            report_running: running,
            report_version: Some(version),
            report_detail: Some(detail),
        } = self
        else {
            return Ok(None);
        };
        Ok(Some(UpdateReport {
            generation: generation.map(|number| origin.generation("generation", number)).transpose()?,
            sequence: origin.number("sequence", sequence)?,
            phase: origin.parse("phase", &phase)?,
            running: origin.parse_some("running", running.as_deref())?,
            version,
            detail,
        }))
    }
}

impl ConfirmedColumns {
    fn read(self, origin: Origin<'_>) -> Result<Option<Confirmed>, StoreError> {
        let Self { confirmed_running: running, confirmed_generation: generation, confirmed_at: Some(at) } = self else {
            return Ok(None);
        };
        Ok(Some(Confirmed {
            running: origin.parse_some("running", running.as_deref())?,
            generation: generation.map(|number| origin.generation("generation", number)).transpose()?,
            at: Timestamp::from_micros(at),
        }))
    }
}

impl DesiredColumns {
    /// None where the host has no desired state: its columns come from an outer join.
    pub(super) fn read(self, origin: Origin<'_>) -> Result<Option<DesiredState>, StoreError> {
        let Self { desired_generation: Some(generation), desired_goal: Some(goal), desired_rollout: Some(rollout) } =
            self
        else {
            return Ok(None);
        };
        Ok(Some(DesiredState {
            generation: origin.generation("generation", generation)?,
            goal: origin.json("goal", &goal)?,
            rollout: origin.rollout("rollout", rollout)?,
        }))
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct KeysRow {
    host: String,
    ek_spki_sha256: String,
    ek_public: Vec<u8>,
    ak_public: Vec<u8>,
    tls_public: Vec<u8>,
    tpm_manufacturer: String,
    certificate_expires_at: i64,
}

impl KeysRow {
    /// The keys, and when the certificate ends.
    pub(super) fn read(self) -> Result<(HostKeys, Timestamp), StoreError> {
        let Self { host, ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer, certificate_expires_at } =
            self;
        let origin = Origin { table: "host_keys", row: &host };
        let ek_spki_sha256 = origin.parse("ek_spki_sha256", &ek_spki_sha256)?;
        let keys = HostKeys { ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer };
        Ok((keys, Timestamp::from_micros(certificate_expires_at)))
    }
}
