//! What remains after the demo: nothing, or everything if it was asked to keep it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use flota_tests::{Bins, Fleet};
use rustix::process::{Pid, Signal, kill_process};

use crate::script::print_out;

/// Process ids of a demo that was kept.
const PIDS: &str = "pids";

/// Leaves everything running and says how to go on.
pub(crate) fn leave(mut fleet: Fleet) -> anyhow::Result<()> {
    let mut pids: Vec<u32> = fleet.controller.process().pid().into_iter().collect();
    pids.extend(fleet.exchange.pid());
    for host in &mut fleet.hosts {
        pids.extend(host.agent().and_then(|agent| agent.pid()));
        pids.extend(host.supervisor().and_then(flota_tests::Process::pid));
    }
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    std::fs::write(fleet.dir.join(PIDS), pids.join("\n"))?;
    print_out(&format!(
        "\nEverything goes on running in {0}\n\n  \
         export FLOTA_CONFIG={1} PATH={2}:$PATH\n  \
         flota host list\n  flota host show fra-bot-03\n  flota rollout explain R-1\n  flota audit list --limit 20\n\n\
         End it with: cargo xtask demo --stop {0}",
        fleet.dir.display(),
        fleet.admin.config().display(),
        fleet.bins.path("").display(),
    ));
    fleet.detach();
    Ok(())
}

/// Ends a demo that was kept.
pub(crate) fn stop(bins: &Bins, dir: &Path) -> anyhow::Result<()> {
    let pids = dir.join(PIDS);
    let text = std::fs::read_to_string(&pids)
        .with_context(|| format!("{} holds no demo that was kept running", dir.display()))?;
    for pid in text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw) {
        match kill_process(pid, Signal::TERM) {
            // Ended by itself, or by a reboot.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => bail!("ending process {pid}: {error}"),
        }
    }
    clean_up(bins, dir)
}

/// Ends bots and TPMs on Ctrl-C, and removes the folder; the other processes get the signal themselves.
pub(crate) fn clean_up_on_interrupt(bins: Bins, dir: PathBuf) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    drop(std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            eprintln!("\ninterrupted; cleaning up");
            if let Err(error) = clean_up(&bins, &dir) {
                eprintln!("error: {error:#}");
            }
            std::process::exit(130);
        }
    }));
    Ok(())
}

fn clean_up(bins: &Bins, dir: &Path) -> anyhow::Result<()> {
    if let Ok(hosts) = std::fs::read_dir(dir.join("hosts")) {
        for host in hosts.flatten() {
            let root = host.path().join("bot");
            Command::new(bins.path("flota-stand-in-bot")).arg("stop").arg("--root").arg(&root).output()?;
            flota_swtpm::stop(&host.path().join("tpm"))?;
        }
    }
    std::fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))
}
