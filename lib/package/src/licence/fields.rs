//! The payloads of both formats, field by field.

use flota_seal::json::Json;
use jiff::Timestamp;

use super::{Licence, LicenceError, LicenceKind};
use crate::iso_time;

/// The schema of `license.json` that is understood.
const OEM_SCHEMA: (&str, &str) = ("core.oem.license", "1.0");

/// The fields of a payload. `null` counts as absent.
pub(super) struct Fields<'a>(pub(super) &'a Json);

impl Licence {
    pub(super) fn from_oem(fields: &Fields<'_>) -> Result<Self, LicenceError> {
        let is = |field, expected| fields.text(field).map(|text| text == Some(expected));
        if !is("schema", OEM_SCHEMA.0)? {
            return Err(LicenceError::Field { field: "schema", problem: "is not core.oem.license" });
        }
        if !is("schema_version", OEM_SCHEMA.1)? {
            return Err(LicenceError::Field { field: "schema_version", problem: "is not 1.0" });
        }
        Ok(Self {
            kind: LicenceKind::Oem,
            id: fields.required("license_id")?,
            profile: fields.owned("profile")?,
            fingerprint: match fields.get("fingerprint") {
                Some(object @ Json::Object(_)) => Fields(object).owned("value")?,
                _ => fields.owned("fingerprint")?,
            },
            issued_at: Some(fields.instant("issued_at")?.ok_or(absent("issued_at"))?),
            expires_at: fields.instant("expires_at")?,
            maintenance_until: None,
            sequence: fields.sequence()?,
            modules: Vec::new(),
            environments: Vec::new(),
        })
    }

    pub(super) fn from_offline(fields: &Fields<'_>) -> Result<Self, LicenceError> {
        let trial_end = match fields.get("trial") {
            Some(trial @ Json::Object(_)) => Fields(trial).instant("expires_at")?,
            _ => None,
        };
        Ok(Self {
            kind: LicenceKind::Offline,
            id: fields.required("license_id")?,
            profile: fields.owned("edition")?,
            fingerprint: fields.owned("hwid")?,
            issued_at: fields.instant("issued_at")?,
            expires_at: [fields.instant("expires_at")?, trial_end].into_iter().flatten().min(),
            maintenance_until: fields.instant("maintenance_until")?,
            sequence: fields.sequence()?,
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
            Some(_) => Err(LicenceError::Field { field, problem: "is not a string" }),
        }
    }

    fn owned(&self, field: &'static str) -> Result<Option<String>, LicenceError> {
        Ok(self.text(field)?.map(str::to_owned))
    }

    fn required(&self, field: &'static str) -> Result<String, LicenceError> {
        self.owned(field)?.ok_or(absent(field))
    }

    fn instant(&self, field: &'static str) -> Result<Option<Timestamp>, LicenceError> {
        let parse = |text| iso_time::parse(text).map_err(|_| LicenceError::Field { field, problem: "is not a date" });
        self.text(field)?.map(parse).transpose()
    }

    fn sequence(&self) -> Result<Option<u64>, LicenceError> {
        let problem = LicenceError::Field { field: "sequence", problem: "is not a whole number" };
        self.get("sequence").map(|value| value.as_u64().ok_or(problem)).transpose()
    }

    /// A list of names; an object counts as the names whose value is `true`.
    fn texts(&self, field: &'static str) -> Result<Vec<String>, LicenceError> {
        let wrong = || LicenceError::Field { field, problem: "is not a list of names" };
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
    LicenceError::Field { field, problem: "is absent" }
}
