//! What a usable token does: a new host, or the same TPM again.

use flota_model::HostName;
use flota_store::{EnrolOutcome, Enrolment, HostKeys, StoreError, TokenRecord};

use crate::attestation::put_measurements;
use crate::row::Origin;
use crate::transaction::Writing;

/// Enters or renews the host. On `NameTaken` nothing was written; the caller drops the transaction.
pub(super) async fn admit(
    writing: &mut Writing,
    token: &TokenRecord,
    enrolment: &Enrolment,
) -> Result<EnrolOutcome, StoreError> {
    let host = &enrolment.host;
    let same_id = sqlx::query_as::<_, (String, String)>(
        "select h.name, k.ek_spki_sha256 from hosts h join host_keys k on k.host = h.id where h.id = $1",
    );
    if let Some((name, key)) = writing.find(same_id.bind(host.as_str())).await? {
        let name: HostName = Origin { table: "hosts", row: host.as_str() }.parse("name", &name)?;
        if key != enrolment.keys.ek_spki_sha256.to_string() {
            return Ok(EnrolOutcome::NameTaken { name });
        }
        // A token that was made for another host is not spent on this one.
        if token.host_name.as_ref().is_some_and(|meant| *meant != name) {
            return Ok(EnrolOutcome::NameTaken { name });
        }
        renew(writing, enrolment).await?;
        return Ok(EnrolOutcome::Renewed { name });
    }

    let name = token.host_name.clone().unwrap_or_else(|| HostName::of_unnamed(host));
    let same_name = sqlx::query_as::<_, (i64,)>("select 1 from hosts where name = $1").bind(name.as_str());
    if writing.find(same_name).await?.is_some() {
        return Ok(EnrolOutcome::NameTaken { name });
    }
    enter(writing, token, enrolment, &name).await?;
    Ok(EnrolOutcome::Enrolled { name })
}

async fn enter(
    writing: &mut Writing,
    token: &TokenRecord,
    enrolment: &Enrolment,
    name: &HostName,
) -> Result<(), StoreError> {
    let host = &enrolment.host;
    let labels = writing.json(&token.labels)?;
    let insert = "insert into hosts (id, name, labels, trust, trust_reason, enrolled_at) \
                  values ($1, $2, $3, 'pending', '', $4)";
    let query = sqlx::query(insert).bind(host.as_str()).bind(name.as_str()).bind(labels).bind(enrolment.at.as_micros());
    writing.run(query).await?;
    let insert = "insert into host_liveness (host, agent_version) values ($1, '')";
    writing.run(sqlx::query(insert).bind(host.as_str())).await?;
    put_evidence(writing, enrolment).await
}

/// The machine may have been installed anew: what it said and what a quote confirmed of it no longer hold, and its
/// reports may count from one again. What was wanted of it goes too: an old release must not be installed outside of any
/// rollout. A quarantine stays, since whoever made the token may not know of it.
async fn renew(writing: &mut Writing, enrolment: &Enrolment) -> Result<(), StoreError> {
    let host = enrolment.host.as_str();
    let reset = "update hosts set trust = 'pending', trust_reason = '' \
                 where id = $1 and trust not in ('quarantined', 'retired')";
    writing.run(sqlx::query(reset).bind(host)).await?;
    writing.run(sqlx::query("delete from host_reports where host = $1").bind(host)).await?;
    writing.run(sqlx::query("delete from host_confirmed where host = $1").bind(host)).await?;
    writing.run(sqlx::query("delete from host_desired where host = $1").bind(host)).await?;
    put_evidence(writing, enrolment).await
}

async fn put_evidence(writing: &mut Writing, enrolment: &Enrolment) -> Result<(), StoreError> {
    let Enrolment { token: _, host, keys, measurements, certificate_expires_at, at: _ } = enrolment;
    let HostKeys { ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer } = keys;
    let upsert = "insert into host_keys (host, ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer, \
                  certificate_expires_at) values ($1, $2, $3, $4, $5, $6, $7) \
                  on conflict (host) do update set ek_spki_sha256 = excluded.ek_spki_sha256, \
                  ek_public = excluded.ek_public, ak_public = excluded.ak_public, tls_public = excluded.tls_public, \
                  tpm_manufacturer = excluded.tpm_manufacturer, \
                  certificate_expires_at = excluded.certificate_expires_at";
    let query = sqlx::query(upsert)
        .bind(host.as_str())
        .bind(ek_spki_sha256.to_string())
        .bind(ek_public.as_slice())
        .bind(ak_public.as_slice())
        .bind(tls_public.as_slice())
        .bind(tpm_manufacturer)
        .bind(certificate_expires_at.as_micros());
    writing.run(query).await?;
    put_measurements(writing, host.as_str(), measurements).await
}
