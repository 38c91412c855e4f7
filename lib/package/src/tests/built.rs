//! Packages that this crate builds, checked and unpacked again.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_built_package_of_every_kind_passes_and_unpacks_to_the_same_files() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    for name in ["p.dudzianpkg", "p.tar.gz", "p.tgz", "p.tar.zst", "p.tar"] {
        let archive = root.path().join(name);
        let built = builder().build(&folder, &key(), &archive).unwrap();
        assert_eq!(built.size, fs::metadata(&archive).unwrap().len());
        let report = check_with_key(&archive).unwrap();
        assert!(report.is_ok(), "{name}: {}", report.to_json().pretty());
        assert_eq!(report.signature(), &SignatureVerdict::Valid { key_id: Some("ops-1".to_owned()) });
        assert_eq!(report.manifest(), &built.manifest);

        let out = root.path().join(format!("{name}.out"));
        unpack(&archive, &report.checked_package().unwrap(), &out).unwrap();
        for file in ["payload.bin", "models/poprawka-ż.bin", "models/deep/empty", "run.sh"] {
            assert_eq!(fs::read(out.join(file)).unwrap(), fs::read(folder.join(file)).unwrap(), "{name}: {file}");
        }
        let mode = |file| fs::metadata(out.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("run.sh"), mode("payload.bin"), mode("manifest.json")), (0o755, 0o644, 0o644));
        let unpacked = check_with_key(&out).unwrap();
        assert!(unpacked.is_ok());
        assert_eq!(unpacked.manifest_sha256(), report.manifest_sha256());
    }
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let build = |name: &str| {
        let archive = root.path().join(name);
        builder().build(&folder, &key(), &archive).unwrap();
        fs::read(archive).unwrap()
    };
    let first = build("a.tar.gz");
    let touched = File::options().write(true).open(folder.join("payload.bin")).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(first, build("b.tar.gz"));
}

#[test]
fn a_changed_file_in_an_unpacked_package_is_found() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let archive = root.path().join("p.tar");
    builder().build(&folder, &key(), &archive).unwrap();
    let checked = check_with_key(&archive).unwrap().checked_package().unwrap();
    let out = root.path().join("out");
    unpack(&archive, &checked, &out).unwrap();

    fs::write(out.join("models/poprawka-ż.bin"), b"abd").unwrap();
    fs::remove_file(out.join("run.sh")).unwrap();
    let report = check_with_key(&out).unwrap();
    assert_eq!(codes(&report), [("models/poprawka-ż.bin", "sha384_mismatch"), ("run.sh", "missing")]);
    assert!(unpack(&out, &checked, &root.path().join("copy")).is_err());
}

#[test]
fn a_folder_is_unpacked_by_copying_what_its_manifest_lists() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let archive = root.path().join("p.tar");
    builder().build(&folder, &key(), &archive).unwrap();
    let out = root.path().join("out");
    unpack(&archive, &check_with_key(&archive).unwrap().checked_package().unwrap(), &out).unwrap();
    fs::write(out.join("extra"), b"not listed").unwrap();

    let copy = root.path().join("copy");
    unpack(&out, &check_with_key(&out).unwrap().checked_package().unwrap(), &copy).unwrap();
    assert!(copy.join("models/deep/empty").is_file());
    assert!(!copy.join("extra").exists());
}

#[test]
fn a_folder_with_files_in_it_is_not_unpacked_into() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let archive = root.path().join("p.tar");
    builder().build(&folder, &key(), &archive).unwrap();
    let checked = check_with_key(&archive).unwrap().checked_package().unwrap();
    assert!(matches!(unpack(&archive, &checked, &folder), Err(UnpackError::Destination { .. })));
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    unpack(&archive, &checked, &empty).unwrap();
}

#[test]
fn what_cannot_be_packaged_is_refused_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let output = root.path().join("p.tar.gz");
    let build = |builder: PackageBuilder| builder.build(&folder, &key(), &output);
    let nameless = PackageBuilder::new("pkg", "", "p", "r");
    assert!(matches!(build(nameless), Err(BuildError::Manifest(ManifestError::Missing("version")))));
    let unknown = builder().build(&folder, &key(), &root.path().join("p.zip"));
    assert!(matches!(unknown, Err(BuildError::UnknownKind(_))));
    std::os::unix::fs::symlink("payload.bin", folder.join("link")).unwrap();
    assert!(matches!(build(builder()), Err(BuildError::Forbidden { .. })));
    fs::remove_file(folder.join("link")).unwrap();
    fs::write(folder.join("manifest.json"), b"{}").unwrap();
    assert!(matches!(build(builder()), Err(BuildError::AlreadyPackaged(_))));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn long_names_survive_the_archive() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("source");
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    fs::create_dir_all(folder.join("d".repeat(120))).unwrap();
    fs::write(folder.join(&long), b"x").unwrap();
    let archive = root.path().join("p.tar.zst");
    builder().build(&folder, &key(), &archive).unwrap();
    let report = check_with_key(&archive).unwrap();
    assert_eq!(
        report.to_json().member("audit").unwrap().as_array().unwrap()[0].as_str(),
        Some(format!("{long}: OK").as_str())
    );
}

