//! Hosts: what they are, what they say and what is wanted of them.

mod record;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::host::Host;
use flota_model::update::{DesiredState, UpdateReport};
use flota_model::{HostId, Timestamp};
use flota_store::{HostKeys, HostStore, SetDesired, StoreError};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use record::{DesiredColumns, HostRow, KeysRow};

#[async_trait]
impl HostStore for SqliteStore {
    async fn hosts(&self) -> Result<Vec<Host>, StoreError> {
        let query = sqlx::query_as::<_, HostRow>(record::ALL_HOSTS);
        self.read("listing hosts").all(query).await?.into_iter().map(Host::try_from).collect()
    }

    async fn host(&self, id: &HostId) -> Result<Option<Host>, StoreError> {
        let query = sqlx::query_as::<_, HostRow>(record::ONE_HOST).bind(id.as_str());
        self.read("looking up a host").find(query).await?.map(Host::try_from).transpose()
    }

    async fn host_keys(&self, id: &HostId) -> Result<Option<(HostKeys, Timestamp)>, StoreError> {
        let query = sqlx::query_as::<_, KeysRow>(
            "select host, ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer, certificate_expires_at \
             from host_keys where host = $1",
        );
        let row = self.read("reading a host's keys").find(query.bind(id.as_str())).await?;
        row.map(KeysRow::read).transpose()
    }

    async fn connected(&self, id: &HostId, agent_version: &str, at: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.write("noting a session").await?;
        let update = "update host_liveness set agent_version = $2, last_seen = max(coalesce(last_seen, $3), $3) \
                      where host = $1";
        writing.run(sqlx::query(update).bind(id.as_str()).bind(agent_version).bind(at.as_micros())).await?;
        let recount = "update host_reports set sequence = 0 where host = $1";
        writing.run(sqlx::query(recount).bind(id.as_str())).await?;
        writing.commit().await
    }

    async fn seen(&self, hosts: &[(HostId, Timestamp)]) -> Result<(), StoreError> {
        let mut writing = self.write("noting that hosts were heard of").await?;
        // One statement for a whole fleet: one for each host would keep other writers waiting.
        let heard: Vec<_> = hosts.iter().map(|(host, at)| (host.as_str(), at.as_micros())).collect();
        let heard = writing.json(&heard)?;
        let update = "update host_liveness set last_seen = max(coalesce(last_seen, heard.at), heard.at) \
                      from (select value ->> 0 as host, max(value ->> 1) as at from json_each($1) group by 1) as heard \
                      where host_liveness.host = heard.host";
        writing.run(sqlx::query(update).bind(heard)).await?;
        writing.commit().await
    }

    async fn report(&self, id: &HostId, report: &UpdateReport, audit: &AuditEntry) -> Result<bool, StoreError> {
        let UpdateReport { generation, sequence, phase, running, version, detail } = report;
        let mut writing = self.write("storing a report").await?;
        let sequence = writing.number(*sequence)?;
        let generation = generation.map(|generation| writing.number(generation.number())).transpose()?;
        let running = running.map(|digest| digest.to_string());

        let stored = sqlx::query_as::<_, (i64, String, Option<String>)>(
            "select sequence, phase, running from host_reports where host = $1",
        );
        let stored = writing.find(stored.bind(id.as_str())).await?;
        if stored.as_ref().is_some_and(|(newest, ..)| *newest >= sequence) {
            return Ok(false);
        }
        let changed =
            stored.is_none_or(|(_, old_phase, old_running)| old_phase != phase.as_str() || old_running != running);

        let upsert = "insert into host_reports (host, sequence, generation, phase, running, version, detail) \
                      select id, $2, $3, $4, $5, $6, $7 from hosts where id = $1 \
                      on conflict (host) do update set sequence = excluded.sequence, \
                      generation = excluded.generation, phase = excluded.phase, running = excluded.running, \
                      version = excluded.version, detail = excluded.detail";
        let query = sqlx::query(upsert)
            .bind(id.as_str())
            .bind(sequence)
            .bind(generation)
            .bind(phase.as_str())
            .bind(running)
            .bind(version)
            .bind(detail);
        if writing.run(query).await? == 0 {
            return Ok(false);
        }
        if changed {
            append(&mut writing, audit).await?;
        }
        writing.commit().await?;
        Ok(true)
    }

    async fn set_desired(
        &self,
        id: &HostId,
        desired: &DesiredState,
        audit: &AuditEntry,
    ) -> Result<SetDesired, StoreError> {
        let mut writing = self.write("setting a desired state").await?;
        let stored = sqlx::query_as::<_, DesiredColumns>(
            "select d.generation as desired_generation, d.goal as desired_goal, d.rollout as desired_rollout \
             from hosts h left join host_desired d on d.host = h.id where h.id = $1",
        );
        let Some(stored) = writing.find(stored.bind(id.as_str())).await? else {
            return Ok(SetDesired::NoSuchHost);
        };
        if let Some(stored) = stored.read(Origin { table: "host_desired", row: id.as_str() })? {
            if stored == *desired {
                return Ok(SetDesired::AlreadyThere);
            }
            if stored.generation >= desired.generation {
                return Ok(SetDesired::Superseded { newest: stored.generation });
            }
        }

        let DesiredState { generation, goal, rollout } = desired;
        let generation = writing.number(generation.number())?;
        let goal = writing.json(goal)?;
        let upsert = "insert into host_desired (host, generation, goal, rollout) values ($1, $2, $3, $4) \
                      on conflict (host) do update set generation = excluded.generation, goal = excluded.goal, \
                      rollout = excluded.rollout";
        let query = sqlx::query(upsert).bind(id.as_str()).bind(generation).bind(goal).bind(rollout.number());
        writing.run(query).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(SetDesired::Done)
    }

    async fn certificate_renewed(
        &self,
        id: &HostId,
        expires_at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut writing = self.write("noting a renewed certificate").await?;
        let update = sqlx::query("update host_keys set certificate_expires_at = $2 where host = $1");
        if writing.run(update.bind(id.as_str()).bind(expires_at.as_micros())).await? == 0 {
            return Ok(());
        }
        append(&mut writing, audit).await?;
        writing.commit().await
    }
}
