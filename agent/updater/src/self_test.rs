//! A release tests itself before it is tried: its own program, in its own folder, without a network and without a key.

use std::path::Path;

use crate::bot::{BotError, run_command};
use crate::settings::ServiceCommand;

/// Makes a network of nothing but itself for what it starts (util-linux).
const APART: &str = "unshare";

/// Runs the self-test of the release in this folder; what it printed goes to a file in `logs`.
pub(crate) async fn self_test(test: &ServiceCommand, release: &Path, logs: &Path) -> Result<(), BotError> {
    run_command("self_test", &apart(test), release, logs, &[("FLOTA_RELEASE", release)]).await
}

/// The same command with no network. A user of no privileges gets a user space of its own, in which that is allowed.
fn apart(test: &ServiceCommand) -> ServiceCommand {
    let mut arguments = vec!["--net".to_owned()];
    if !rustix::process::geteuid().is_root() {
        arguments.push("--map-current-user".to_owned());
    }
    arguments.extend(["--".to_owned(), test.program.clone()]);
    arguments.extend(test.arguments.iter().cloned());
    ServiceCommand { program: APART.to_owned(), arguments, timeout: test.timeout }
}