#[test]
fn a_detached_signature_beside_the_manifest_is_found() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let archive = root.path().join("p.tar");
    let built = builder().build(&folder, &key(), &archive).unwrap();
    let out = root.path().join("out");
    unpack(&archive, &check_with_key(&archive).unwrap().checked_package().unwrap(), &out).unwrap();
    fs::write(out.join("manifest.json"), built.manifest.signed_payload().canonical()).unwrap();
    assert_eq!(check_with_key(&out).unwrap().signature(), &SignatureVerdict::Invalid);

    let signature = built.manifest.embedded_signature().unwrap().clone();
    let wrapped = Json::object([("signature", signature)]).pretty();
    for name in ["manifest.sig", "manifest.json.sig"] {
        fs::write(out.join(name), &wrapped).unwrap();
        let report = check_with_key(&out).unwrap();
        assert!(report.is_ok() && codes(&report).is_empty(), "{}", report.to_json().pretty());
        let copy = root.path().join(format!("{name}.copy"));
        unpack(&out, &report.checked_package().unwrap(), &copy).unwrap();
        assert!(copy.join(name).is_file());
        fs::remove_file(out.join(name)).unwrap();
    }
}

#[test]
fn a_licence_must_be_proved_in_force_and_of_an_allowed_profile() {
    use flota_seal::signature::Algorithm;
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let archive = root.path().join("p.tar");
    builder().allowed_profiles(["pro".to_owned()]).build(&folder, &key(), &archive).unwrap();
    let keys = LicenceKeys::default().with_oem_keys(br#"{"keys": {"oem": "hex:22"}}"#, "test").unwrap();
    let verdict = |profile: &str, secret: &str, now: &str| {
        let text = format!(
            r#"{{"schema":"core.oem.license","schema_version":"1.0","license_id":"L","profile":"{profile}",
            "issued_at":"2026-01-01","expires_at":"2027-01-01"}}"#
        );
        let payload = Json::parse(text.as_bytes()).unwrap();
        let secret = Secret::decode(secret, "test").unwrap();
        let signature = Signature::sign(&payload, &secret, Algorithm::HmacSha384, Some("oem")).to_json();
        let path = root.path().join("license.json");
        fs::write(&path, Json::object([("payload", payload), ("signature", signature)]).pretty()).unwrap();
        let licence = Some(LicenceProof { path: &path, keys: &keys, revocations: None });
        let now = iso_time::parse(now).unwrap();
        let report = check(&CheckRequest { licence, key: Some(&key()), ..CheckRequest::new(&archive, now) }).unwrap();
        assert_eq!(report.is_ok(), report.licence_ok());
        report.licence_ok()
    };
    assert!(verdict("pro", "hex:22", "2026-06-01"));
    assert!(!verdict("basic", "hex:22", "2026-06-01"));
    assert!(!verdict("pro", "hex:33", "2026-06-01"));
    assert!(!verdict("pro", "hex:22", "2027-06-01"));
}

