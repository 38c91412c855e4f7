//! The tasks that build the programs and start them, in the folder that they were called from.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{Profile, build_programs, cargo, check, has_subcommand};
use crate::{layers, setup};

/// A small fleet's working day. Ends as `flota-demo` does.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    setup::run()?;
    let mut demo = Command::new(build_programs(Profile::Dev)?.join("flota-demo"));
    become_command(demo.args(arguments))
}

/// One benchmark, or the list of them. Ends as `flota-bench` does, which writes `bench/NAME.json` in the target folder.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    setup::run()?;
    // Nothing is measured for a list, so nothing need be optimised.
    let profile = if arguments.iter().any(|word| word == "--list") { Profile::Dev } else { Profile::Release };
    let mut bench = Command::new(build_programs(profile)?.join("flota-bench"));
    become_command(bench.args(arguments))
}

/// All tests, or those that match, and the layers.
pub(crate) fn test(filter: &[String]) -> Result<()> {
    setup::run()?;
    tests(filter)?;
    layers::run()
}

/// All tests, or those that match, on a machine that is set up.
pub(crate) fn tests(filter: &[String]) -> Result<()> {
    // Tests find the programs they start beside their own.
    build_programs(Profile::Dev)?;
    let mut test = cargo();
    if has_subcommand("nextest") {
        test.args(["nextest", "run", "--workspace"]);
    } else {
        eprintln!("cargo-nextest is not installed: using `cargo test`, which is slower and says less.");
        test.args(["test", "--workspace"]);
    }
    check(test.args(filter))
}

/// Never returns unless the program cannot be started: its exit status and its signals are ours.
fn become_command(command: &mut Command) -> Result<()> {
    let error = command.exec();
    bail!("starting {}: {error}", command.get_program().display())
}
