//! The policies that are accepted now, compiled once. The store has the documents; [`crate::grpc::policies`] changes them.

use std::sync::{Arc, PoisonError, RwLock};

use flota_attest::event_log::EventLog;
use flota_attest::policy::Policy;
use flota_attest::quote::QuoteFacts;
use flota_model::{HostName, Labels, Selector, Timestamp};
use flota_store::{PolicyRecord, PolicyState, Store, StoreError};

/// All policies that may be accepted, by name, newest version first.
#[derive(Debug, Default)]
pub struct Policies {
    accepted: Vec<Accepted>,
}

#[derive(Debug)]
struct Accepted {
    name: String,
    version: u32,
    state: PolicyState,
    selector: Selector,
    /// None: the stored document cannot be read. It is met by nobody, and so its hosts fail.
    policy: Option<Policy>,
}

/// What a host's policies say of its quote.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// Name and version that the quote met, or the active one that it missed; several are joined by a comma.
    pub name: String,
    /// What it misses, a stable code and a sentence each.
    pub misses: Vec<String>,
}

impl Policies {
    /// Compiles the records that may be accepted. One that cannot be read says no longer for whom it is: it applies to
    /// every host and is met by none.
    pub fn compile(records: &[PolicyRecord]) -> Self {
        let mut accepted = Vec::new();
        for record in records {
            if matches!(record.state, PolicyState::Draft | PolicyState::Approved | PolicyState::Retired) {
                continue;
            }
            let readable = Policy::parse(record.document_json.as_bytes())
                .ok()
                .and_then(|policy| Some((policy.applies_to().parse().ok()?, policy)));
            if readable.is_none() {
                tracing::error!(policy = %record.digest, "a stored policy cannot be read; every host fails it");
            }
            let (selector, policy) = readable.unzip();
            accepted.push(Accepted {
                name: record.name.clone(),
                version: record.version,
                state: record.state,
                selector: selector.unwrap_or_default(),
                policy,
            });
        }
        Self { accepted }
    }

    /// Holds a quote to every policy that applies to the host. Under each name any version that is accepted now will do:
    /// the active one, one staged for a planned change, one that is being retired. None: no policy applies.
    pub fn judge(
        &self,
        host: &HostName,
        labels: &Labels,
        facts: &QuoteFacts,
        log: Option<&EventLog>,
        now: Timestamp,
    ) -> Option<Held> {
        let mut held: Option<Held> = None;
        for versions in self.accepted.chunk_by(|one, other| one.name == other.name) {
            // Each version is for the hosts that it names itself: what is staged for a canary is not for production.
            let accepted: Vec<&Accepted> = versions
                .iter()
                .filter(|one| is_accepted(one.state, now) && one.selector.matches(host, labels))
                .collect();
            // One that is being retired still holds its hosts; one that is staged holds nobody by itself.
            if accepted.iter().all(|one| matches!(one.state, PolicyState::Staged { .. })) {
                continue;
            }
            let (name, misses) = best(&accepted, facts, log);
            let all = held.get_or_insert(Held { name: String::new(), misses: Vec::new() });
            if !all.name.is_empty() {
                all.name.push_str(", ");
            }
            all.name.push_str(&name);
            all.misses.extend(misses);
        }
        held
    }
}

/// The first version that is met; else the active one, or any if none is, with what it misses.
fn best(versions: &[&Accepted], facts: &QuoteFacts, log: Option<&EventLog>) -> (String, Vec<String>) {
    let mut otherwise = (String::new(), vec!["no_policy: no version of the policy is accepted now".to_owned()]);
    for one in versions {
        let name = format!("{}@{}", one.name, one.version);
        let misses = one.misses(facts, log);
        if misses.is_empty() {
            return (name, misses);
        }
        if is_active(one) || otherwise.0.is_empty() {
            otherwise = (name, misses);
        }
    }
    otherwise
}

impl Accepted {
    fn misses(&self, facts: &QuoteFacts, log: Option<&EventLog>) -> Vec<String> {
        let Some(policy) = &self.policy else {
            return vec!["policy_unreadable: the stored policy cannot be read (flota policy rollback)".to_owned()];
        };
        policy.judge(facts, log).iter().map(|miss| format!("{}: {miss}", miss.code())).collect()
    }
}

fn is_active(one: &Accepted) -> bool {
    one.state == PolicyState::Active
}

/// Whether hosts may meet a policy in this state.
pub fn is_accepted(state: PolicyState, now: Timestamp) -> bool {
    match state {
        PolicyState::Active => true,
        PolicyState::Staged { from, until } => from <= now && now < until,
        PolicyState::Retiring { until } => now < until,
        PolicyState::Draft | PolicyState::Approved | PolicyState::Retired => false,
    }
}

/// The policies in use, replaced as a whole.
#[derive(Debug, Default)]
pub struct PolicyBook {
    current: RwLock<Arc<Policies>>,
}

impl PolicyBook {
    /// The policies in use.
    pub fn current(&self) -> Arc<Policies> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads them anew from the store.
    pub async fn reload(&self, store: &dyn Store) -> Result<(), StoreError> {
        let policies = Arc::new(Policies::compile(&store.policies().await?));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = policies;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
