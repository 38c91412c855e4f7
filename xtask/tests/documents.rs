//! The documents agree with the tree: codes, settings and decisions are all explained, and links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files of one extension below the root, outside of what is built, fetched or hidden.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map_while(Result::ok).map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && !matches!(&*name, "target" | "golden") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} files below {}", root().display());
    found
}

/// What stands between `open` and the next `close`, wherever `open` stands.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn every_error_code_is_explained_and_every_explained_code_exists() {
    let codes = |text: &str| -> BTreeSet<String> {
        let found = text.match_indices("FLT-").filter_map(|(at, _)| text.get(at..at + 8));
        found.filter(|code| code.bytes().skip(4).all(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
    };
    let known = codes(&read("controller/src/fault.rs"));
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(codes(&read("docs/errors.md")), known);
}

#[test]
fn every_setting_is_explained() {
    let document = read("docs/configuration.md");
    let agent = read("agent/src/settings/read.rs");
    let controller = read("controller/src/settings.rs");
    let (_, fragment) = controller.split_once("struct Fragment {").unwrap();
    let mut keys: BTreeSet<&str> = fragment
        .split('}')
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().split_once(": Option<"))
        .map(|(key, _)| key)
        .collect();
    for open in ["section, \"", "&mut top, \""] {
        keys.extend(between(&agent, open, '"'));
    }
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert!(
            document.contains(&format!("`{key}`")) || document.contains(&format!("`[{key}]`")),
            "{key} is not explained"
        );
    }
}

#[test]
fn every_decision_that_is_cited_is_there() {
    let decisions: Vec<String> = fs::read_dir(root().join("docs/adr"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for path in ["rs", "toml", "md", "proto", "sql"].iter().flat_map(|extension| files(extension)) {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("ADR-") {
            let number = text.get(at + 4..at + 8).unwrap_or_default();
            if number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) {
                let is_there = decisions.iter().any(|name| name.starts_with(&format!("{number}-")));
                assert!(is_there, "{} cites ADR-{number}, which is not in docs/adr", path.display());
            }
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files("md") {
        let text = fs::read_to_string(&path).unwrap();
        for target in between(&text, "](", ')') {
            let file = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !file.is_empty() && !path.parent().unwrap().join(file).exists() {
                broken.push(format!("{} -> {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// "`name` in [file](path)" is how documents say which test shows something.
#[test]
fn every_test_that_a_document_names_is_there() {
    let mut named = 0;
    for path in files("md") {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("` in [") {
            let name = text.get(..at).and_then(|before| before.rsplit('`').next()).unwrap_or_default();
            let link = text.get(at..).and_then(|rest| between(rest, "](", ')').next()).unwrap_or_default();
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !is_name || !name.contains('_') || Path::new(link).extension().is_none_or(|found| found != "rs") {
                continue;
            }
            let file = path.parent().unwrap().join(link);
            let code = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(code.contains(name), "{} names {name}, which is not in {link}", path.display());
            named += 1;
        }
    }
    assert!(named > 100, "{named} tests are named");
}
