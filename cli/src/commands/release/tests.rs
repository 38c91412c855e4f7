//! Releases, from an empty folder to a controller.

use std::path::{Path, PathBuf};

use flota_package::PackageBuilder;
use flota_seal::secret::Secret;

use super::sign::parse_wave;
use crate::commands::tests::run;
use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};

/// A package of 200 kB.
fn package(folder: &Path, version: &str) -> PathBuf {
    let contents = folder.join(format!("contents-{version}"));
    std::fs::create_dir_all(&contents).unwrap();
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(contents.join("bot"), bytes).unwrap();
    let path = folder.join(format!("bot-{version}.tar"));
    let key = Secret::decode("hex:00112233445566778899aabbccddeeff", "a test").unwrap();
    PackageBuilder::new("bot", version, "linux", "python").build(&contents, &key, &path).unwrap();
    path
}

#[tokio::test]
async fn from_an_empty_folder_to_a_controller() {
    let folder = tempfile::tempdir().unwrap();
    let desk = folder.path().join("releases");
    let (desk, package) = (desk.to_str().unwrap(), package(folder.path(), "1.4.0"));
    let controller = Controller::start(Script::default()).await;
    let (ended, data, talk) = run(&controller, &["release", "init", desk], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good, "{}", talk.text());
    assert!(
        data.text().contains("signed   root 1") && talk.text().contains("carry the keys of root"),
        "{}",
        talk.text()
    );
    let (ended, ..) = run(&controller, &["release", "init", desk], Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Conflict);

    let sign = ["release", "sign", desk, package.to_str().unwrap(), "--wave", "1h=10%"];
    let (ended, data, _) = run(&controller, &sign, Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    assert!(
        data.text().contains("release 1.4.0, number 1") && data.text().contains("signed   timestamp 2"),
        "{}",
        data.text()
    );
    let (ended, ..) = run(&controller, &sign, Format::Table).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Conflict, "a version is one package for ever");
    let (ended, data, _) = run(&controller, &["release", "verify", desk], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good, "{}", data.text());
    let (ended, ..) = run(&controller, &["release", "publish", package.to_str().unwrap()], Format::Table).await;
    assert!(ended.unwrap_err().render(crate::testing::PLAIN).unwrap().contains("flota release sign"));

    // An upload that was cut resumes.
    let bytes = std::fs::read(&package).unwrap();
    controller.script.lock().unwrap().blob = bytes[..70_000].to_vec();
    let publish = ["release", "publish", desk];
    let (ended, data, talk) = run(&controller, &publish, Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    assert!(data.text().contains("bot 1.4.0") && data.text().contains("hold until"), "{}", data.text());
    assert!(talk.text().contains("next: flota rollout create"), "{}", talk.text());
    {
        let script = controller.script.lock().unwrap();
        assert!(script.blob == bytes && script.offsets == [70_000]);
    }
    let (_, _, talk) = run(&controller, &publish, Format::Table).await;
    assert!(talk.text().contains("has these bytes already"), "{}", talk.text());
    assert_eq!(controller.script.lock().unwrap().offsets.len(), 1);

    let (ended, ..) = run(&controller, &["release", "withdraw", desk, "1.4.0", "--yes"], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    let (ended, data, _) = run(&controller, &["release", "sign", desk], Format::Json).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    let outcome: serde_json::Value = serde_json::from_str(&data.text()).unwrap();
    assert_eq!(outcome["signed"][0]["role"], "targets", "{outcome:#}");
}

#[tokio::test]
async fn two_holders_sign_and_a_tampered_folder_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (desk, anna, marek) = (path("releases"), path("anna.pem"), path("marek.pem"));
    for key in [&anna, &marek] {
        flota_release::SigningKey::create(Path::new(key)).unwrap();
    }
    let controller = Controller::start(Script::default()).await;
    let init = ["release", "init", &desk, "--targets-key", &anna, "--targets-key", &marek, "--targets-threshold", "2"];
    let (ended, data, _) = run(&controller, &init, Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Decision, "{}", data.text());
    assert!(data.text().contains("waiting  targets 1: 0 of 2 signatures"), "{}", data.text());
    let (ended, data, _) = run(&controller, &["release", "sign", &desk, "--key", &anna], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Decision);
    assert!(data.text().contains("1 of 2 signatures"), "{}", data.text());
    run(&controller, &["release", "sign", &desk, "--key", &marek], Format::Table).await.0.unwrap();
    let (ended, ..) = run(&controller, &["release", "sign", &desk], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good);
    let (ended, ..) = run(&controller, &["release", "verify", &desk], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Good);

    let list = Path::new(&desk).join("metadata/1.targets.json");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    let (ended, data, _) = run(&controller, &["release", "verify", &desk], Format::Table).await;
    assert_eq!(ended.unwrap(), Exit::Bad);
    assert!(data.text().starts_with("NOT believed"), "{}", data.text());
}

#[test]
fn waves_are_read_as_people_write_them() {
    let read = |text: &str| parse_wave(text).map(|wave| (wave.after_seconds, wave.permille));
    assert_eq!(read("4h=25%"), Ok((14_400, 250)));
    assert_eq!(read("30m=0.5%"), Ok((1_800, 5)));
    assert_eq!(read("24h=100%"), Ok((86_400, 1000)));
    for bad in ["", "4h", "4h=25", "4h=0%", "4h=101%", "4h=0.05%", "x=1%", "4h=-1%"] {
        assert!(parse_wave(bad).is_err(), "{bad}");
    }
}
