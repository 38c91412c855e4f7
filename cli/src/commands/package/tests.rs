//! Packages built and checked by the command, with no controller anywhere.

use std::fs;
use std::path::PathBuf;

use clap::Parser as _;

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
