//! Packages and licences.

use std::fs;

use flota_package::licence::revocation::{SignatureDemand, UnprovedRevocations};
use flota_package::licence::{HmacKeys, LicenceKeys, SignedLicence};
use flota_package::{CheckRequest, Limits, Manifest, check, iso_time, unpack};
use flota_seal::json::Json;

use crate::{Reach, fixed, scratch};

/// Bounds of a check: far below the real ones, so that an input that reaches one is small.
const LIMITS: Limits = Limits { manifest_bytes: 64 << 10, entries: 500, unpacked_bytes: 1 << 20 };

/// A manifest reads the same from its canonical form, and every path it gives out may be opened inside a package.
pub(crate) fn manifest(input: &[u8]) -> Reach {
    let Ok(document) = Json::parse(input) else { return Reach::Refused };
    let Ok(manifest) = Manifest::parse(&document) else { return Reach::Refused };
    let again = Json::parse(&document.canonical()).map(|document| Manifest::parse(&document));
    // By their words, for a number in it may be NaN.
    assert_eq!(format!("{:?}", again.map_err(drop)), format!("{:?}", Ok::<_, ()>(Ok::<_, ()>(&manifest))));
    assert!(manifest.signed_payload().member("signature").is_none());
    assert!(!manifest.version().is_empty());
    for artifact in manifest.artifacts() {
        assert!(artifact.sha256().is_some() || artifact.sha384().is_some());
        if let Ok(path) = artifact.path() {
            assert_stays_inside(path.as_str());
        }
    }
    Reach::Accepted
}

/// A check ends, within its limits, with a report; and what it passes can be unpacked, to exactly what was promised.
pub(crate) fn archive(input: &[u8]) -> Reach {
    let folder = scratch::folder();
    scratch::write(folder.path(), "package", input);
    let (source, key) = (folder.path().join("package"), fixed::key());
    let request = CheckRequest { limits: LIMITS, key: Some(&key), ..CheckRequest::new(&source, fixed::now()) };
    let Ok(report) = check(&request) else { return Reach::Refused };
    let written = report.to_json().canonical();
    assert!(Json::parse(&written).is_ok(), "the report is no document");
    assert_eq!(report.is_ok(), report.exit_code() == 0);
    assert_eq!(report.is_ok(), report.checked_package().is_some());
    if let Some(package) = report.checked_package() {
        let destination = folder.path().join("unpacked");
        unpack(&source, &package, &destination).unwrap_or_else(|error| panic!("a good package: {error}"));
        for artifact in report.manifest().artifacts() {
            let Ok(path) = artifact.path() else { panic!("{} passed", artifact.given_path()) };
            let unpacked = fs::symlink_metadata(destination.join(path.as_str()));
            let unpacked = unpacked.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(unpacked.is_file() && artifact.size().is_none_or(|size| size == unpacked.len()), "{path}");
        }
    }
    Reach::Accepted
}

/// A licence that is proved claims what it claimed before, and a byte that is changed breaks the proof.
pub(crate) fn licence(input: &[u8]) -> Reach {
    let Ok(signed) = SignedLicence::parse(input) else { return Reach::Refused };
    let claims = signed.claims().clone();
    assert!(!claims.id().is_empty());
    if let Ok(licence) = signed.verify(&fixed::licence_keys()) {
        assert_eq!(licence, claims);
        assert!(licence.check_not_older(&licence.standing()).is_ok(), "a licence is not older than itself");
        let _ = licence.check_in_force(fixed::now());
    }
    Reach::Accepted
}

/// Every licence that a list names counts as revoked, however the name is written; a proved list proves itself again.
pub(crate) fn revocation(input: &[u8]) -> Reach {
    let Ok(unproved) = UnprovedRevocations::parse(input) else { return Reach::Refused };
    let list = match unproved.prove(None, SignatureDemand::WithKey) {
        Ok((list, _)) => list,
        Err(error) => panic!("without a key, a list is taken as it is: {error}"),
    };
    let document = Json::parse(input).unwrap_or(Json::Null);
    let body = document.member("payload").filter(|payload| payload.as_object().is_some()).unwrap_or(&document);
    for entry in body.member("revoked").and_then(Json::as_array).unwrap_or_default() {
        let name = entry.as_str().or_else(|| entry.member("license_id")?.as_str());
        assert!(name.is_some_and(|name| list.of(name).is_some()), "{entry:?} is passed over");
    }
    let keys = HmacKeys::parse(fixed::OEM_KEYS, "the corpus").unwrap_or_else(|error| panic!("{error}"));
    let proved = UnprovedRevocations::parse(input).map(|again| again.prove(Some(&keys), SignatureDemand::Always));
    if let Ok(Ok((proved, _))) = proved {
        assert_eq!(proved, list);
    }
    Reach::Accepted
}

/// Keys are read or refused; a refusal never repeats one.
pub(crate) fn licence_keys(input: &[u8]) -> Reach {
    match LicenceKeys::default().with_oem_keys(input, "ORIGIN") {
        Ok(_) => Reach::Accepted,
        Err(_) => Reach::Refused,
    }
}

/// An instant is written so that it reads the same, to the microsecond.
pub(crate) fn iso_time(input: &[u8]) -> Reach {
    let Ok(text) = std::str::from_utf8(input) else { return Reach::Refused };
    let Ok(instant) = iso_time::parse(text) else { return Reach::Refused };
    let written = iso_time::format(instant);
    let again = iso_time::parse(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(again.as_nanosecond(), instant.as_nanosecond().div_euclid(1_000) * 1_000, "{written}");
    Reach::Accepted
}

fn assert_stays_inside(path: &str) {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    assert!(path.split('/').all(is_plain) && !path.contains(['\\', '\0']), "{path:?} leaves the package");
}
