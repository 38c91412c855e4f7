//! The reference implementation of TUF, python-tuf, on folders that were signed here: an independent client must accept
//! what hosts accept, and refuse what they refuse. `cargo xtask setup` installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use flota_release::{Addition, Lifetimes, Role};

use super::ground::{Ground, day};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/release/ngclient.py");

/// Where `cargo xtask setup` put it: in the target folder, of which this program is in a subfolder.
fn python() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let found = program.ancestors().map(|folder| folder.join("python/bin/python")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("python-tuf is not installed: run `cargo xtask setup`"))
}

/// What the client prints, and whether it believed the folder.
fn client(ground: &Ground, desk: &Path, state: &Path) -> (bool, String) {
    let mut command = Command::new(python());
    command.arg(SCRIPT).arg(ground.first_root()).arg(desk.join("metadata")).arg(desk.join("targets")).arg(state);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn python_tuf_accepts_what_is_signed_here_and_follows_its_roots() {
    let ground = Ground::with_two_targets_keys();
    let (folder, state) = (ground.desk_folder(), tempfile::tempdir().unwrap());
    let first = ground.release("1.0", &Addition::default());
    let expected = format!("bot-1.0.tar {} {} 1.0", first.digest, first.size);
    assert_eq!(client(&ground, &folder, state.path()), (true, expected.clone()));
    ground.replace_keys(&[Role::Root, Role::Snapshot]);
    let second = ground.release("1.1", &Addition { security_floor: Some("1.0".into()), ..Addition::default() });
    let expected = format!("{expected}\nbot-1.1.tar {} {} 1.1", second.digest, second.size);
    assert_eq!(client(&ground, &folder, state.path()), (true, expected));
}

#[test]
fn python_tuf_refuses_what_was_tampered_with() {
    let ground = Ground::new();
    let entry = ground.release("1.0", &Addition::default());
    let folder = ground.desk_folder();
    let list = folder.join("metadata/2.targets.json");
    let package = folder.join("targets").join(format!("{}.{}", entry.digest, entry.name));
    for (path, error) in [
        (&list, "BadVersionNumberError RepositoryError LengthOrHashMismatchError"),
        (&package, "LengthOrHashMismatchError"),
    ] {
        let whole = std::fs::read(path).unwrap();
        let mut altered = whole.clone();
        let last_digit = altered.iter().rposition(u8::is_ascii_digit).unwrap();
        altered[last_digit] ^= 1;
        std::fs::write(path, altered).unwrap();
        let state = tempfile::tempdir().unwrap();
        let (believed, found) = client(&ground, &folder, state.path());
        let refusal = found.lines().last().unwrap_or_default();
        assert!(!believed && error.contains(refusal), "{}: {found}", path.display());
        std::fs::write(path, whole).unwrap();
    }
    let state = tempfile::tempdir().unwrap();
    assert!(client(&ground, &folder, state.path()).0, "and whole again it is believed");
    // Somebody else's folder, under our root.
    let theirs = Ground::new();
    theirs.release("6.6.6", &Addition::default());
    let state = tempfile::tempdir().unwrap();
    let (believed, found) = client(&ground, &theirs.desk_folder(), state.path());
    assert!(!believed && found == "UnsignedMetadataError", "{found}");
}

#[test]
fn python_tuf_refuses_what_expired() {
    let lifetimes = Lifetimes { timestamp_days: 1, ..Lifetimes::default() };
    let ground = Ground::founded(lifetimes, day(-3));
    let state = tempfile::tempdir().unwrap();
    let (believed, found) = client(&ground, &ground.desk_folder(), state.path());
    assert!(!believed && found == "ExpiredMetadataError", "{found}");
}
