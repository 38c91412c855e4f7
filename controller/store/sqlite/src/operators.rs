//! Operators.

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::{Digest, Timestamp};
use flota_store::{OperatorRecord, OperatorStore, StoreError};

use crate::SqliteStore;
use crate::row::Origin;

#[async_trait]
impl OperatorStore for SqliteStore {
    async fn add_operator(&self, operator: &OperatorRecord, audit: &AuditEntry) -> Result<bool, StoreError> {
        let OperatorRecord { name, role, certificate, created_at } = operator;
        let mut writing = self.write("adding an operator").await?;
        let insert = "insert into operators (name, role, certificate, created_at) values ($1, $2, $3, $4) \
                      on conflict do nothing";
        let added = sqlx::query(insert)
            .bind(name)
            .bind(role.to_string())
            .bind(certificate.to_string())
            .bind(created_at.as_micros());
        let changed = writing.run(added).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn remove_operator(&self, name: &str, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("removing an operator").await?;
        let changed = writing.run(sqlx::query("delete from operators where name = $1").bind(name)).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn operator_by_certificate(&self, certificate: &Digest) -> Result<Option<OperatorRecord>, StoreError> {
        let select = "select name, role, certificate, created_at from operators where certificate = $1";
        let query = sqlx::query_as::<_, OperatorRow>(select).bind(certificate.to_string());
        self.read("looking up an operator").find(query).await?.map(OperatorRecord::try_from).transpose()
    }
}

#[derive(sqlx::FromRow)]
struct OperatorRow {
    name: String,
    role: String,
    certificate: String,
    created_at: i64,
}

impl TryFrom<OperatorRow> for OperatorRecord {
    type Error = StoreError;

    fn try_from(row: OperatorRow) -> Result<Self, StoreError> {
        let OperatorRow { name, role, certificate, created_at } = row;
        let origin = Origin { table: "operators", row: &name };
        Ok(Self {
            role: origin.parse("role", &role)?,
            certificate: origin.parse("certificate", &certificate)?,
            created_at: Timestamp::from_micros(created_at),
            name,
        })
    }
}
