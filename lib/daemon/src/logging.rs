//! Logs go to stderr: stdout belongs to the command's answer.

use tracing_subscriber::EnvFilter;

/// Environment variable that overrides the filter, in the syntax of `tracing_subscriber::EnvFilter`.
pub const FILTER_VARIABLE: &str = "FLOTA_LOG";

/// Starts logging to stderr; a second call changes nothing. An unreadable filter falls back to `default_filter`.
pub fn init(default_filter: &str) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default_filter));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Fails only when logging was started already, as tests do.
    let _already_started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .try_init();
}
