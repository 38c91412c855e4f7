//! Releases.

use async_trait::async_trait;
use flota_model::Timestamp;
use flota_model::audit::AuditEntry;
use flota_model::release::{Release, ReleaseRef};
use flota_store::{Publish, ReleaseMetadata, ReleaseStore, StoreError};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;

#[async_trait]
impl ReleaseStore for SqliteStore {
    async fn publish(&self, release: &Release, audit: &AuditEntry) -> Result<Publish, StoreError> {
        let Release { target, id, platform, runtime, published_at, published_by } = release;
        let ReleaseRef { digest, version, size } = target;
        let mut writing = self.write("publishing a release").await?;

        let there = sqlx::query_as::<_, (i64,)>("select 1 from releases where digest = $1").bind(digest.to_string());
        if writing.find(there).await?.is_some() {
            return Ok(Publish::AlreadyThere);
        }
        let taken = sqlx::query_as::<_, (String,)>("select digest from releases where id = $1 and version = $2");
        if let Some((other,)) = writing.find(taken.bind(id).bind(version)).await? {
            return Origin { table: "releases", row: &other }.parse("digest", &other).map(Publish::VersionTaken);
        }

        let insert = "insert into releases (digest, id, version, size, platform, runtime, published_at, published_by) \
                      values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let size = writing.number(*size)?;
        let query = sqlx::query(insert)
            .bind(digest.to_string())
            .bind(id)
            .bind(version)
            .bind(size)
            .bind(platform)
            .bind(runtime)
            .bind(published_at.as_micros())
            .bind(published_by);
        writing.run(query).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(Publish::Published)
    }

    async fn releases(&self) -> Result<Vec<Release>, StoreError> {
        let query = sqlx::query_as::<_, Row>(
            "select digest, id, version, size, platform, runtime, published_at, published_by \
             from releases order by published_at desc, id, version",
        );
        self.read("listing releases").all(query).await?.into_iter().map(Release::try_from).collect()
    }

    async fn set_release_metadata(&self, files: &ReleaseMetadata, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut writing = self.write("storing the signed metadata of releases").await?;
        writing.run(sqlx::query("delete from release_metadata")).await?;
        for (name, contents) in files {
            let insert = sqlx::query("insert into release_metadata (name, contents) values ($1, $2)");
            writing.run(insert.bind(name).bind(contents)).await?;
        }
        append(&mut writing, audit).await?;
        writing.commit().await
    }

    async fn release_metadata_file(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query_as::<_, (Vec<u8>,)>("select contents from release_metadata where name = $1").bind(name);
        let found = self.read("reading a signed metadata file").all(query).await?;
        Ok(found.into_iter().next().map(|(contents,)| contents))
    }

    async fn release_metadata(&self) -> Result<ReleaseMetadata, StoreError> {
        let query = sqlx::query_as::<_, (String, Vec<u8>)>("select name, contents from release_metadata");
        Ok(self.read("reading the signed metadata of releases").all(query).await?.into_iter().collect())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    id: String,
    version: String,
    size: i64,
    platform: String,
    runtime: String,
    published_at: i64,
    published_by: String,
}

impl TryFrom<Row> for Release {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { digest, id, version, size, platform, runtime, published_at, published_by } = row;
        let origin = Origin { table: "releases", row: &digest };
        let target =
            ReleaseRef { digest: origin.parse("digest", &digest)?, version, size: origin.number("size", size)? };
        Ok(Self { target, id, platform, runtime, published_at: Timestamp::from_micros(published_at), published_by })
    }
}
