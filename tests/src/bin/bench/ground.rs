//! Where a bench works: folders that are gone afterwards, whatever happens.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use flota_tests::Bins;
use tempfile::TempDir;

/// What a shell makes of a program that SIGINT ended.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Whether Ctrl-C was pressed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Programs and room.
pub(crate) struct Ground {
    /// Where the programs are.
    pub(crate) bins: Bins,
    kept: PathBuf,
    disk: TempDir,
    fleet: TempDir,
}

impl Ground {
    /// Makes the folders. Ctrl-C removes them from now on.
    pub(crate) fn prepare(bins: Bins, target: &Path) -> anyhow::Result<Self> {
        let named = |prefix: &'static str| {
            let mut builder = tempfile::Builder::new();
            builder.prefix(prefix);
            builder
        };
        let disk =
            named("bench-").tempdir_in(target).with_context(|| format!("making a folder in {}", target.display()))?;
        let fleet = named("flota-bench-").tempdir().context("making a temporary folder")?;
        clean_up_on_interrupt(bins.clone(), [disk.path().to_owned(), fleet.path().to_owned()])?;
        Ok(Self { bins, kept: target.join("bench"), disk, fleet })
    }

    /// A folder for large files, in the target folder: the system's temporary folder may be memory, or small.
    /// It is gone when it is dropped.
    pub(crate) fn room(&self) -> anyhow::Result<TempDir> {
        tempfile::tempdir_in(self.disk.path()).context("making a temporary folder")
    }

    /// A folder for what is slow to make and the same for every run. It stays; whoever removes it waits once more.
    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.kept.join(name)
    }

    /// A folder for a fleet, which is small but has sockets in it: their paths must be short.
    pub(crate) fn fleet(&self) -> &Path {
        self.fleet.path()
    }
}

/// Whether Ctrl-C was pressed: then programs that failed are no news.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The machine, in a few words.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{cores} cores of {}", model.map_or("an unknown processor", |(_, name)| name))
}

/// Bots outlive everything by design, and large files would stay for ever; other processes get the signal themselves.
fn clean_up_on_interrupt(bins: Bins, folders: [PathBuf; 2]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    drop(std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
            eprintln!("\ninterrupted; cleaning up");
            for folder in &folders {
                if let Err(error) = clean_up(&bins, folder) {
                    eprintln!("error: {error:#}");
                }
            }
            std::process::exit(EXIT_INTERRUPTED.into());
        }
    }));
    Ok(())
}

fn clean_up(bins: &Bins, folder: &Path) -> anyhow::Result<()> {
    if let Ok(hosts) = std::fs::read_dir(folder.join("hosts")) {
        for host in hosts.flatten() {
            let root = host.path().join("bot");
            Command::new(bins.path("flota-stand-in-bot")).arg("stop").arg("--root").arg(&root).output()?;
            flota_swtpm::stop(&host.path().join("tpm"))?;
        }
    }
    match std::fs::remove_dir_all(folder) {
        // The bench that was interrupted gives up meanwhile, and removes its folders as well.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
