//! Tokens, and the one transaction that turns a token into a host.

mod admission;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::{HostId, HostName, Timestamp, TokenId};
use flota_store::{
    Admits, Approval, EnrolOutcome, Enrolment, EnrolmentStore, NewToken, StoreError, TokenKey, TokenRecord, TokenState,
};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::{KEY_STORAGES, Origin};
use crate::transaction::Writing;

#[async_trait]
impl EnrolmentStore for SqliteStore {
    async fn create_token(&self, token: &NewToken, audit: &AuditEntry) -> Result<bool, StoreError> {
        let NewToken { id, key, host_name, labels, expires_at, created_by, created_at, admits } = token;
        let mut writing = self.write("making an enrolment token").await?;
        if let Some(name) = host_name {
            let select = "select 1 where exists (select 1 from hosts where name = $1) \
                         or exists (select 1 from tokens where host_name = $1 and state = 'open' and expires_at > $2)";
            let promised = sqlx::query_as::<_, (i64,)>(select).bind(name.as_str()).bind(created_at.as_micros());
            if writing.find(promised).await?.is_some() {
                return Ok(false);
            }
        }
        let insert = "insert into tokens (id, key, host_name, labels, state, expires_at, created_by, created_at, \
                      approval, key_storage) values ($1, $2, $3, $4, 'open', $5, $6, $7, $8, $9)";
        let labels = writing.json(labels)?;
        let query = sqlx::query(insert)
            .bind(id.as_str())
            .bind(key.0.as_slice())
            .bind(host_name.as_ref().map(HostName::as_str))
            .bind(labels)
            .bind(expires_at.as_micros())
            .bind(created_by)
            .bind(created_at.as_micros())
            .bind(admits.approval == Approval::Needed)
            .bind(admits.key_storage.as_str());
        writing.run(query).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(true)
    }

    async fn tokens(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        let query = sqlx::query_as::<_, TokenRow>(
            "select id, key, host_name, labels, state, expires_at, created_by, created_at, used_by, \
             approval, key_storage from tokens order by created_at desc, id",
        );
        let rows = self.read("listing enrolment tokens").all(query).await?;
        rows.into_iter().map(|row| row.read(now).map(|(token, _)| token)).collect()
    }

    async fn token(&self, id: &TokenId, now: Timestamp) -> Result<Option<(TokenRecord, TokenKey)>, StoreError> {
        let query = sqlx::query_as::<_, TokenRow>(
            "select id, key, host_name, labels, state, expires_at, created_by, created_at, used_by, \
             approval, key_storage from tokens where id = $1",
        );
        let row = self.read("looking up an enrolment token").find(query.bind(id.as_str())).await?;
        row.map(|row| row.read(now)).transpose()
    }

    async fn revoke_token(&self, id: &TokenId, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("revoking an enrolment token").await?;
        let revoke = sqlx::query("update tokens set state = 'revoked' where id = $1 and state = 'open'");
        let changed = writing.run(revoke.bind(id.as_str())).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn enrol(&self, enrolment: &Enrolment, audit: &AuditEntry) -> Result<EnrolOutcome, StoreError> {
        let mut writing = self.write("enrolling a host").await?;
        let outcome = match &enrolment.token {
            Some(id) => admission::by_token(&mut writing, id, enrolment).await?,
            None => admission::come_back(&mut writing, enrolment).await?,
        };
        if !matches!(outcome, EnrolOutcome::Enrolled { .. } | EnrolOutcome::Renewed { .. }) {
            return Ok(outcome);
        }
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(outcome)
    }

    async fn approve_enrolment(&self, id: &HostId, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("approving an enrolment").await?;
        let approve = sqlx::query("update hosts set awaits_approval = 0 where id = $1 and awaits_approval = 1");
        let changed = writing.run(approve.bind(id.as_str())).await?;
        writing.commit_if(changed > 0, audit).await
    }
}

async fn find_token(writing: &mut Writing, id: &TokenId, now: Timestamp) -> Result<Option<TokenRecord>, StoreError> {
    let query = sqlx::query_as::<_, TokenRow>(
        "select id, key, host_name, labels, state, expires_at, created_by, created_at, used_by, \
         approval, key_storage from tokens where id = $1",
    );
    let row = writing.find(query.bind(id.as_str())).await?;
    row.map(|row| row.read(now).map(|(token, _)| token)).transpose()
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    id: String,
    key: Vec<u8>,
    host_name: Option<String>,
    labels: String,
    state: String,
    expires_at: i64,
    created_by: String,
    created_at: i64,
    used_by: Option<String>,
    approval: bool,
    key_storage: String,
}

/// What the database knows; `Expired` follows from the time.
const STATES: [(&str, TokenState); 3] =
    [("open", TokenState::Open), ("used", TokenState::Used), ("revoked", TokenState::Revoked)];

impl TokenRow {
    fn read(self, now: Timestamp) -> Result<(TokenRecord, TokenKey), StoreError> {
        let Self {
            id,
            key,
            host_name,
            labels,
            state,
            expires_at,
            created_by,
            created_at,
            used_by,
            approval,
            key_storage,
        } = self;
        let origin = Origin { table: "tokens", row: &id };
        let expires_at = Timestamp::from_micros(expires_at);
        let state = match origin.word("state", &state, &STATES)? {
            TokenState::Open if expires_at <= now => TokenState::Expired,
            state => state,
        };
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|error| origin.wrong("key", error))?;
        let record = TokenRecord {
            host_name: origin.parse_some("host_name", host_name.as_deref())?,
            labels: origin.json("labels", &labels)?,
            state,
            expires_at,
            created_by,
            created_at: Timestamp::from_micros(created_at),
            used_by: origin.parse_some("used_by", used_by.as_deref())?,
            admits: Admits {
                approval: if approval { Approval::Needed } else { Approval::NotNeeded },
                key_storage: origin.word("key_storage", &key_storage, &KEY_STORAGES)?,
            },
            id: origin.parse("id", &id)?,
        };
        Ok((record, TokenKey(key)))
    }
}
