//! `flota-bench NAME`: measures the project against its bars, on the machine it runs on, in its release build.
//!
//! A bench is a function in a file of its own under `bench/`, which takes a [`Ground`] and gives [`Figure`]s. To add one:
//! write the file, name it below with `#[path]` and `mod`, and add its line to [`BENCHES`]. A figure with a bar is held
//! against a named peer that ran in the same minutes, or against what the hardware or a setting allows; a time without
//! either says little, because no two machines are the same.
//!
//! A missed bar is a result, not an error: it is said plainly, and the exit code is 0. Exit code 1 is a bench that could
//! not run. Every run writes `NAME.json` with all its figures, for machines to compare.

#[path = "bench/attest.rs"]
mod attest;
#[path = "bench/basics.rs"]
mod basics;
#[path = "bench/figure.rs"]
mod figure;
#[path = "bench/ground.rs"]
mod ground;
#[path = "bench/material.rs"]
mod material;
#[path = "bench/procedures.rs"]
mod procedures;
#[path = "bench/rollout.rs"]
mod rollout;
#[path = "bench/simulated.rs"]
mod simulated;
#[path = "bench/stopwatch.rs"]
mod stopwatch;
#[path = "bench/update.rs"]
mod update;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use flota_tests::Bins;

use figure::Figure;
use ground::Ground;

/// All of them.
const BENCHES: &[Bench] = &[
    Bench {
        name: "attest",
        about: "the verifier beside openssl; enrolment and attestation of a thousand simulated hosts",
        run: attest::run,
    },
    Bench {
        name: "basics",
        about: "exports, package checks, and what an operator waits for in a fleet of five",
        run: basics::run,
    },
    Bench {
        name: "procedures",
        about: "the manual's procedures on large inputs, beside wc, openssl and Python scripts",
        run: procedures::run,
    },
    Bench {
        name: "rollout",
        about: "a rollout over two hundred simulated hosts, how fast it halts, and the planner at ten thousand",
        run: rollout::run,
    },
    Bench {
        name: "update",
        about: "an update of a 1 GiB package of which 1 % changed, beside rsync and casync",
        run: update::run,
    },
];

struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Ground) -> anyhow::Result<Vec<Figure>>,
}

/// Measures the project against its bars
#[derive(Debug, Parser)]
#[command(name = "flota-bench", version)]
struct Arguments {
    /// Which one
    #[arg(value_parser = PossibleValuesParser::new(BENCHES.iter().map(|bench| bench.name)))]
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Folder for NAME.json [default: `bench` in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Name all benches
    #[arg(long, conflicts_with_all = ["name", "out"])]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if ground::is_interrupted() => ExitCode::from(ground::EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let chosen = arguments.name.as_deref().and_then(|name| BENCHES.iter().find(|bench| bench.name == name));
    let Some(bench) = chosen else {
        for Bench { name, about, .. } in BENCHES {
            print_out(&format!("{name:<12} {about}"));
        }
        return Ok(());
    };
    let target = target_folder()?;
    let out = arguments.out.clone().unwrap_or_else(|| target.join("bench"));
    std::fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let ground = Ground::prepare(Bins::beside_this_program()?, &target)?;
    let figures = (bench.run)(&ground).with_context(|| format!("the bench {} could not run", bench.name))?;
    let file = out.join(format!("{}.json", bench.name));
    write(&file, &figures)?;
    print_out(&figure::table(&figures).to_string());
    print_out(&figure::verdict(&figures));
    if cfg!(debug_assertions) {
        print_out("This is a dev build: its figures say nothing. Measure with `cargo xtask bench`.");
    }
    print_out(&format!("On {}. Written to {}.", ground::machine(), file.display()));
    Ok(())
}

/// Where cargo builds: as the environment says, else the folder above that of this program.
fn target_folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(std::path::absolute(folder)?);
    }
    let program = std::env::current_exe().context("asking where this program is")?;
    program.parent().and_then(Path::parent).map(Path::to_owned).context("this program is in no target folder")
}

fn write(file: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(figures)? + "\n";
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

#[expect(clippy::print_stdout, reason = "figures are this program's output")]
fn print_out(text: &str) {
    println!("{text}");
}