#[test]
fn what_a_package_demands_is_held_against_the_licence() {
    use flota_seal::signature::Algorithm;
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let keys = LicenceKeys::default().with_oem_keys(br#"{"keys": {"oem": "hex:22"}}"#, "test").unwrap();
    let licence = root.path().join("license.json");
    let grant = |more: &str| {
        let text = format!(
            r#"{{"schema":"core.oem.license","schema_version":"1.0","license_id":"L","profile":"pro",
            "issued_at":"2026-01-01","expires_at":"2027-01-01"{more}}}"#
        );
        let payload = Json::parse(text.as_bytes()).unwrap();
        let secret = Secret::decode("hex:22", "test").unwrap();
        let signature = Signature::sign(&payload, &secret, Algorithm::HmacSha384, Some("oem")).to_json();
        fs::write(&licence, Json::object([("payload", payload), ("signature", signature)]).pretty()).unwrap();
    };
    let archive = root.path().join("p.tar");
    let demand = |metadata: &str| {
        let metadata = Json::parse(metadata.as_bytes()).unwrap();
        builder().metadata(metadata).build(&folder, &key(), &archive).unwrap();
        let proof = Some(LicenceProof { path: &licence, keys: &keys, revocations: None });
        let request = CheckRequest { licence: proof, key: Some(&key()), ..CheckRequest::new(&archive, now()) };
        let report = check(&request).unwrap();
        assert_eq!((report.is_ok(), report.licence_ok()), (report.errors().is_empty(), report.errors().is_empty()));
        report.errors().to_vec()
    };
    let everything = r#"{"required_modules":["futures","grid"],"min_edition":"pro","fingerprint":"HOST-A"}"#;
    grant(r#","modules":["grid","futures","more"],"edition":"enterprise","fingerprint":"HOST-A""#);
    assert_eq!(demand(everything), [""; 0]);
    grant(r#","modules":["grid"],"edition":"community","fingerprint":"HOST-B""#);
    assert_eq!(
        demand(everything),
        [
            "the licence does not unlock the modules that it requires: futures",
            "the licence's edition (community) is not known to be pro or more",
            "it is meant for the host HOST-A, the licence is for the host HOST-B",
        ]
    );
    grant("");
    assert_eq!(demand(everything).len(), 3);
    assert_eq!(demand(r#"{"notes":"nothing is demanded"}"#), [""; 0]);
}

#[test]
fn a_demand_that_cannot_be_read_is_no_manifest() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    for metadata in [r#"{"required_modules":"grid"}"#, r#"{"min_edition":3}"#, r#"{"fingerprint":["F"]}"#] {
        let built = builder().metadata(Json::parse(metadata.as_bytes()).unwrap()).build(
            &folder,
            &key(),
            &root.path().join("p.tar"),
        );
        assert!(matches!(built, Err(BuildError::Manifest(ManifestError::WrongType { .. }))), "{metadata}");
    }
}

#[test]
fn each_layout_has_exactly_the_fields_of_the_manual() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("source");
    fs::create_dir_all(folder.join("models")).unwrap();
    fs::write(folder.join("models/a.bin"), b"abc").unwrap();
    let time: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                  8086072ba1e7cc2358baeca134c825a7";
    let cases = [
        (
            Layout::Update,
            PackageBuilder::new("pkg-1", "1.2.3", "linux-x86_64", "python3.11"),
            format!(
                r#"{{"artifacts":[{{"path":"models/a.bin","sha256":"{sha256}","sha384":"{sha384}","size":3,"type":"full"}}],"id":"pkg-1","platform":"linux-x86_64","runtime":"python3.11","version":"1.2.3"}}"#
            ),
        ),
        (
            Layout::Release,
            PackageBuilder::release("1.2.3", time),
            format!(
                r#"{{"artifacts":[{{"path":"models/a.bin","sha384":"{sha384}","size":3}}],"generated_at":"2026-01-02T03:04:05+00:00","version":"1.2.3"}}"#
            ),
        ),
        (
            Layout::Dudzianpkg,
            PackageBuilder::dudzianpkg("models", "1.2.3", "HOST-A", time),
            format!(
                r#"{{"artifacts":[{{"path":"models/a.bin","sha256":"{sha256}","size":3}}],"created_at":"2026-01-02T03:04:05+00:00","fingerprint":"HOST-A","package_id":"models","version":"1.2.3"}}"#
            ),
        ),
    ];
    for (layout, builder, expected) in cases {
        let archive = root.path().join(format!("{layout:?}.dudzianpkg"));
        let built = builder.key_id("ops-1").build(&folder, &key(), &archive).unwrap();
        assert_eq!(built.manifest.layout(), layout);
        assert_eq!(String::from_utf8(built.manifest.signed_payload().canonical()).unwrap(), expected);
        assert_eq!(built.manifest.embedded_signature().is_some(), layout == Layout::Update);
        let report = check(&CheckRequest {
            key: Some(&key()),
            strictness: Strictness::Strict,
            ..CheckRequest::new(&archive, now())
        })
        .unwrap();
        assert!(report.is_ok() && codes(&report).is_empty(), "{layout:?}: {}", report.to_json().pretty());
        assert_eq!(report.signature(), &SignatureVerdict::Valid { key_id: Some("ops-1".to_owned()) });
        let out = root.path().join(format!("{layout:?}"));
        unpack(&archive, &report.checked_package().unwrap(), &out).unwrap();
        assert_eq!(out.join("manifest.sig").is_file(), layout != Layout::Update);
        assert!(check_with_key(&out).unwrap().is_ok());
    }
}

#[test]
fn an_update_has_no_field_that_the_bots_own_package_has_not() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/update/files/01_good/manifest.json");
    let golden = Json::parse(&fs::read(golden).unwrap()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let folder = sample_folder(root.path());
    let metadata = golden.member("metadata").unwrap().clone();
    let built = builder().metadata(metadata).build(&folder, &key(), &root.path().join("p.tar")).unwrap();
    let names = |object: &Json| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let first = |document: &Json| document.member("artifacts").unwrap().as_array().unwrap()[0].clone();
    let document = built.manifest.document();
    assert_eq!(names(document), names(&golden));
    assert_eq!(names(&first(document)), names(&first(&golden)));
    assert_eq!(names(document.member("signature").unwrap()), names(golden.member("signature").unwrap()));
}
