//! `adopt`: a plain installation becomes a release, and is what it was when that is undone.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A bot as it was copied to its host years ago, and the agent's settings beside it.
fn plain() -> tempfile::TempDir {
    let root = installation();
    for folder in ["lib/deep", "secrets", "models"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for (file, text) in [
        ("bot.py", "print('1.4')"),
        ("lib/deep/venue.py", "VENUES = []"),
        ("models/large.bin", "weights"),
        ("manifest.json", "{\"left\": \"over\"}"),
        ("secrets/key", KEY),
        ("config/bot.yaml", "mode: live"),
    ] {
        fs::write(root.path().join(file), text).unwrap();
    }
    fs::set_permissions(root.path().join("bot.py"), fs::Permissions::from_mode(0o755)).unwrap();
    let settings = format!(
        "root = \"{}\"\n[controller]\nenrollment = \"https://localhost:1\"\nfleet = \"https://localhost:2\"\n\
         ca_file = \"ca.pem\"\n[bot]\nstart = [\"false\"]\nstop = [\"false\"]\nhealth = [\"false\"]\n\
         [export]\nkey_file = \"secrets/key\"\n[package]\nkey_file = \"secrets/key\"\n",
        root.path().display()
    );
    fs::write(root.path().join("config/agent.toml"), settings).unwrap();
    root
}

fn adopt(root: &Path, flags: &[&str]) -> Ran {
    run(root, &[], &[&["adopt", "--config", "config/agent.toml"], flags].concat())
}

/// Every file, link and mode below a folder, but what the agent keeps for itself.
fn tree(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        if name.starts_with("var/flota") || name == "releases" {
            continue;
        }
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        all.insert(name, (metadata.permissions().mode(), bytes));
    }
    all
}

#[test]
fn a_plain_installation_becomes_a_release_and_back() {
    let root = plain();
    let before = tree(root.path());
    let planned = adopt(root.path(), &["--version", "1.4", "--dry-run", "--data", "models"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert_eq!(planned.stdout, "Program    bot.py lib\nData       config logs models secrets var\n");
    assert_eq!(tree(root.path()), before);

    let adopted = adopt(root.path(), &["--version", "1.4", "--data", "models"]);
    assert_eq!(adopted.code, 0, "{}", adopted.stderr);
    assert!(
        adopted.stdout.contains("nothing was moved") && adopted.stdout.contains("adopt --undo"),
        "{}",
        adopted.stdout
    );
    let release = root.path().join("current");
    for file in ["bot.py", "lib/deep/venue.py"] {
        assert_eq!(fs::read(release.join(file)).unwrap(), fs::read(root.path().join(file)).unwrap(), "{file}");
    }
    assert_eq!(fs::metadata(release.join("bot.py")).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(!release.join("models").exists() && !release.join("config").exists());
    // What the agent begins with, and the package is one that can be signed and checked.
    let status = run(root.path(), &[], &["status", "--config", "config/agent.toml"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    let package = root.path().join("var/flota/agent/adopted/bot-1.4.tar.gz").display().to_string();
    let checked = run(root.path(), &[], &["check-update-integrity", &package, "--hmac-key", KEY]);
    assert_eq!(checked.code, 0, "{} {}", checked.stdout, checked.stderr);

    let twice = adopt(root.path(), &["--version", "1.5"]);
    assert!(twice.code == 1 && twice.stderr.contains("nothing to adopt"), "{}", twice.stderr);

    let undone = adopt(root.path(), &["--undo"]);
    assert_eq!(undone.code, 0, "{}", undone.stderr);
    assert_eq!(tree(root.path()), before, "as it was");
    assert_eq!(fs::read_dir(root.path().join("releases")).unwrap().count(), 0);
    let twice = adopt(root.path(), &["--undo"]);
    assert!(twice.code == 1 && twice.stderr.contains("nothing was adopted"), "{}", twice.stderr);
}

#[test]
fn what_cannot_be_adopted_is_named_and_nothing_is_changed() {
    let root = plain();
    symlink("/usr/bin/python3", root.path().join("lib/python")).unwrap();
    let before = tree(root.path());
    let refused = adopt(root.path(), &["--version", "1.4"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("lib/python is neither a file nor a folder"), "{}", refused.stderr);
    assert_eq!(tree(root.path()), before);
    let nothing = adopt(root.path(), &["--version", "1.4", "--data", "lib", "--data", "bot.py", "--data", "models"]);
    assert!(nothing.code == 1 && nothing.stderr.contains("holds no program"), "{}", nothing.stderr);
    fs::write(root.path().join("secrets/key"), "").unwrap();
    fs::remove_file(root.path().join("lib/python")).unwrap();
    let keyless = adopt(root.path(), &["--version", "1.4"]);
    assert_ne!(keyless.code, 0, "{}", keyless.stdout);
    assert!(!root.path().join("current").exists());
}
