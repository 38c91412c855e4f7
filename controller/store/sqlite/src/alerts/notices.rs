//! What receivers have to be told: the newest state of a rule's alerts, once.

use flota_model::Timestamp;
use flota_store::{Notice, StoreError, Tell, Told};

use crate::SqliteStore;
use crate::row::Origin;
use crate::transaction::Writing;

const COLUMNS: &str = "receiver, rule, revision, due_at, told_at, attempts, failure";

/// There is more to know.
pub(super) async fn raise(writing: &mut Writing, receiver: &str, rule: &str, tell: &Tell) -> Result<(), StoreError> {
    // What waits already is told at its time; a receiver that fails is not asked more often for that.
    let upsert = "insert into alert_notices (receiver, rule, revision, due_at, attempts) values ($1, $2, 1, $3, 0) \
                  on conflict (receiver, rule) do update set revision = revision + 1, \
                  due_at = coalesce(due_at, max($3, coalesce(told_at + $4, $3)))";
    let query = sqlx::query(upsert).bind(receiver).bind(rule).bind(tell.from.as_micros()).bind(tell.pause_micros);
    writing.run(query).await.map(drop)
}

pub(super) async fn introduce(store: &SqliteStore, rule: &str, tell: &Tell) -> Result<(), StoreError> {
    let mut writing = store.write("introducing receivers of alerts").await?;
    for receiver in &tell.receivers {
        let insert = "insert into alert_notices (receiver, rule, revision, due_at, attempts) values ($1, $2, 1, $3, 0) \
                      on conflict do update set due_at = $3, attempts = 0, failure = null \
                      where due_at is null and failure is not null";
        writing.run(sqlx::query(insert).bind(receiver).bind(rule).bind(tell.from.as_micros())).await?;
    }
    writing.commit().await
}

pub(super) async fn all(store: &SqliteStore) -> Result<Vec<Notice>, StoreError> {
    let select = format!("select {COLUMNS} from alert_notices order by receiver, rule");
    let query = sqlx::query_as::<_, NoticeRow>(sqlx::AssertSqlSafe(select));
    store.read("listing notices").all(query).await?.into_iter().map(Notice::try_from).collect()
}

pub(super) async fn claim(store: &SqliteStore, now: Timestamp, until: Timestamp) -> Result<Vec<Notice>, StoreError> {
    let mut writing = store.write("claiming notices").await?;
    let update = format!("update alert_notices set due_at = $2 where due_at <= $1 returning {COLUMNS}");
    let query =
        sqlx::query_as::<_, NoticeRow>(sqlx::AssertSqlSafe(update)).bind(now.as_micros()).bind(until.as_micros());
    let rows = writing.all(query).await?;
    writing.commit().await?;
    rows.into_iter().map(Notice::try_from).collect()
}

pub(super) async fn note(store: &SqliteStore, notice: &Notice, told: &Told) -> Result<(), StoreError> {
    let Notice { receiver, rule, revision, .. } = notice;
    let revision = i64::try_from(*revision).unwrap_or(i64::MAX);
    let mut writing = store.write("noting who was told of alerts").await?;
    let query = match told {
        Told::Done { at, pause_micros, again } => {
            let update = "update alert_notices set told_at = $4, attempts = 0, failure = null, \
                          due_at = case when revision = $3 then $6 else $4 + $5 end where receiver = $1 and rule = $2";
            let query = sqlx::query(update).bind(receiver).bind(rule).bind(revision).bind(at.as_micros());
            query.bind(*pause_micros).bind(again.map(Timestamp::as_micros))
        }
        Told::Failed { next, why } => {
            let update = "update alert_notices set attempts = attempts + 1, failure = $3, due_at = $4 \
                          where receiver = $1 and rule = $2";
            sqlx::query(update).bind(receiver).bind(rule).bind(why).bind(next.map(Timestamp::as_micros))
        }
    };
    writing.run(query).await?;
    writing.commit().await
}

#[derive(sqlx::FromRow)]
struct NoticeRow {
    receiver: String,
    rule: String,
    revision: i64,
    due_at: Option<i64>,
    told_at: Option<i64>,
    attempts: i64,
    failure: Option<String>,
}

impl TryFrom<NoticeRow> for Notice {
    type Error = StoreError;

    fn try_from(row: NoticeRow) -> Result<Self, StoreError> {
        let NoticeRow { receiver, rule, revision, due_at, told_at, attempts, failure } = row;
        let key = format!("{receiver} {rule}");
        let origin = Origin { table: "alert_notices", row: &key };
        Ok(Self {
            revision: origin.number("revision", revision)?,
            attempts: origin.number("attempts", attempts)?,
            due_at: due_at.map(Timestamp::from_micros),
            told_at: told_at.map(Timestamp::from_micros),
            failure,
            receiver,
            rule,
        })
    }
}
