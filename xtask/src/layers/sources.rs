//! What only the sources tell: who names the wire's types, who reads a clock, who opts out of the lints.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Violation;
use super::workspace::{Member, Workspace};

/// Where generated messages may be named, from the root of the repository.
const WIRE: &[&str] = &[
    "proto/",
    "controller/src/grpc.rs",
    "controller/src/grpc/",
    "controller/src/rollouts/create.rs",
    "agent/src/session.rs",
    "agent/src/session/",
    "agent/src/enrol.rs",
    "agent/src/enrol/",
    "agent/tests/wire/",
    "agent/sim/src/agent/",
    "cli/src/",
    "tests/",
];

/// Ways to name them.
const WIRE_NAMES: &[&str] = &["flota_proto::v1", "flota_proto::{", "flota_proto::*", "flota_proto as "];

/// What a pure crate does not do, outside its tests.
const EFFECTS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
];

/// Longest source file that needs no reason, in lines.
const LONG: usize = 500;

/// Generated messages outside the edges.
pub(super) fn wire_types(root: &Path, workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    // We name them here, to find them.
    for member in workspace.members.iter().filter(|member| member.name != "xtask") {
        for path in rust_files(&member.folder)? {
            let place = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            if WIRE.iter().any(|allowed| place.starts_with(allowed)) {
                continue;
            }
            violations.extend(code_lines(&read(&path)?).filter(|(_, line)| names_wire(line)).map(|(number, _)| {
                Violation::new(
                    format!("{place}:{number} names types of the wire"),
                    "convert them where they arrive, and take a flota_model type here",
                )
            }));
        }
    }
    Ok(violations)
}

/// Clocks, files and processes in crates that have none.
pub(super) fn effects(workspace: &Workspace, pure: &[&str]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for member in workspace.members.iter().filter(|member| pure.contains(&member.name.as_str())) {
        for path in rust_files(&member.folder.join("src"))?.iter().filter(|path| !is_test(path)) {
            for (number, line) in code_lines(&read(path)?) {
                for effect in EFFECTS.iter().filter(|effect| line.contains(**effect)) {
                    violations.push(Violation::new(
                        format!("{}:{number} uses {effect}, and {} is pure", path.display(), member.name),
                        "take its outcome as an argument",
                    ));
                }
            }
        }
    }
    Ok(violations)
}

/// Crates that do not take the lints of the workspace.
pub(super) fn lints(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for Member { name, folder, .. } in &workspace.members {
        let manifest = read(&folder.join("Cargo.toml"))?;
        if !manifest.replace(' ', "").contains("[lints]\nworkspace=true\n") {
            violations.push(Violation::new(
                format!("{name} does not take the lints of the workspace"),
                "put `[lints]` and `workspace = true` into its Cargo.toml",
            ));
        }
    }
    Ok(violations)
}

/// Source files that are longer than a reader's patience; worth a word, no more.
pub(super) fn long_files(workspace: &Workspace) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for member in &workspace.members {
        for path in rust_files(&member.folder)? {
            let lines = read(&path)?.lines().count();
            if lines > LONG {
                notes.push(format!("{} has {lines} lines; {LONG} is the most that needs no reason", path.display()));
            }
        }
    }
    Ok(notes)
}

fn names_wire(line: &str) -> bool {
    WIRE_NAMES.iter().any(|name| match *name {
        // A list of imports is a breach only if the messages are in it.
        "flota_proto::{" => line.contains(name) && line.contains("v1"),
        name => line.contains(name),
    })
}

/// Lines with their numbers, without comments and without the tests at the end of the file.
fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = source.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    code.map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// The crate's own files: a folder with a manifest of its own is another crate.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
        if path.is_dir() {
            let is_other = path.join("Cargo.toml").exists() || path.file_name().is_some_and(|name| name == "target");
            if !is_other {
                found.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_and_the_rest_of_the_crate_is_not() {
        for line in [
            "use flota_proto::v1;",
            "flota_proto::v1::Host",
            "use flota_proto::{DESCRIPTORS, v1};",
            "use flota_proto as p;",
        ] {
            assert!(names_wire(line), "{line}");
        }
        for line in ["use flota_proto::{CODE_HEADER, FIX_HEADER};", "flota_proto::CHUNK_BYTES"] {
            assert!(!names_wire(line), "{line}");
        }
    }

    #[test]
    fn comments_and_tests_are_not_code() {
        let source = "use a;\n// std::fs\n/// std::fs\nlet x;\n#[cfg(test)]\nuse std::fs;\n";
        assert_eq!(code_lines(source).collect::<Vec<_>>(), [(1, "use a;"), (4, "let x;")]);
    }
}
