//! Every alert has a runbook that leads somewhere: its commands are commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use flota_tests::Bins;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks")
}

#[test]
fn every_rule_has_a_page_and_every_page_a_rule() {
    let rules: BTreeSet<String> = flota_alerts::rules::RULES.iter().map(|rule| rule.name.to_owned()).collect();
    let pages: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "README")
        .collect();
    assert_eq!(pages, rules);
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for rule in flota_alerts::rules::RULES {
        let row = format!("| {} | {} | {} |", rule.name, rule.severity, rule.means);
        assert!(index.contains(&row), "the index has no row `{row}`");
        let page = std::fs::read_to_string(folder().join(rule.name).with_extension("md")).unwrap();
        for heading in
            ["What it means", "What the business feels", "First three commands", "Decide", "Do not", "Whom to wake"]
        {
            assert!(page.contains(&format!("\n## {heading}\n")), "{} has no `{heading}`", rule.name);
        }
    }
}

/// A command that does not parse ends with 2; without a context every other one ends otherwise.
#[test]
fn every_command_of_a_runbook_can_be_typed_as_it_stands() {
    let bins = Bins::beside_this_program().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let mut commands = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.starts_with("flota ")) {
            commands += 1;
            let command = line.split('#').next().unwrap_or_default();
            let program = bins.path("flota");
            let script = command.replacen("flota", &program.display().to_string(), 1);
            let output = Command::new("sh")
                .args(["-c", &format!("{script} --no-input")])
                .env("XDG_CONFIG_HOME", empty.path())
                .env("HOME", empty.path())
                .env_remove("FLOTA_CONTEXT")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let parses = !said.contains("For more information, try") && output.status.code() != Some(101);
            assert!(parses, "{}: `{command}`: {said}", path.display());
        }
    }
    assert!(commands >= 3 * flota_alerts::rules::RULES.len(), "{commands} commands");
}
