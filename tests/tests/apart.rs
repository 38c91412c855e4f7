//! A supervisor and an agent as processes of their own, and updates by hand.
#![expect(clippy::unwrap_used, reason = "a test panics")]

#[path = "apart/by_hand.rs"]
mod by_hand;
#[path = "apart/programs.rs"]
mod programs;
#[path = "apart/rollouts.rs"]
mod rollouts;
#[path = "apart/stolen.rs"]
mod stolen;

use std::path::Path;
use std::time::Duration;

use flota_tests::{Bins, BotHost, Fleet, FleetOptions, wait};

/// For an update of one host.
pub(crate) const BOUND: Duration = Duration::from_secs(90);

/// A host whose updates a supervisor does, in a fleet of one; its agent is not started.
pub(crate) fn supervised(dir: &Path) -> Fleet {
    let bins = Bins::beside_this_program().unwrap();
    let mut fleet = Fleet::install(&bins, dir, FleetOptions::default()).unwrap();
    fleet.start_supervisors().unwrap();
    fleet
}

/// The user that the tests run as.
pub(crate) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Signs a release that nobody has published: it comes by hand.
pub(crate) fn sign(fleet: &Fleet, version: &str, behaviour: &str, more: &[&str]) -> String {
    let package = fleet.packages.bot(version, behaviour, 10_000).unwrap();
    let (desk, path) = (fleet.controller.desk().to_string_lossy(), package.path.to_string_lossy());
    fleet.admin.ok(&[&["release", "sign", &desk, &path], more].concat()).unwrap();
    package.digest
}

/// A command of `flota-agent update`: its code, and all that it said.
pub(crate) fn update(host: &BotHost, arguments: &[&str]) -> (i32, String) {
    let output = host.agent_command(&[&["update"], arguments, &["--config", "../agent.toml"]].concat()).unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

/// Waits until the status of the host says this.
pub(crate) fn wait_for_status(host: &BotHost, what: &str) {
    let status = || {
        let output = host.agent_command(&["status", "--config", "../agent.toml"]).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait::until(what, BOUND, || Ok(status().contains(what).then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", status(), host.supervisor_log()));
}
