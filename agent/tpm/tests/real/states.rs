//! What a TPM's clock and counters do when its power goes, when its host resumes, and when its state is put back. Each
//! case is a real one: the TPM is killed, started again, or started on a copy of its earlier state.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_attest::quote::{ClockState, Reason, Verdict};
use flota_tpm::Tpm;

use crate::bench::{Host, until};
use crate::controller::{NONCE, Record, passed};
use crate::raw;

/// swtpm vouches for its clock again some six seconds after a power loss.
const SAFE_BOUND: Duration = Duration::from_mins(1);

struct Case {
    host: Host,
    tpm: Tpm,
    record: Record,
}

impl Case {
    fn new() -> Self {
        let host = Host::new();
        let tpm = host.open().unwrap();
        let record = Record::of(&tpm);
        Self { host, tpm, record }
    }

    fn judge(&self, last: Option<ClockState>) -> Verdict {
        self.record.judge_quote(&self.tpm.quote(NONCE, &[0]).unwrap(), last)
    }

    /// Asks again while the verdict is to ask again, as the controller does. Says how often.
    fn pass(&self, last: Option<ClockState>) -> (ClockState, Epoch, usize) {
        let mut retries = 0;
        let facts = until("the TPM to vouch for its clock", SAFE_BOUND, || match self.judge(last) {
            Verdict::Retry(Reason::ClockUnsafe) => {
                retries += 1;
                None
            }
            verdict => Some(passed(verdict)),
        });
        let epoch = Epoch { rebooted: facts.rebooted, unseen: facts.unseen_reboots };
        (facts.clock_state(), epoch, retries)
    }

    /// Cuts the power and gives it back. swtpm listens before it has started its TPM; an answer says that it has.
    fn power_cycle(&mut self) {
        self.host.swtpm.restart().unwrap();
        self.host.swtpm.read_pcr(0).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.host.dir.path().join("swtpm/state")
    }

    /// Takes a copy of the TPM's state while it is off, and starts it again.
    fn snapshot(&mut self) -> PathBuf {
        let copy = self.host.dir.path().join("snapshot");
        self.host.swtpm.kill().unwrap();
        copy_files(&self.state(), &copy);
        self.power_cycle();
        copy
    }

    fn put_back(&mut self, copy: &Path) {
        self.host.swtpm.kill().unwrap();
        fs::remove_dir_all(self.state()).unwrap();
        copy_files(copy, &self.state());
        self.power_cycle();
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Epoch {
    rebooted: bool,
    unseen: u32,
}

#[test]
fn case_51_a_tpm_put_back_to_an_earlier_state_has_fewer_resets() {
    let mut case = Case::new();
    let copy = case.snapshot();
    case.power_cycle();
    let (last, ..) = case.pass(None);
    case.put_back(&copy);
    assert_eq!(case.judge(Some(last)), Verdict::Fail(vec![Reason::ResetRollback]));
}

#[test]
fn case_52_a_tpm_put_back_within_one_boot_has_an_earlier_clock() {
    let mut case = Case::new();
    let copy = case.snapshot();
    let (last, ..) = case.pass(None);
    case.put_back(&copy);
    // Its clock goes back by the seconds that the first quote waited for.
    assert_eq!(case.judge(Some(last)), Verdict::Fail(vec![Reason::ClockNotAdvanced]));
}

/// Must not alarm: a reset zeroes the restart count.
#[test]
fn case_53_fewer_restarts_after_a_reboot_pass() {
    let mut case = Case::new();
    let (first, ..) = case.pass(None);
    raw::shutdown_to_resume(&case.host.swtpm);
    case.power_cycle();
    let (resumed, epoch, _) = case.pass(Some(first));
    assert_eq!((resumed.reset_count, resumed.restart_count), (first.reset_count, first.restart_count + 1));
    assert_eq!(epoch, Epoch { rebooted: false, unseen: 0 }, "a resume is no reboot");

    case.power_cycle();
    let (rebooted, epoch, _) = case.pass(Some(resumed));
    assert_eq!((rebooted.reset_count, rebooted.restart_count), (resumed.reset_count + 1, 0));
    assert_eq!(epoch, Epoch { rebooted: true, unseen: 0 });
}

/// Must not alarm: after a power loss the clock goes back by some seconds, and the TPM says that it does not vouch for it.
#[test]
fn case_54_a_power_loss_is_asked_again_and_then_passes() {
    let mut case = Case::new();
    let (before, ..) = case.pass(None);
    case.power_cycle();
    assert_eq!(case.judge(Some(before)), Verdict::Retry(Reason::ClockUnsafe));
    let (after, epoch, retries) = case.pass(Some(before));
    assert!(retries > 0);
    assert_eq!(epoch, Epoch { rebooted: true, unseen: 0 });
    assert_eq!(after.reset_count, before.reset_count + 1);
}

#[test]
fn case_54_power_losses_that_nobody_saw_are_counted() {
    let mut case = Case::new();
    let (before, ..) = case.pass(None);
    for _ in 0..3 {
        case.power_cycle();
    }
    let (_, epoch, _) = case.pass(Some(before));
    assert_eq!(epoch, Epoch { rebooted: true, unseen: 2 });
}

/// No TPM at hand goes back in firmware; so the record is ahead of a real quote.
#[test]
fn case_55_older_firmware_than_on_record_fails() {
    let case = Case::new();
    let (now, ..) = case.pass(None);
    let newer = ClockState { firmware: now.firmware + 1, clock: 0, ..now };
    assert_eq!(case.judge(Some(newer)), Verdict::Fail(vec![Reason::FirmwareDowngrade]));
    let older = ClockState { firmware: now.firmware - 1, clock: 0, ..now };
    assert!(passed(case.judge(Some(older))).firmware_changed, "newer firmware passes and is told");
    assert_eq!(case.tpm.identity().firmware_version, now.firmware, "the EK's hierarchy does not obfuscate it");
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
