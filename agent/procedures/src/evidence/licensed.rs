//! The licence's part of the check: who issued it, whether it is in force, revoked or older than the last one, and which host
//! it is for.

use std::path::Path;

use jiff::Timestamp;

use super::report::{EvidenceReport, Trust};
use super::{EvidenceRequest, EvidenceStatus, Memory, codes};
use crate::causes;
use crate::iso_time;
use crate::licence::revocation::{Provenance, RevocationCheck, RevocationError, RevocationList};
use crate::licence::{self, Licence, LicenceError, LicenceKeys, SignedLicence};
use crate::licence_state::{self, AdmitError};

/// A licence that was looked at, and what is to be remembered of it if nothing else is wrong.
pub(super) struct Licensed {
    licence: Licence,
    trust: Trust,
    proved_revocations: Option<RevocationList>,
}

impl Licensed {
    /// The host that the licence is for.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.licence.fingerprint()
    }
}

/// Says what is wrong with the licence at `path`; nothing if it cannot be read or is forged.
pub(super) fn judge(path: &Path, request: &EvidenceRequest<'_>, report: &mut EvidenceReport) -> Option<Licensed> {
    let proved = licence::load(path).and_then(|signed| prove(signed, request.licence_keys, report));
    let (licence, trust) = match proved {
        Ok(proved) => proved,
        Err(error) => {
            refuse(&error, report);
            return None;
        }
    };
    report.describe_licence(&licence, trust);
    judge_dates(&licence, request.now, report);
    let revocations = request.revocations.and_then(|check| judge_revocation(&licence, check, request.now, report));
    let proved_revocations =
        revocations.and_then(|(list, provenance)| (provenance == Provenance::Proved).then_some(list));
    judge_age(&licence, proved_revocations.as_ref(), request.memory, report);
    Some(Licensed { licence, trust, proved_revocations })
}

/// Remembers a licence that was proved, once the whole check has nothing against it: neither evidence of another host nor a
/// licence that nobody vouches for may keep later ones out.
pub(super) fn remember(licensed: &Licensed, request: &EvidenceRequest<'_>, report: &mut EvidenceReport) {
    let Memory::Installation(root) = request.memory else { return };
    if report.status() != EvidenceStatus::Ok || licensed.trust != Trust::Proved || !licence_state::is_kept(root) {
        return;
    }
    match licence_state::admit(root, &licensed.licence, licensed.proved_revocations.as_ref(), request.now) {
        Ok(()) => {}
        Err(AdmitError::Licence(error)) => refuse(&error, report),
        Err(AdmitError::Revocation(error)) => distrust(&error, report),
        // The licence stands: it was held against what is remembered. Only the next check knows less than it might.
        Err(AdmitError::State(error)) => {
            report.warn(EvidenceStatus::Ok, error.code(), causes::on_one_line(&error));
        }
    }
}

fn prove(
    signed: SignedLicence,
    keys: Option<&LicenceKeys>,
    report: &mut EvidenceReport,
) -> Result<(Licence, Trust), LicenceError> {
    let kind = signed.claims().kind();
    if let Some(keys) = keys.filter(|keys| keys.has_any_for(kind)) {
        return Ok((signed.verify(keys)?, Trust::Proved));
    }
    let message = "the signature of the licence was not checked: no keys for its format were given".to_owned();
    report.warn(EvidenceStatus::Ok, codes::LICENCE_UNVERIFIED, message);
    Ok((signed.claims().clone(), Trust::Claimed))
}

fn judge_dates(licence: &Licence, now: Timestamp, report: &mut EvidenceReport) {
    if let Err(error) = licence.check_in_force(now) {
        refuse(&error, report);
    }
    if let Some(until) = licence.maintenance_until().filter(|until| *until <= now) {
        let message = format!("the maintenance of the licence ended at {}", iso_time::format(until));
        report.warn(EvidenceStatus::Ok, codes::LICENCE_MAINTENANCE_OVER, message);
    }
}

/// Holds the licence against the revocation list; a list that does not count is an error like a revoked licence.
fn judge_revocation(
    licence: &Licence,
    check: RevocationCheck<'_>,
    now: Timestamp,
    report: &mut EvidenceReport,
) -> Option<(RevocationList, Provenance)> {
    let (list, provenance) = match check.read() {
        Ok(read) => read,
        Err(error) => {
            distrust(&error, report);
            return None;
        }
    };
    if let Err(error) = licence.check_not_revoked(&list) {
        refuse(&error, report);
    }
    for remark in list.remarks(provenance, now) {
        report.warn(EvidenceStatus::Ok, remark.code(), remark.to_string());
    }
    Some((list, provenance))
}

/// Holds licence and list against what the host remembers. Without a place to remember, the report says so.
fn judge_age(licence: &Licence, list: Option<&RevocationList>, memory: Memory<'_>, report: &mut EvidenceReport) {
    let Memory::Installation(root) = memory else { return };
    if !licence_state::is_kept(root) {
        let message =
            format!("{} has no var/flota: nothing tells whether a newer licence was accepted", root.display());
        return report.warn(EvidenceStatus::Ok, codes::STATE_ABSENT, message);
    }
    let state = match licence_state::load(root) {
        Ok(state) => state,
        Err(error) => return report.error(EvidenceStatus::Invalid, error.code(), causes::on_one_line(&error)),
    };
    if let Err(error) = state.check(licence) {
        refuse(&error, report);
    }
    if let Some(Err(error)) = list.map(|list| state.check_revocations(list)) {
        distrust(&error, report);
    }
}

fn refuse(error: &LicenceError, report: &mut EvidenceReport) {
    let status = match error {
        LicenceError::NoKey(_) | LicenceError::NoFingerprintKey(_) => EvidenceStatus::Unverified,
        LicenceError::Expired(_) | LicenceError::NotYetValid(_) => EvidenceStatus::Expired,
        _ => EvidenceStatus::Invalid,
    };
    report.error(status, error.code(), causes::on_one_line(error));
}

fn distrust(error: &RevocationError, report: &mut EvidenceReport) {
    let status = match error {
        RevocationError::NoKey(_) | RevocationError::Unsigned => EvidenceStatus::Unverified,
        _ => EvidenceStatus::Invalid,
    };
    report.error(status, error.code(), causes::on_one_line(error));
}
