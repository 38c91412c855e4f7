//! What must hold of a log besides its replay: V13 of the attestation specification.

use std::collections::{BTreeMap, BTreeSet};

use super::kind::DigestOf;
use super::variable::Variable;
use super::{DataStanding, Event, EventKind, EventLog, LAST_BOOT_PCR, LogFinding, MAX_FINDINGS, SECURE_BOOT_PCR};
use crate::hash::sha256;

/// Values of a separator: firmware is done with this PCR (either of two, section 10.4.1), or had an error.
const SEPARATORS: [[u8; 4]; 3] = [[0; 4], [0xff; 4], ERROR_SEPARATOR];

/// The 32-bit number 1: firmware had an error and gave up measuring.
pub(super) const ERROR_SEPARATOR: [u8; 4] = [1, 0, 0, 0];

/// Where loaders and kernels are measured.
const LOADER_PCR: u8 = 4;

impl EventLog {
    /// Everything that speaks against this log, given the quoted PCRs of its bank; nothing if it can be believed. At
    /// most [`MAX_FINDINGS`], those of the replay first.
    ///
    /// - Every quoted boot PCR (0 to 7) has the value that the log replays to; one without events, its initial value.
    ///   The others are extended after the log was written: [`EventLog::extended_later`] tells which.
    /// - Every boot PCR with events has exactly one separator, with one of the known values.
    /// - Data that is what its event measures hashes to the digest.
    /// - No event of a boot PCR has a type that does not belong there ([`EventKind::belongs_in`]), or hides a loader,
    ///   or a separator of PCR 4 or 7, behind another type.
    ///
    /// A PCR that is not in `quoted` is vouched for by nobody: quote all eight.
    #[must_use = "a log with findings proves nothing"]
    pub fn check(&self, quoted: &BTreeMap<u8, [u8; 32]>) -> Vec<LogFinding> {
        let mut findings: Vec<LogFinding> = self
            .mismatches(quoted)
            .map(|(pcr, replayed, quoted)| LogFinding::Replay { pcr, replayed, quoted })
            .collect();
        self.check_separators(&mut findings);
        for event in &self.events {
            let Event { pcr, kind, number, .. } = *event;
            if event.standing == DataStanding::Altered {
                findings.push(LogFinding::EventData { pcr, event: number, kind });
            }
            if !self.may_be(event) {
                findings.push(LogFinding::EventType { pcr, event: number, kind });
            }
        }
        findings.truncate(MAX_FINDINGS);
        findings
    }

    fn check_separators(&self, findings: &mut Vec<LogFinding>) {
        let mut separated = BTreeSet::new();
        for event in self.boot_events().filter(|event| event.kind == EventKind::SEPARATOR) {
            let (pcr, number) = (event.pcr, event.number);
            if !separated.insert(pcr) {
                findings.push(LogFinding::SeparatorRepeated { pcr, event: number });
            }
            if event.measured_data().is_some_and(|data| !SEPARATORS.iter().any(|value| value == data)) {
                findings.push(LogFinding::SeparatorData { pcr, event: number });
            }
        }
        let used: BTreeSet<u8> = self.boot_events().map(|event| event.pcr).collect();
        findings.extend(used.difference(&separated).map(|pcr| LogFinding::SeparatorMissing { pcr: *pcr }));
    }

    /// Whether an event can be of the type that it says.
    pub(super) fn may_be(&self, event: &Event) -> bool {
        event.kind.belongs_in(event.pcr) && !is_hidden_separator(event) && !self.is_hidden_loader(event)
    }

    /// EV_IPL is what BIOS boots measure loaders with. Beside the programs of a UEFI boot it is one of them, relabelled.
    fn is_hidden_loader(&self, event: &Event) -> bool {
        let is_uefi = || self.measured(LOADER_PCR).any(|other| other.kind == EventKind::EFI_BOOT_SERVICES_APPLICATION);
        event.kind == EventKind::IPL && event.pcr == LOADER_PCR && is_uefi()
    }

    fn boot_events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.pcr <= LAST_BOOT_PCR && event.is_extended())
    }
}

/// A separator under another name, so that a second one can follow: the digest gives it away. Asked where something is
/// made of what comes before and after; in PCR 0 of some Intel machines a contents event has that digest in earnest.
fn is_hidden_separator(event: &Event) -> bool {
    matches!(event.pcr, LOADER_PCR | SECURE_BOOT_PCR)
        && event.is_extended()
        && event.kind != EventKind::SEPARATOR
        && SEPARATORS.iter().any(|value| sha256(&[value]) == event.sha256)
}

/// How far data can be believed next to its digest. Nothing vouches for EV_NO_ACTION, which is not extended.
pub(super) fn standing(kind: EventKind, digest: &[u8; 32], data: &[u8]) -> DataStanding {
    if kind == EventKind::NO_ACTION {
        return DataStanding::Claimed;
    }
    if sha256(&[data]) == *digest {
        return DataStanding::Measured;
    }
    let nearly = match kind.digest_of() {
        DigestOf::Other => true,
        DigestOf::Data => false,
        // The value was measured; the name beside it is a claim.
        DigestOf::DataOrValue => Variable::parse(data).is_some_and(|variable| sha256(&[variable.value]) == *digest),
        DigestOf::DataOrAllButLast => {
            let has_tail = Variable::parse_prefix(data).is_some_and(|(_, rest)| !rest.is_empty());
            has_tail && data.split_last().is_some_and(|(_, measured)| sha256(&[measured]) == *digest)
        }
    };
    if nearly { DataStanding::Claimed } else { DataStanding::Altered }
}
