//! The demo is a test: every outcome that it shows is checked, and it leaves nothing behind.

use std::process::Command;

#[test]
fn the_demo_ends_as_expected_and_removes_its_folder() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("demo");
    let output = Command::new(env!("CARGO_BIN_EXE_flota-demo")).arg("--dir").arg(&dir).output().unwrap();
    let story = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{story}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(story.contains("outcomes as expected"), "{story}");
    assert!(!dir.exists(), "it left its folder behind");
}
