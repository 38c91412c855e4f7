//! Whether Secure Boot was on, by what was measured.

use super::variable::Variable;
use super::{DataStanding, EventKind, EventLog};

/// The state of Secure Boot and the keys of it are measured here.
pub(crate) const SECURE_BOOT_PCR: u8 = 7;

impl EventLog {
    /// Whether Secure Boot was on: the measured `SecureBoot` variable of PCR 7. To be believed if PCR 7 was quoted and
    /// [`EventLog::check`] has no finding.
    ///
    /// None if it cannot be told. Whoever controls the running system can extend PCR 7 with a second `SecureBoot` that
    /// says on, and relabel the first: so nothing in the PCR may be of a type that does not belong there, all data up to
    /// the separator must be what was measured, the variable must be there as itself and before the separator, and if it
    /// is there twice both must agree.
    pub fn secure_boot(&self) -> Option<bool> {
        let mut state = None;
        let mut separated = false;
        for event in self.measured(SECURE_BOOT_PCR) {
            let believed = match event.standing {
                DataStanding::Measured => true,
                DataStanding::Claimed => separated,
                DataStanding::Altered => false,
            };
            let second_separator = event.kind == EventKind::SEPARATOR && std::mem::replace(&mut separated, true);
            if !believed || second_separator || !self.may_be(event) {
                return None;
            }
            let variable = event.measured_data().and_then(Variable::parse);
            let Some(variable) = variable.filter(|variable| variable.is_global("SecureBoot")) else { continue };
            if separated || event.kind != EventKind::EFI_VARIABLE_DRIVER_CONFIG {
                return None;
            }
            // Firmware measures a variable that is not set as empty, and Secure Boot is then off (section 3.3.4.8).
            let on = if variable.value.is_empty() { false } else { switch(variable.value)? };
            if *state.get_or_insert(on) != on {
                return None;
            }
        }
        state.filter(|_| separated)
    }
}

/// A variable of one byte that is 0 or 1 (UEFI 2.10, section 3.3).
pub(super) const fn switch(value: &[u8]) -> Option<bool> {
    match value {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}
