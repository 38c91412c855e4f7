//! `flota-agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    flota_agent::commands::main()
}
