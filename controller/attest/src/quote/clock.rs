//! Rules V11 and V12: what the clock of a TPM may do between two quotes.

use super::{ClockState, Reason};

/// How the TPM stands to its last quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch {
    pub(super) rebooted: bool,
    pub(super) unseen_reboots: u32,
    pub(super) firmware_changed: bool,
}

/// Compares with the last quote that passed, and adds a reason for everything that no single TPM does.
///
/// Within a boot, clock and restart count only grow. A TPM Reset zeroes the restart count, and after a power loss the
/// clock goes back by some seconds, so across a boot only the reset count is compared.
pub(super) fn compare(now: &ClockState, last: Option<&ClockState>, reasons: &mut Vec<Reason>) -> Epoch {
    let Some(last) = last else { return Epoch::default() };
    if now.firmware < last.firmware {
        reasons.push(Reason::FirmwareDowngrade);
    }
    let Some(boots) = now.reset_count.checked_sub(last.reset_count) else {
        reasons.push(Reason::ResetRollback);
        return Epoch::default();
    };
    if boots == 0 {
        if now.restart_count < last.restart_count {
            reasons.push(Reason::RestartRollback);
        }
        if now.clock <= last.clock {
            reasons.push(Reason::ClockNotAdvanced);
        }
    }
    Epoch {
        rebooted: boots > 0,
        unseen_reboots: boots.saturating_sub(1),
        firmware_changed: now.firmware != last.firmware,
    }
}
