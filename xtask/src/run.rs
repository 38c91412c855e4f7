//! The tasks that build the programs and start them.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Profile, build_programs, cargo, check, has_subcommand, target_folder};
use crate::{layers, setup};

/// Tells tests where the programs are that they start.
const PROGRAMS_VARIABLE: &str = "FLOTA_BIN_DIR";

/// A small fleet's working day. Ends as `flota-demo` does.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    setup::run()?;
    let programs = build_programs(Profile::Dev)?;
    let mut demo = Command::new(programs.join("flota-demo"));
    become_command(demo.arg("--bin-dir").arg(&programs).args(arguments))
}

/// One benchmark, or the list of them. Ends as `flota-bench` does.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    setup::run()?;
    // Nothing is measured for a list, so nothing need be optimised.
    let profile = if arguments.iter().any(|word| word == "--list") { Profile::Dev } else { Profile::Release };
    let programs = build_programs(profile)?;
    let results = target_folder()?.join("bench");
    std::fs::create_dir_all(&results).with_context(|| format!("creating {}", results.display()))?;
    let mut bench = Command::new(programs.join("flota-bench"));
    become_command(bench.arg("--bin-dir").arg(&programs).arg("--out-dir").arg(&results).args(arguments))
}

/// All tests, or those that match, and the layers.
pub(crate) fn test(filter: &[String]) -> Result<()> {
    setup::run()?;
    tests(filter)?;
    layers::run()
}

/// All tests, or those that match, on a machine that is set up.
pub(crate) fn tests(filter: &[String]) -> Result<()> {
    let programs = build_programs(Profile::Dev)?;
    let mut test = cargo();
    if has_subcommand("nextest") {
        test.args(["nextest", "run", "--workspace"]);
    } else {
        eprintln!("cargo-nextest is not installed: using `cargo test`, which is slower and says less.");
        test.args(["test", "--workspace"]);
    }
    check(test.args(filter).env(PROGRAMS_VARIABLE, programs))
}

/// Never returns unless the program cannot be started: its exit status and its signals are ours.
fn become_command(command: &mut Command) -> Result<()> {
    command.current_dir(cargo::root());
    let error = command.exec();
    bail!("starting {}: {error}", command.get_program().display())
}
