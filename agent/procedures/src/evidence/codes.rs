//! The codes of findings that the check itself makes, and what to do about each code that a report can carry.
//!
//! Those that the bot's script has are spelt as it spells them. Codes of licences, revocation lists and the licence state come
//! from the errors of those modules.

pub(super) const SIGNATURE_INVALID: &str = "tpm.signature.invalid";
pub(super) const SIGNATURE_MISSING: &str = "tpm.signature.missing";
pub(super) const SIGNATURE_MISSING_KEY_ID: &str = "tpm.signature.missing_key_id";
pub(super) const KEY_UNKNOWN: &str = "tpm.key.unknown";
pub(super) const KEYRING_INVALID: &str = "tpm.keyring.invalid";
pub(super) const FINGERPRINT_MISMATCH: &str = "tpm.fingerprint.mismatch";
pub(super) const FINGERPRINT_MISSING: &str = "tpm.fingerprint.missing";
pub(super) const EXPIRED: &str = "tpm.attestation.expired";
pub(super) const ATTESTED_IN_FUTURE: &str = "tpm.attestation.future";
pub(super) const EVIDENCE_MISSING: &str = "tpm.evidence.missing";
pub(super) const EVIDENCE_INVALID: &str = "tpm.evidence.invalid";
pub(super) const LICENCE_UNVERIFIED: &str = "license.unverified";
pub(super) const LICENCE_MAINTENANCE_OVER: &str = "license.maintenance.over";
pub(super) const STATE_ABSENT: &str = "license.state.absent";

const ESCALATE_EVIDENCE: &str =
    "do not use this evidence; export it again and, if it stays so, escalate to the security team";
const ESCALATE_LICENCE: &str = "do not use this licence; ask the issuer for it again and tell the security team";
const ISSUER: &str = "ask the issuer for a valid licence";

/// Every code that a report can carry, with its mend.
pub(super) const MENDS: &[(&str, &str)] = &[
    (SIGNATURE_INVALID, ESCALATE_EVIDENCE),
    (SIGNATURE_MISSING, "export signed evidence from the TPM module"),
    (SIGNATURE_MISSING_KEY_ID, "export evidence that names its key, or give a keyring with that key only"),
    (KEY_UNKNOWN, "give the keyring that holds the key of the TPM module"),
    (KEYRING_INVALID, "mend the keyring, or fetch it again"),
    (FINGERPRINT_MISMATCH, "check that evidence and licence are of this host"),
    (FINGERPRINT_MISSING, "export evidence that has a fingerprint"),
    (EXPIRED, "export new evidence"),
    (ATTESTED_IN_FUTURE, "check the clocks of the host and of the TPM module"),
    (EVIDENCE_MISSING, "export the evidence from the TPM module, or escalate to the security team"),
    (EVIDENCE_INVALID, ESCALATE_EVIDENCE),
    ("license.unreadable", "check the path of the licence, and let this user read it"),
    ("license.not_json", ISSUER),
    ("license.format.unknown", ISSUER),
    ("license.field.invalid", ISSUER),
    ("license.signature.malformed", ISSUER),
    ("license.key.unknown", "give the keys of the issuer that signed the licence"),
    ("license.signature.invalid", ESCALATE_LICENCE),
    (
        "license.fingerprint.key_unknown",
        "give the key that the issuer signs fingerprints with, beside the licence keys",
    ),
    ("license.fingerprint.signature_invalid", ESCALATE_LICENCE),
    ("license.fingerprint.mismatch", ESCALATE_LICENCE),
    ("license.not_yet_valid", "check the clock of the host; if it is right, wait or ask the issuer"),
    ("license.expired", "ask the issuer for a new licence"),
    ("license.older", "install the newest licence; if this one is the newest, ask the issuer for one issued later"),
    ("license.revoked", "stop using this licence and ask the issuer for another; tell the security team"),
    (LICENCE_UNVERIFIED, "give the keys of the issuer to have the licence checked"),
    (LICENCE_MAINTENANCE_OVER, "renew the maintenance before the next update"),
    ("license.revocation.unreadable", "check the path of the revocation list, and let this user read it"),
    ("license.revocation.invalid", "fetch the revocation list again"),
    ("license.revocation.unsigned", "fetch the signed revocation list"),
    ("license.revocation.key_unknown", "give the key that the issuer signs revocation lists with"),
    ("license.revocation.signature_invalid", "fetch the revocation list again; if it stays so, tell the security team"),
    ("license.revocation.older", "fetch the newest revocation list"),
    ("license.revocation.unverified", "give the key that the issuer signs revocation lists with"),
    ("license.revocation.stale", "fetch the newest revocation list"),
    ("license.revocation.future", "check the clock of the host"),
    ("license.state.unreadable", "let this user read var/flota/licence-state.json"),
    (
        "license.state.invalid",
        "restore var/flota/licence-state.json from the backup; only the security team may move it away, which lets \
         older licences in again",
    ),
    ("license.state.not_kept", "let this user write to var/flota, and see that the disk is not full"),
    (STATE_ABSENT, "give the root of the installation, or create var/flota in it"),
];

/// What to do about a code.
pub(super) fn mend(code: &str) -> &'static str {
    MENDS.iter().find(|(known, _)| *known == code).map_or(ISSUER, |(_, mend)| mend)
}
