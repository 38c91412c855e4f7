//! What documents say of tests, held against the tests.

use crate::cargo::root;

/// A test that a table names must be in the file that it names.
#[test]
fn every_test_in_the_threat_model_exists() {
    let folder = root().join("docs");
    let text = std::fs::read_to_string(folder.join("threat-model.md")).unwrap();
    // Rows of five columns: attacker, asset, attempt, defence, test. The heads of the tables are such rows as well.
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 4);
    let rows: Vec<_> = rows.filter(|row| !row.starts_with("| attacker |")).collect();
    assert!(rows.len() > 130, "{} rows", rows.len());
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in cell.split("), `") {
            let (name, link) = test.split_once("` in [").unwrap_or_else(|| panic!("no test is named: {row}"));
            let path = link.split_once("](").unwrap().1.trim_end_matches(')');
            let file = folder.join(path);
            let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let name = name.trim_start_matches('`');
            assert!(source.contains(&format!("fn {name}(")), "{name} is not in {path}");
        }
    }
    for (index, _) in text.match_indices("](../") {
        let path = text[index + 2..].split(')').next().unwrap();
        assert!(folder.join(path).exists(), "{path}");
    }
}
