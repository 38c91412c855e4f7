//! What CI runs, step by step. Every step is run, so that one push shows all there is to mend.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::cargo::{cargo, check, duration, has_subcommand};
use crate::{layers, run, setup};

/// How a step ended.
enum Outcome {
    Passed,
    Failed,
    /// The toolchain lacks a component.
    Skipped,
}

/// All steps.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let mut report = Vec::new();
    step(&mut report, "format", Some("fmt"), || check(cargo().args(["fmt", "--all", "--check"])));
    step(&mut report, "clippy", Some("clippy"), || {
        check(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    step(&mut report, "tests", None, || run::tests(&[]));
    step(&mut report, "layers", None, layers::run);
    eprintln!("\n== summary");
    for (name, outcome, time) in &report {
        let word = match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "SKIPPED",
        };
        eprintln!("   {name:<8} {word:<8} {time}");
    }
    let failed = report.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed)).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", report.len());
    }
    Ok(())
}

fn step(
    report: &mut Vec<(&'static str, Outcome, String)>,
    name: &'static str,
    component: Option<&str>,
    work: impl FnOnce() -> Result<()>,
) {
    eprintln!("\n== {name}");
    let began = Instant::now();
    let outcome = match component {
        Some(component) if !has_subcommand(component) => {
            eprintln!(
                "cargo {component} is not installed, so this was NOT checked: rustup component add clippy rustfmt"
            );
            Outcome::Skipped
        }
        _ => match work() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("error: {error:#}");
                Outcome::Failed
            }
        },
    };
    report.push((name, outcome, duration(began.elapsed())));
}
