//! Whether a licence allows a package: who may install it, with what, and on which host (manual §2 and §3).

use jiff::Timestamp;

use super::judge::Findings;
use super::licence::revocation::RevocationCheck;
use super::licence::{self, Licence, LicenceError};
use super::manifest::Manifest;
use super::{CheckRequest, causes};

/// Editions from the least to the most; those on one line are the same one under two names. The format fixes no order, so a name
/// that is not here is only ever equal to itself.
const EDITIONS: [&[&str]; 5] =
    [&["trial"], &["community"], &["basic", "standard"], &["commercial", "pro", "professional"], &["enterprise"]];

/// Says whether the licence allows the package; without a licence there is nothing to say against it.
pub(super) fn judge_licence(request: &CheckRequest<'_>, manifest: &Manifest, findings: &mut Findings) -> bool {
    let Some(proof) = request.licence else {
        findings.warn("no licence was given: the licence was not checked");
        return true;
    };
    let licence = match licence::load_valid(proof.path, proof.keys, request.now) {
        Ok(licence) => licence,
        Err(error) => {
            findings.fail(&refused(&error));
            return false;
        }
    };
    let revoked = proof.revocations.and_then(|check| objection_of_list(&licence, check, request.now, findings));
    let objections: Vec<_> = revoked.into_iter().chain(objections(&licence, manifest)).collect();
    for objection in &objections {
        findings.fail(objection);
    }
    objections.is_empty()
}

/// Why the licence does not stand before the revocation list. A list that does not count is a reason too: nothing can be
/// accepted against it.
fn objection_of_list(
    licence: &Licence,
    check: RevocationCheck<'_>,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<String> {
    let (list, provenance) = match check.read() {
        Ok(read) => read,
        Err(error) => {
            return Some(format!("whether the licence was revoked cannot be told: {}", causes::on_one_line(&error)));
        }
    };
    for remark in list.remarks(provenance, now) {
        findings.warn(&remark.to_string());
    }
    licence.check_not_revoked(&list).err().map(|error| refused(&error))
}

fn refused(error: &LicenceError) -> String {
    format!("the licence does not allow the package: {}", causes::on_one_line(error))
}

/// All that the package demands and the licence does not give.
fn objections(licence: &Licence, manifest: &Manifest) -> Vec<String> {
    let mut objections = Vec::new();
    let allowed = manifest.allowed_profiles();
    if !allowed.is_empty() && !licence.profile().is_some_and(|profile| allowed.iter().any(|name| name == profile)) {
        let profile = licence.profile().unwrap_or("none");
        let allowed = allowed.join(", ");
        objections.push(format!("the licence's profile ({profile}) is not one that may install it: {allowed}"));
    }
    let unlocked = |module: &&String| !licence.modules().contains(module);
    let missing: Vec<&str> = manifest.required_modules().iter().filter(unlocked).map(String::as_str).collect();
    if !missing.is_empty() {
        objections.push(format!("the licence does not unlock the modules that it requires: {}", missing.join(", ")));
    }
    if let Some(wanted) = manifest.min_edition()
        && !licence.edition().is_some_and(|edition| is_at_least(edition, wanted))
    {
        let edition = licence.edition().unwrap_or("none");
        objections.push(format!("the licence's edition ({edition}) is not known to be {wanted} or more"));
    }
    if let Some(host) = manifest.fingerprint()
        && licence.fingerprint() != Some(host)
    {
        let bound = licence.fingerprint().unwrap_or("none");
        objections.push(format!("it is meant for the host {host}, the licence is for the host {bound}"));
    }
    objections
}

fn is_at_least(edition: &str, wanted: &str) -> bool {
    let rank =
        |name: &str| EDITIONS.iter().position(|names| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
    match (rank(edition), rank(wanted)) {
        (Some(edition), Some(wanted)) => edition >= wanted,
        _ => edition.eq_ignore_ascii_case(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_are_ordered_as_far_as_their_names_are_known() {
        assert!(is_at_least("Enterprise", "pro") && is_at_least("pro", "commercial") && is_at_least("gold", "Gold"));
        assert!(!is_at_least("community", "pro") && !is_at_least("gold", "pro") && !is_at_least("enterprise", "gold"));
    }
}
