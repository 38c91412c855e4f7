//! Rows of policies.

use flota_model::Timestamp;
use flota_store::{PolicyChange, PolicyRecord, PolicyRequest, PolicyState, StoreError};

use crate::row::Origin;

/// All, by name, newest version first; with who approved them, as a JSON list in order of time.
pub(super) const ALL_POLICIES: &str = "select p.digest, p.name, p.version, p.state, p.valid_from, p.valid_until, \
     p.document, p.author, p.note, p.created_at, p.activated_at, \
     (select json_group_array(a.approver order by a.at, a.approver) from policy_approvals a where a.policy = p.digest) \
     as approvers, r.change, r.after_seconds, r.author as asked_by, r.reason, r.at as asked_at \
     from policies p left join policy_requests r on r.policy = p.digest order by p.name, p.version desc";

#[derive(sqlx::FromRow)]
pub(super) struct PolicyRow {
    digest: String,
    name: String,
    version: i64,
    #[sqlx(flatten)]
    state: StateColumns,
    document: String,
    author: String,
    note: String,
    created_at: i64,
    activated_at: Option<i64>,
    approvers: String,
    #[sqlx(flatten)]
    request: RequestColumns,
}

/// All null where nothing was asked for.
#[derive(sqlx::FromRow)]
struct RequestColumns {
    change: Option<String>,
    after_seconds: Option<i64>,
    asked_by: Option<String>,
    reason: Option<String>,
    asked_at: Option<i64>,
}

/// Who made a policy, and where it stands.
#[derive(sqlx::FromRow)]
pub(super) struct ProposalRow {
    pub(super) author: String,
    #[sqlx(flatten)]
    pub(super) state: StateColumns,
}

#[derive(sqlx::FromRow)]
pub(super) struct StateColumns {
    state: String,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
}

/// A state that is not one, or lacks its window.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no state, or its window is missing")]
struct NoState(String);

impl TryFrom<PolicyRow> for PolicyRecord {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        let PolicyRow {
            digest,
            name,
            version,
            state,
            document,
            author,
            note,
            created_at,
            activated_at,
            approvers,
            request,
        } = row;
        let origin = Origin { table: "policies", row: &digest };
        Ok(Self {
            name,
            version: origin.number("version", version)?,
            state: state.read(origin)?,
            document_json: document,
            author,
            approvers: origin.json("approvers", &approvers)?,
            note,
            created_at: Timestamp::from_micros(created_at),
            activated_at: activated_at.map(Timestamp::from_micros),
            request: request.read(Origin { table: "policy_requests", row: &digest })?,
            digest: origin.parse("digest", &digest)?,
        })
    }
}

impl RequestColumns {
    fn read(self, origin: Origin<'_>) -> Result<Option<PolicyRequest>, StoreError> {
        let (Some(change), Some(after_seconds), Some(author), Some(reason), Some(at)) =
            (self.change, self.after_seconds, self.asked_by, self.reason, self.asked_at)
        else {
            return Ok(None);
        };
        let change = match change.as_str() {
            "retire" => PolicyChange::Retire { after_seconds: origin.number("after_seconds", after_seconds)? },
            "rollback" => PolicyChange::Rollback,
            _ => return Err(origin.wrong("change", NoChange(change))),
        };
        Ok(Some(PolicyRequest { change, author, reason, at: Timestamp::from_micros(at) }))
    }
}

/// A change that is none.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no change of a policy")]
struct NoChange(String);

impl StateColumns {
    pub(super) fn read(self, origin: Origin<'_>) -> Result<PolicyState, StoreError> {
        let Self { state, valid_from, valid_until } = self;
        let from = valid_from.map(Timestamp::from_micros);
        let until = valid_until.map(Timestamp::from_micros);
        match (state.as_str(), from, until) {
            ("draft", ..) => Ok(PolicyState::Draft),
            ("approved", ..) => Ok(PolicyState::Approved),
            ("staged", Some(from), Some(until)) => Ok(PolicyState::Staged { from, until }),
            ("active", ..) => Ok(PolicyState::Active),
            ("retiring", _, Some(until)) => Ok(PolicyState::Retiring { until }),
            ("retired", ..) => Ok(PolicyState::Retired),
            _ => Err(origin.wrong("state", NoState(state))),
        }
    }
}
