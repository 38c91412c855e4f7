//! From events to PCR values: `new = SHA-256(old || digest)` (TCG TPM 2.0 Library, Part 1, section 17.2).

use std::collections::BTreeMap;

use super::{EventLog, LAST_BOOT_PCR};
use crate::hash::sha256;

/// PCRs of dynamic launch, which are all ones until one happened (PC Client Platform TPM Profile 1.05, section 4.6).
const DYNAMIC_PCRS: std::ops::RangeInclusive<u8> = 17..=22;

/// PCRs that the firmware leaves to loaders and the system, which may extend them at any time.
const RUNTIME_PCRS: std::ops::RangeInclusive<u8> = 8..=15;

impl EventLog {
    /// The values that the PCRs had when the last event was logged: those with events, and PCR 0 if the log tells the
    /// locality that it started with. EV_NO_ACTION is not extended.
    pub fn replay(&self) -> BTreeMap<u8, [u8; 32]> {
        let mut pcrs = BTreeMap::new();
        if self.startup.is_some() {
            pcrs.insert(0, self.initial(0));
        }
        for event in self.events.iter().filter(|event| event.is_extended()) {
            let value = pcrs.entry(event.pcr).or_insert_with(|| self.initial(event.pcr));
            *value = sha256(&[&*value, event.sha256()]);
        }
        pcrs
    }

    /// The value of one PCR by this log; its initial value if nothing was measured into it.
    pub fn replayed(&self, pcr: u8) -> [u8; 32] {
        self.measured(pcr).fold(self.initial(pcr), |value, event| sha256(&[&value, event.sha256()]))
    }

    /// The PCRs 8 to 15 whose quoted value is not that of the log, ascending: something was measured into them after
    /// it, as `systemd-pcrphase` does in every boot. It is no finding; it is what the log cannot explain.
    pub fn extended_later(&self, quoted: &BTreeMap<u8, [u8; 32]>) -> Vec<u8> {
        let runtime = quoted.iter().filter(|(pcr, _)| RUNTIME_PCRS.contains(pcr));
        runtime.filter(|(pcr, value)| self.replayed(**pcr) != **value).map(|(pcr, _)| *pcr).collect()
    }

    /// The quoted boot PCRs whose value is not that of the log, with the value of the log and the quoted one.
    pub(super) fn mismatches<'a>(
        &'a self,
        quoted: &'a BTreeMap<u8, [u8; 32]>,
    ) -> impl Iterator<Item = (u8, [u8; 32], [u8; 32])> + 'a {
        let boot = quoted.range(..=LAST_BOOT_PCR);
        boot.map(|(pcr, value)| (*pcr, self.replayed(*pcr), *value)).filter(|(_, replayed, quoted)| replayed != quoted)
    }

    fn initial(&self, pcr: u8) -> [u8; 32] {
        let mut value = [if DYNAMIC_PCRS.contains(&pcr) { 0xff } else { 0 }; 32];
        if let (0, Some(startup), [.., last]) = (pcr, self.startup, &mut value) {
            *last = startup.locality;
        }
        value
    }
}
