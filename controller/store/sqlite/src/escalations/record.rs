//! Rows of escalations.

use flota_model::Timestamp;
use flota_store::{Delivery, EscalationRecord, Resolution, StoreError};

use crate::row::Origin;

macro_rules! select_escalations {
    ($rest:literal) => {
        concat!(
            "select e.id, e.kind, e.host, h.name as host_name, e.summary, e.opened_at, e.resolved_at, e.resolved_by, \
             e.resolution, e.delivery, e.attempts, e.next_attempt, e.delivered_at, e.failure \
             from escalations e join hosts h on h.id = e.host ",
            $rest
        )
    };
}

/// The newest `$1` that are open.
pub(super) const OPEN_ESCALATIONS: &str =
    select_escalations!("where e.resolved_at is null order by e.opened_at desc, e.id desc limit $1");
/// The newest `$1`.
pub(super) const ALL_ESCALATIONS: &str = select_escalations!("order by e.opened_at desc, e.id desc limit $1");
/// The oldest `$1` whose delivery is due at `$2`.
pub(super) const DUE_ESCALATIONS: &str =
    select_escalations!("where e.delivery = 'waiting' and e.next_attempt <= $2 order by e.opened_at, e.id limit $1");

/// The state of a delivery in the database.
pub(super) const fn delivery_word(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Waiting { .. } => "waiting",
        Delivery::Delivered { .. } => "delivered",
        Delivery::Failed { .. } => "failed",
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct EscalationRow {
    id: String,
    kind: String,
    host: String,
    host_name: String,
    summary: String,
    opened_at: i64,
    resolved_at: Option<i64>,
    resolved_by: Option<String>,
    resolution: Option<String>,
    #[sqlx(flatten)]
    delivery: DeliveryColumns,
}

#[derive(sqlx::FromRow)]
struct DeliveryColumns {
    delivery: String,
    attempts: i64,
    next_attempt: Option<i64>,
    delivered_at: Option<i64>,
    failure: Option<String>,
}

/// A state without what belongs to it.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` does not go with what else is in this row")]
struct Incomplete(String);

impl TryFrom<EscalationRow> for EscalationRecord {
    type Error = StoreError;

    fn try_from(row: EscalationRow) -> Result<Self, StoreError> {
        let EscalationRow {
            id,
            kind,
            host,
            host_name,
            summary,
            opened_at,
            resolved_at,
            resolved_by,
            resolution,
            delivery,
        } = row;
        let origin = Origin { table: "escalations", row: &id };
        let resolved = match (resolved_at, resolved_by, resolution) {
            (Some(at), Some(by), Some(text)) => Some(Resolution { at: Timestamp::from_micros(at), by, text }),
            _ => None,
        };
        Ok(Self {
            kind,
            host_name: Origin { table: "hosts", row: &host }.parse("name", &host_name)?,
            host: origin.parse("host", &host)?,
            summary,
            opened_at: Timestamp::from_micros(opened_at),
            resolved,
            delivery: delivery.read(origin)?,
            id,
        })
    }
}

impl DeliveryColumns {
    fn read(self, origin: Origin<'_>) -> Result<Delivery, StoreError> {
        let Self { delivery, attempts, next_attempt, delivered_at, failure } = self;
        match (delivery.as_str(), next_attempt, delivered_at, failure) {
            ("waiting", Some(next), ..) => Ok(Delivery::Waiting {
                attempts: origin.number("attempts", attempts)?,
                next: Timestamp::from_micros(next),
            }),
            ("delivered", _, Some(at), _) => Ok(Delivery::Delivered { at: Timestamp::from_micros(at) }),
            ("failed", .., Some(why)) => Ok(Delivery::Failed { why }),
            _ => Err(origin.wrong("delivery", Incomplete(delivery))),
        }
    }
}
