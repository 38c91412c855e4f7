//! What a passed quote establishes, in a form that can be stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attest::Attest;

/// What a passed quote establishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteFacts {
    /// Milliseconds the TPM has been powered.
    pub clock: u64,
    /// TPM Resets (reboots) so far.
    pub reset_count: u32,
    /// Resumes and restarts since the last reboot.
    pub restart_count: u32,
    /// Whether the TPM vouches that `clock` never was higher. Always true in a pass.
    pub safe: bool,
    /// Vendor's firmware version.
    pub firmware: u64,
    /// The quoted PCR values by index.
    #[serde(with = "crate::baseline::hex_digests")]
    pub pcrs: BTreeMap<u8, [u8; 32]>,
    /// Whether the host rebooted since the last passed quote. False for the first quote.
    pub rebooted: bool,
    /// Reboots between the two quotes besides the last one: nobody attested those boots.
    pub unseen_reboots: u32,
    /// Whether the firmware is newer than at the last passed quote; policy decides what follows.
    pub firmware_changed: bool,
}

impl QuoteFacts {
    /// What the next quote of this host is compared with.
    pub const fn clock_state(&self) -> ClockState {
        ClockState {
            clock: self.clock,
            reset_count: self.reset_count,
            restart_count: self.restart_count,
            firmware: self.firmware,
        }
    }
}

/// Clock and firmware of a TPM at its last passed quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// Milliseconds the TPM has been powered.
    pub clock: u64,
    /// TPM Resets (reboots) so far.
    pub reset_count: u32,
    /// Resumes and restarts since the last reboot.
    pub restart_count: u32,
    /// Vendor's firmware version.
    pub firmware: u64,
}

impl ClockState {
    pub(super) const fn of(attest: &Attest<'_>) -> Self {
        Self {
            clock: attest.clock.clock,
            reset_count: attest.clock.reset_count,
            restart_count: attest.clock.restart_count,
            firmware: attest.firmware_version,
        }
    }
}
