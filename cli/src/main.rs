//! The operator's command. Everything is in the library, so that tests can run it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    flota_cli::run()
}
