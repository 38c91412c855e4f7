//! Packages built and checked by the command, with no controller anywhere.

use std::fs;
use std::path::PathBuf;

use clap::Parser as _;
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use flota_seal::signature::{Algorithm, Signature};

use crate::args::Cli;
use crate::client::Route;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::output::{Format, Out, Talk};
use crate::testing::PLAIN;
use crate::testing::controller::Printed;

struct Ground {
    root: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let ground = Self { root };
        fs::create_dir(ground.path("files")).unwrap();
        fs::write(ground.path("files/model.bin"), b"weights").unwrap();
        fs::write(ground.path("key"), "hex:1122334455667788").unwrap();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs `flota package` with these words; one that starts with `@` is a path on this ground.
    async fn run(&self, words: &[&str], format: Format) -> (Exit, String) {
        let words = words.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => (*word).into(),
        });
        let cli = Cli::try_parse_from(["flota".into(), "package".into()].into_iter().chain(words)).unwrap();
        let (data, talk) = (Printed::default(), Printed::default());
        let out = Out::new(Box::new(data.clone()), Box::new(talk), [PLAIN, PLAIN], format, Talk::Normal);
        let invocation = Invocation::for_test(out, Route::Plain("http://127.0.0.1:1".to_owned()), None);
        let ended = crate::commands::run(&invocation, cli.command).await;
        (ended.unwrap_or_else(|failure| failure.exit()), data.text())
    }
}

const UPDATE: [&str; 13] = [
    "build",
    "@files",
    "--id",
    "bot",
    "--version",
    "1.0",
    "--platform",
    "linux",
    "--runtime",
    "python",
    "--key",
    "@key",
    "--file",
];

fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

#[tokio::test]
async fn what_is_built_is_found_good_and_what_is_changed_is_not() {
    let ground = Ground::new();
    let (exit, text) = ground.run(&with(&UPDATE, &["@p.tar.gz"]), Format::Json).await;
    assert_eq!(exit, Exit::Good);
    let built: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&built["kind"], &built["version"]), (&"BuiltPackage".into(), &"1.0".into()));
    assert_eq!(ground.run(&with(&UPDATE, &["@p.tar.gz"]), Format::Table).await.0, Exit::Conflict);
    assert_eq!(ground.run(&with(&UPDATE, &["@p.tar.gz", "--force"]), Format::Table).await.0, Exit::Good);

    let check = ["check", "@p.tar.gz", "--strict", "--key", "@key"];
    let (exit, text) = ground.run(&check, Format::Table).await;
    assert_eq!(exit, Exit::Good, "{text}");
    assert!(text.contains("bot 1.0 linux: good, 1 file"), "{text}");
    let (_, text) = ground.run(&check, Format::Json).await;
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["kind"], &report["status"]), (&"PackageCheck".into(), &"ok".into()));

    fs::write(ground.path("other"), "hex:99").unwrap();
    let (exit, text) = ground.run(&["check", "@p.tar.gz", "--key", "@other"], Format::Table).await;
    assert_eq!(exit, Exit::Bad);
    assert!(text.contains("not to be installed"), "{text}");
    assert_eq!(ground.run(&["check", "@files"], Format::Table).await.0, Exit::Usage);
    assert_eq!(ground.run(&["check", "@nowhere"], Format::Table).await.0, Exit::Usage);
}

#[tokio::test]
async fn each_layout_asks_for_what_it_needs() {
    let ground = Ground::new();
    let base =
        ["build", "@files", "--version", "1.0", "--key", "@key", "--created-at", "2026-01-02T03:04:05Z", "--file"];
    let release = with(&base, &["@r.tar", "--layout", "release"]);
    assert_eq!(ground.run(&release, Format::Table).await.0, Exit::Good);
    let dudzian = with(&base, &["@d.dudzianpkg", "--layout", "dudzianpkg", "--id", "models"]);
    assert_eq!(ground.run(&dudzian, Format::Table).await.0, Exit::Usage, "no fingerprint");
    assert_eq!(ground.run(&with(&dudzian, &["--fingerprint", "F1"]), Format::Table).await.0, Exit::Good);
    assert_eq!(ground.run(&with(&base, &["@u.tar"]), Format::Table).await.0, Exit::Usage, "an update needs an id");
    for package in ["@r.tar", "@d.dudzianpkg"] {
        let (exit, text) = ground.run(&["check", package, "--strict", "--key", "@key"], Format::Table).await;
        assert_eq!(exit, Exit::Good, "{text}");
    }
}

#[tokio::test]
async fn a_key_is_a_file_and_never_a_word_of_the_command() {
    let ground = Ground::new();
    assert_eq!(ground.run(&["check", "@files", "--key", "hex:1122"], Format::Table).await.0, Exit::Usage);
}

/// A payload and its signature, as licences and revocation lists have them.
fn signed(payload: &str, key: &str) -> String {
    let (payload, key) = (Json::parse(payload.as_bytes()).unwrap(), Secret::decode(key, "test").unwrap());
    let signature = Signature::sign(&payload, &key, Algorithm::HmacSha384, Some("oem")).to_json();
    Json::object([("payload", payload), ("signature", signature)]).pretty()
}

#[tokio::test]
async fn a_revoked_licence_is_told_with_its_reason_and_a_list_must_be_proved() {
    let ground = Ground::new();
    ground.run(&with(&UPDATE, &["@p.tar"]), Format::Table).await;
    let licence = r#"{"schema":"core.oem.license","schema_version":"1.0","license_id":"L-1","issued_at":"2026-01-01"}"#;
    let list =
        |id: &str| format!(r#"{{"generated_at":"2026-07-20","revoked":[{{"license_id":"{id}","reason":"stolen"}}]}}"#);
    for (name, text) in [
        ("license.json", signed(licence, "hex:01")),
        ("keys.json", r#"{"keys": {"oem": "hex:01"}}"#.to_owned()),
        ("issuer", "hex:02".to_owned()),
        ("revoked.json", signed(&list("L-1"), "hex:02")),
        ("other.json", signed(&list("L-2"), "hex:02")),
        ("unsigned.json", list("L-2")),
    ] {
        fs::write(ground.path(name), text).unwrap();
    }
    let check = ["check", "@p.tar", "--key", "@key", "--license-path", "@license.json", "--license-keys", "@keys.json"];
    let key = ["--revocation-key", "@issuer"];
    let against = |list, more: &[&'static str]| with(&with(&check, &["--revocation-list", list]), more);

    let (exit, text) = ground.run(&against("@revoked.json", &key), Format::Table).await;
    assert_eq!(exit, Exit::Bad);
    assert!(text.contains("the licence L-1 was revoked: stolen"), "{text}");
    let (exit, text) = ground.run(&against("@other.json", &key), Format::Table).await;
    assert_eq!(exit, Exit::Good, "{text}");
    for unproved in [against("@unsigned.json", &key), against("@unsigned.json", &["--require-signed-revocations"])] {
        let (exit, text) = ground.run(&unproved, Format::Table).await;
        assert_eq!(exit, Exit::Bad);
        assert!(text.contains("the revocation list is not signed"), "{text}");
    }
    let (exit, text) = ground.run(&against("@unsigned.json", &[]), Format::Table).await;
    assert_eq!(exit, Exit::Good);
    assert!(text.contains("the signature of the revocation list was not checked"), "{text}");
    let in_arguments = against("@other.json", &["--revocation-key", "hex:02"]);
    assert_eq!(ground.run(&in_arguments, Format::Table).await.0, Exit::Usage);
}
