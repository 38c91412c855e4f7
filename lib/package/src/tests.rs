//! The package procedures on real files: the bot's own cases, hostile archives, and packages that this crate builds.

mod built;
mod golden;
mod hostile;
mod revoked;
mod zip;

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

const KEY: &str = "hex:1111111111111111111111111111111111111111111111111111111111111111";

fn key() -> Secret {
    Secret::decode(KEY, "test").unwrap()
}

fn now() -> Timestamp {
    "2026-07-23T12:00:00Z".parse().unwrap()
}

fn builder() -> PackageBuilder {
    PackageBuilder::new("pkg-1", "1.2.3", "linux-x86_64", "python3.11").key_id("ops-1")
}

/// Checks with the key of the tests.
fn check_with_key(source: &Path) -> Result<CheckReport, CannotCheck> {
    check(&CheckRequest { key: Some(&key()), ..CheckRequest::new(source, now()) })
}

/// A folder with a few files, one of them executable, one deep.
fn sample_folder(root: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = root.join("source");
    fs::create_dir_all(folder.join("models/deep")).unwrap();
    fs::write(folder.join("payload.bin"), vec![7; 10_000]).unwrap();
    fs::write(folder.join("models/poprawka-ż.bin"), b"abc").unwrap();
    fs::write(folder.join("models/deep/empty"), b"").unwrap();
    fs::write(folder.join("run.sh"), b"#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

/// The codes of the files that are not good.
fn codes(report: &CheckReport) -> Vec<(&str, &'static str)> {
    let bad = report.artifacts().iter().filter_map(|artifact| Some((artifact.path.as_str(), artifact.code?.as_str())));
    bad.collect()
}
