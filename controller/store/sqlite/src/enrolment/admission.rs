//! Who is let in: a new host and the same machine again by a token, a known host by its key.

mod evidence;

use flota_model::host::{KeyStorage, Trust};
use flota_model::{HostName, TokenId};
use flota_store::{Approval, EnrolOutcome, Enrolment, StoreError, TokenRecord, TokenState};

use super::find_token;
use crate::row::Origin;
use crate::transaction::Writing;

/// Enters or renews the host and consumes the token. When it does neither, nothing was written; the caller drops the
/// transaction.
pub(super) async fn by_token(
    writing: &mut Writing,
    id: &TokenId,
    enrolment: &Enrolment,
) -> Result<EnrolOutcome, StoreError> {
    // To a host of the other kind it is as good as none: what it admits is no business of who may not use it.
    let found = find_token(writing, id, enrolment.at).await?;
    let Some(token) = found.filter(|token| token.admits.key_storage == enrolment.key_storage) else {
        return Ok(EnrolOutcome::NoSuchToken);
    };
    if token.state != TokenState::Open {
        return Ok(EnrolOutcome::TokenNotUsable(token.state));
    }
    let outcome = admit(writing, &token, enrolment).await?;
    if !matches!(outcome, EnrolOutcome::NameTaken { .. }) {
        let consume = sqlx::query("update tokens set state = 'used', used_by = $2 where id = $1");
        writing.run(consume.bind(id.as_str()).bind(enrolment.host.as_str())).await?;
    }
    Ok(outcome)
}

async fn admit(writing: &mut Writing, token: &TokenRecord, enrolment: &Enrolment) -> Result<EnrolOutcome, StoreError> {
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
        renew(writing, token, enrolment).await?;
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

/// Trust of a host that has shown nothing yet but its key.
const fn first_trust(key_storage: KeyStorage) -> Trust {
    match key_storage {
        KeyStorage::Tpm => Trust::Pending,
        KeyStorage::File => Trust::Unattested,
    }
}

async fn enter(
    writing: &mut Writing,
    token: &TokenRecord,
    enrolment: &Enrolment,
    name: &HostName,
) -> Result<(), StoreError> {
    let Enrolment { host, key_storage, at, .. } = enrolment;
    let labels = writing.json(&token.labels)?;
    let insert = "insert into hosts (id, name, labels, trust, trust_reason, enrolled_at, key_storage, awaits_approval) \
                  values ($1, $2, $3, $4, '', $5, $6, $7)";
    let query = sqlx::query(insert)
        .bind(host.as_str())
        .bind(name.as_str())
        .bind(labels)
        .bind(first_trust(*key_storage).as_str())
        .bind(at.as_micros())
        .bind(key_storage.as_str())
        .bind(token.admits.approval == Approval::Needed);
    writing.run(query).await?;
    let insert = "insert into host_liveness (host, agent_version) values ($1, '')";
    writing.run(sqlx::query(insert).bind(host.as_str())).await?;
    evidence::put(writing, enrolment).await
}

/// The machine may have been installed anew: what it said and what a quote confirmed of it no longer hold, and its
/// reports may count from one again. What was wanted of it goes too: an old release must not be installed outside of any
/// rollout. A quarantine stays, since whoever made the token may not know of it; a host that was taken out of the fleet is let
/// in anew, which is what a new token for it means.
async fn renew(writing: &mut Writing, token: &TokenRecord, enrolment: &Enrolment) -> Result<(), StoreError> {
    let Enrolment { host, key_storage, .. } = enrolment;
    let host = host.as_str();
    let reset = "update hosts set trust = iif(trust = 'quarantined', trust, $2), \
                 trust_reason = iif(trust = 'quarantined', trust_reason, ''), lease_until = null, \
                 key_storage = $3, awaits_approval = $4, policy = '', oem_evidence = '', oem_licence = '' \
                 where id = $1";
    let query = sqlx::query(reset)
        .bind(host)
        .bind(first_trust(*key_storage).as_str())
        .bind(key_storage.as_str())
        .bind(token.admits.approval == Approval::Needed);
    writing.run(query).await?;
    writing.run(sqlx::query("delete from host_reports where host = $1").bind(host)).await?;
    writing.run(sqlx::query("delete from host_confirmed where host = $1").bind(host)).await?;
    writing.run(sqlx::query("delete from host_desired where host = $1").bind(host)).await?;
    evidence::put(writing, enrolment).await
}

/// A known host without a token, with new keys of the same TPM. It gains nothing by it: who was shut out stays out, who
/// awaits a person goes on waiting, and trust is to be earned again.
pub(super) async fn come_back(writing: &mut Writing, enrolment: &Enrolment) -> Result<EnrolOutcome, StoreError> {
    let host = enrolment.host.as_str();
    let known = sqlx::query_as::<_, (String, String)>(
        "select h.name, h.trust from hosts h join host_keys k on k.host = h.id \
         where h.id = $1 and k.ek_spki_sha256 = $2 and h.key_storage = $3 and not h.awaits_approval",
    );
    let known = known.bind(host).bind(enrolment.keys.ek_spki_sha256.to_string()).bind(enrolment.key_storage.as_str());
    let Some((name, trust)) = writing.find(known).await? else { return Ok(EnrolOutcome::NotKnown) };
    let origin = Origin { table: "hosts", row: host };
    if !origin.parse::<Trust>("trust", &trust)?.admits_connection() {
        return Ok(EnrolOutcome::NotKnown);
    }
    // Those that are not trusted have less to lose, and a host without a TPM could not earn it back.
    let reset = "update hosts set trust = iif(trust = 'trusted', 'stale', trust), \
                 trust_reason = iif(trust = 'trusted', 'enrolled again and has not passed since', trust_reason), \
                 lease_until = null where id = $1";
    writing.run(sqlx::query(reset).bind(host)).await?;
    evidence::replace(writing, enrolment).await?;
    Ok(EnrolOutcome::Renewed { name: origin.parse("name", &name)? })
}
