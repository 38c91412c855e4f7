//! What is known of a host's standing, in words that several screens share.

use flota_model::Timestamp;
use flota_proto::v1::Host;

use crate::output::signs::Sign;
use crate::output::text::{clean, words};
use crate::output::{Style, time};

/// The sign of its trust.
pub(crate) fn trust_sign(host: &Host) -> Sign {
    match host.trust.as_str() {
        "trusted" | "unattested" => Sign::Ok,
        "untrusted" | "drifted" | "quarantined" => Sign::Failed,
        "pending" => Sign::Waiting,
        "retired" => Sign::Skipped,
        _ => Sign::Warning,
    }
}

/// How long its lease lasts, in one unit; none if it may not be given new work for want of one.
pub(crate) fn lease_left(host: &Host, now: Timestamp) -> Option<String> {
    let until = time::parse(&host.lease_until).filter(|until| *until > now)?;
    Some(time::span(until.since(now)))
}

/// For columns: `9m`, or `none`.
pub(crate) fn lease(host: &Host, now: Timestamp) -> String {
    lease_left(host, now).unwrap_or_else(|| "none".to_owned())
}

/// For sentences: `lease 9m left`.
pub(crate) fn lease_words(host: &Host, now: Timestamp) -> String {
    match (lease_left(host, now), host.trust.as_str()) {
        (Some(left), _) => format!("lease {left} left"),
        (None, "unattested") => "no lease, and needs none".to_owned(),
        (None, "retired") => String::new(),
        (None, _) => "no lease: no new work".to_owned(),
    }
}

/// Whoever has the file is the host, so this is never left out.
pub(crate) fn has_key_in_file(host: &Host) -> bool {
    host.key_storage == "file"
}

/// Where its key is, for columns.
pub(crate) fn key(host: &Host) -> (Option<Sign>, String) {
    match host.key_storage.as_str() {
        "tpm" => (None, "TPM".to_owned()),
        "file" => (Some(Sign::Warning), "in a file".to_owned()),
        other => (None, clean(other)),
    }
}

/// A whole digest, for comparing.
pub(crate) fn fingerprint(digest: &str, style: Style) -> String {
    if digest.is_empty() { style.dash().to_owned() } else { format!("sha256 {}", clean(digest)) }
}

/// What its newest quote was held to.
pub(crate) fn policy(host: &Host) -> String {
    match (host.policy.as_str(), host.attested_at.is_empty()) {
        ("", true) => String::new(),
        ("", false) => "first quote".to_owned(),
        (policy, _) => clean(policy),
    }
}

/// Statuses of manual section 3 that are not `ok`, each with what it is of.
pub(crate) fn oem_troubles(host: &Host) -> Vec<String> {
    let statuses = [("OEM evidence", &host.oem_evidence), ("OEM licence", &host.oem_licence)];
    let troubles = statuses.into_iter().filter(|(_, status)| !matches!(status.as_str(), "" | "ok"));
    troubles.map(|(what, status)| format!("{what} {}", words(status))).collect()
}

/// Both statuses, for columns; nothing where neither is checked.
pub(crate) fn oem(host: &Host) -> Option<(Sign, String)> {
    let troubles = oem_troubles(host);
    match (troubles.is_empty(), host.oem_evidence.is_empty() && host.oem_licence.is_empty()) {
        (_, true) => None,
        (true, false) => Some((Sign::Ok, "ok".to_owned())),
        (false, false) => Some((Sign::Warning, troubles.join(", ").replace("OEM ", ""))),
    }
}

/// Both statuses, for sentences.
pub(crate) fn oem_words(host: &Host, style: Style) -> String {
    if host.oem_evidence == "ok" && host.oem_licence == "ok" {
        return style.say(Sign::Ok, "OEM evidence and licence ok");
    }
    let said = |what: &str, status: &str| match status {
        "" => None,
        "ok" => Some(style.say(Sign::Ok, &format!("{what} ok"))),
        other => Some(style.say(Sign::Warning, &format!("{what} {}", words(other)))),
    };
    let both = [said("OEM evidence", &host.oem_evidence), said("OEM licence", &host.oem_licence)];
    both.into_iter().flatten().collect::<Vec<_>>().join(style.dot())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::now;

    #[test]
    fn a_lease_that_is_over_is_none() {
        let with =
            |until: &str, trust: &str| Host { lease_until: until.into(), trust: trust.into(), ..Host::default() };
        assert_eq!(lease(&with("2026-11-23T14:52:10Z", "trusted"), now()), "9m");
        assert_eq!(lease(&with("2026-11-23T14:43:10Z", "trusted"), now()), "none");
        assert_eq!(lease_words(&with("", "stale"), now()), "no lease: no new work");
        assert_eq!(lease_words(&with("", "unattested"), now()), "no lease, and needs none");
    }

    #[test]
    fn only_what_is_checked_is_judged() {
        let host = |evidence: &str, licence: &str| Host {
            oem_evidence: evidence.into(),
            oem_licence: licence.into(),
            ..Host::default()
        };
        assert_eq!(oem(&host("", "")), None);
        assert_eq!(oem(&host("ok", "")), Some((Sign::Ok, "ok".to_owned())));
        assert_eq!(oem(&host("expired", "missing")), Some((Sign::Warning, "evidence expired, licence missing".into())));
    }
}
