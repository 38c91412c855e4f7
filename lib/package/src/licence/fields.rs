//! The payloads of both formats, field by field.

use flota_seal::json::Json;
use flota_seal::signature::Signature;
use jiff::Timestamp;

use super::{Licence, LicenceError, LicenceKind, SignedFingerprint, Term};
use crate::iso_time;

/// The schema of `license.json` that is understood.
const OEM_SCHEMA: (&str, &str) = ("core.oem.license", "1.0");

/// The fields of a payload. `null` counts as absent.
pub(super) struct Fields<'a>(pub(super) &'a Json);

impl Licence {
    pub(super) fn from_oem(fields: &Fields<'_>) -> Result<Self, LicenceError> {
        let is = |field, expected| fields.text(field).map(|text| text == Some(expected));
        if !is("schema", OEM_SCHEMA.0)? {
            return Err(wrong("schema", "is not core.oem.license"));
        }
        if !is("schema_version", OEM_SCHEMA.1)? {
            return Err(wrong("schema_version", "is not 1.0"));
        }
        let claimed = fields.fingerprint()?;
        let bound = fields.fingerprint_payload()?.map(|payload| Fields(payload).fingerprint()).transpose()?;
        let fingerprint = match (claimed, bound) {
            (claimed, None) => claimed,
            (_, Some(None)) => return Err(wrong("fingerprint_payload", "names no fingerprint")),
            (Some(claimed), Some(Some(bound))) if claimed != bound => return Err(LicenceError::FingerprintsDiffer),
            (_, Some(bound)) => bound,
        };
        Ok(Self {
            kind: LicenceKind::Oem,
            id: fields.required("license_id")?,
            issuer: fields.owned("issuer")?,
            profile: fields.owned("profile")?,
            edition: fields.owned("edition")?,
            fingerprint,
            issued_at: Some(fields.instant("issued_at")?.ok_or(absent("issued_at"))?),
            expires_at: fields.instant("expires_at")?,
            maintenance_until: fields.instant("maintenance_until")?,
            sequence: fields.sequence()?,
            term: Term::Full,
            modules: fields.texts("modules")?,
            environments: fields.texts("environments")?,
        })
    }

    pub(super) fn from_offline(fields: &Fields<'_>) -> Result<Self, LicenceError> {
        let (term, trial_end) = fields.trial()?;
        Ok(Self {
            kind: LicenceKind::Offline,
            id: fields.required("license_id")?,
            issuer: fields.owned("issuer")?,
            profile: fields.owned("edition")?,
            edition: fields.owned("edition")?,
            fingerprint: fields.owned("hwid")?,
            issued_at: fields.instant("issued_at")?,
            expires_at: [fields.instant("expires_at")?, trial_end].into_iter().flatten().min(),
            maintenance_until: fields.instant("maintenance_until")?,
            sequence: fields.sequence()?,
            term,
            modules: fields.texts("modules")?,
            environments: fields.texts("environments")?,
        })
    }
}

impl<'a> Fields<'a> {
    fn get(&self, field: &str) -> Option<&'a Json> {
        self.0.member(field).filter(|value| !matches!(value, Json::Null))
    }

    fn text(&self, field: &'static str) -> Result<Option<&'a str>, LicenceError> {
        match self.get(field) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(_) => Err(wrong(field, "is not a string")),
        }
    }

    fn owned(&self, field: &'static str) -> Result<Option<String>, LicenceError> {
        Ok(self.text(field)?.map(str::to_owned))
    }

    fn required(&self, field: &'static str) -> Result<String, LicenceError> {
        self.owned(field)?.ok_or(absent(field))
    }

    fn instant(&self, field: &'static str) -> Result<Option<Timestamp>, LicenceError> {
        let parse = |text| iso_time::parse(text).map_err(|_| wrong(field, "is not a date"));
        self.text(field)?.map(parse).transpose()
    }

    /// `fingerprint`: the text, or an object with the text as its `value`.
    fn fingerprint(&self) -> Result<Option<String>, LicenceError> {
        match self.get("fingerprint") {
            Some(object @ Json::Object(_)) => {
                Fields(object).owned("value")?.ok_or(wrong("fingerprint", "has no value")).map(Some)
            }
            _ => self.owned("fingerprint"),
        }
    }

    fn fingerprint_payload(&self) -> Result<Option<&'a Json>, LicenceError> {
        match self.get("fingerprint_payload") {
            Some(payload) if payload.as_object().is_none() => Err(wrong("fingerprint_payload", "is not an object")),
            payload => Ok(payload),
        }
    }

    /// The signature that binds the fingerprint on its own, and what it covers.
    pub(super) fn signed_fingerprint(&self) -> Result<Option<SignedFingerprint>, LicenceError> {
        let Some(signature) = self.get("fingerprint_signature") else { return Ok(None) };
        let absent = wrong("fingerprint_signature", "stands without `fingerprint_payload`");
        let payload = self.fingerprint_payload()?.ok_or(absent)?.clone();
        let signature = Signature::from_json(signature).map_err(LicenceError::FingerprintSignature)?;
        Ok(Some(SignedFingerprint { signature, payload }))
    }

    /// `trial`: a truth value, or `{enabled, expires_at}` where `enabled` is true unless it says otherwise.
    fn trial(&self) -> Result<(Term, Option<Timestamp>), LicenceError> {
        match self.get("trial") {
            None | Some(Json::Bool(false)) => Ok((Term::Full, None)),
            Some(Json::Bool(true)) => Ok((Term::Trial, None)),
            Some(trial @ Json::Object(_)) => {
                let trial = Fields(trial);
                match trial.get("enabled") {
                    Some(Json::Bool(false)) => Ok((Term::Full, None)),
                    None | Some(Json::Bool(true)) => Ok((Term::Trial, trial.instant("expires_at")?)),
                    Some(_) => Err(wrong("trial", "has an `enabled` that is neither true nor false")),
                }
            }
            Some(_) => Err(wrong("trial", "is neither a truth value nor an object")),
        }
    }

    fn sequence(&self) -> Result<Option<u64>, LicenceError> {
        let problem = wrong("sequence", "is not a whole number");
        self.get("sequence").map(|value| value.as_u64().ok_or(problem)).transpose()
    }

    /// A list of names; an object counts as the names whose value is `true`.
    fn texts(&self, field: &'static str) -> Result<Vec<String>, LicenceError> {
        let wrong = || wrong(field, "is not a list of names");
        match self.get(field) {
            None => Ok(Vec::new()),
            Some(Json::Array(list)) => {
                list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(Json::Object(members)) => {
                Ok(members.iter().filter(|(_, on)| on.as_bool() == Some(true)).map(|(name, _)| name.clone()).collect())
            }
            Some(_) => Err(wrong()),
        }
    }
}

fn absent(field: &'static str) -> LicenceError {
    wrong(field, "is absent")
}

fn wrong(field: &'static str, problem: &'static str) -> LicenceError {
    LicenceError::Field { field, problem }
}
