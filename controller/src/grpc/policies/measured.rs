//! What hosts measure now: their newest quoted PCRs and boot logs.

use std::collections::BTreeMap;

use flota_attest::baseline::Baseline;
use flota_attest::event_log::{EventLog, describe};
use flota_attest::policy::Observation;
use flota_proto::v1;

use super::super::select;
use crate::attestation::subject::{parse_stored, stored_log};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Events shown of one value. A boot log has a few dozen in a PCR at most.
const MAX_EVENTS: usize = 64;

/// Hosts with their measurements.
pub(super) struct Measured {
    hosts: Vec<One>,
}

struct One {
    name: String,
    quoted: Baseline,
    log: Option<EventLog>,
}

impl Measured {
    /// Of the hosts selected. Those that were never quoted are left out; if that leaves nobody, it is a refusal.
    pub(super) async fn of(core: &Core, selection: select::Selection<'_>) -> Result<Self, Fault> {
        let mut hosts = Vec::new();
        for host in select::hosts(core, selection).await? {
            let Some(known) = core.store.measurements(&host.id).await? else { continue };
            let Some(quoted) = parse_stored::<Baseline>(&known.quoted_json)? else { continue };
            let log = match known.quoted_log {
                Some(digest) => stored_log(core, &digest).await?,
                None => None,
            };
            hosts.push(One { name: host.name.to_string(), quoted, log });
        }
        if hosts.is_empty() {
            return Err(Fault::new(Code::NothingSelected, "none of these hosts has been quoted yet")
                .fix("flota attest challenge"));
        }
        Ok(Self { hosts })
    }

    pub(super) fn observations(&self) -> Vec<Observation<'_>> {
        let hosts = self.hosts.iter();
        hosts
            .map(|One { name, quoted, log }| Observation { host: name, pcrs: quoted.pcrs(), log: log.as_ref() })
            .collect()
    }
}

/// Grouped by value, the value of most hosts first.
pub(super) fn observed(measured: &Measured) -> v1::ObserveResponse {
    let mut pcrs: BTreeMap<u8, BTreeMap<[u8; 32], v1::ObservedValue>> = BTreeMap::new();
    for one in &measured.hosts {
        for (pcr, value) in one.quoted.pcrs() {
            let entry = pcrs.entry(*pcr).or_default().entry(*value).or_insert_with(|| v1::ObservedValue {
                digest: hex::encode(value),
                hosts: Vec::new(),
                events: Vec::new(),
            });
            entry.hosts.push(one.name.clone());
            if let Some(log) = one.log.as_ref().filter(|log| entry.events.is_empty() && log.replayed(*pcr) == *value) {
                entry.events = log.measured(*pcr).take(MAX_EVENTS).map(describe).collect();
            }
        }
    }
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::ObserveResponse {
        pcrs: pcrs
            .into_iter()
            .map(|(index, values)| {
                let mut values: Vec<v1::ObservedValue> = values.into_values().collect();
                values.sort_by_key(|value| std::cmp::Reverse(value.hosts.len()));
                v1::ObservedPcr { index: u32::from(index), values }
            })
            .collect(),
        hosts: count(measured.hosts.len()),
        hosts_with_log: count(measured.hosts.iter().filter(|one| one.log.is_some()).count()),
    }
}
