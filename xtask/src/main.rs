//! `cargo xtask`: the tasks of this repository, the same on every machine and in CI.
//!
//! It must never depend on a crate of ours or on a system package, for it is what installs those. All its talk goes to
//! stderr. Start with [`setup`] for what a machine needs, [`run`] for what it then does.

mod cargo;
mod ci;
#[cfg(test)]
mod documents;
mod layers;
mod run;
mod setup;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  setup                 install the system packages that are missing, with apt
  demo [--keep] [--dir D]
                        build everything and watch a small fleet do a working day; --keep leaves it running,
                        --stop D ends one that was kept
  test [FILTER...]      build everything, run all tests or those that match, check the layers
  bench NAME            run one benchmark and write bench/NAME.json in the target folder; --list names them
  check-layers          check which crate depends on which, and who sees the wire's types
  ci                    what CI runs: format, clippy, tests, layers
  help                  this text";

/// Exit code of a task that does not exist or lacks an argument.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let done = match task.as_str() {
        "setup" => setup::run(),
        "demo" => run::demo(&rest),
        "test" => run::test(&rest),
        "bench" if !rest.is_empty() => run::bench(&rest),
        "check-layers" => layers::run(),
        "ci" => ci::run(),
        "help" | "--help" | "-h" => {
            eprintln!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
