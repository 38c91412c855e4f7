//! What a machine needs besides the Rust toolchain, and how it gets there. Used alike by the demo, the tests and CI.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{check, target_folder};

/// A system package of Debian 12 and what tells that it is there on a system without dpkg.
struct Need {
    package: &'static str,
    reason: &'static str,
    probe: Probe,
}

/// How to tell without a package manager.
enum Probe {
    /// A program on the search path.
    Program(&'static str),
    /// A library that pkg-config knows.
    Library(&'static str),
    /// A header of the C library.
    Header(&'static str),
}

const NEEDS: [Need; 12] = [
    Need { package: "gcc", reason: "links, and compiles aws-lc, SQLite and zstd", probe: Probe::Program("cc") },
    Need {
        package: "libc6-dev",
        reason: "the headers to compile and the start files to link with",
        probe: Probe::Header("/usr/include/stdlib.h"),
    },
    Need { package: "pkg-config", reason: "finds libtss2", probe: Probe::Program("pkg-config") },
    Need { package: "libtss2-dev", reason: "the agent speaks to its TPM with it", probe: Probe::Library("tss2-esys") },
    Need { package: "swtpm", reason: "the TPM of hosts in demo and tests", probe: Probe::Program("swtpm") },
    Need { package: "iproute2", reason: "network namespaces for partitions", probe: Probe::Program("ip") },
    Need { package: "swtpm-tools", reason: "manufactures those TPMs", probe: Probe::Program("swtpm_setup") },
    Need { package: "tpm2-tools", reason: "tests exchange quotes with it", probe: Probe::Program("tpm2_quote") },
    Need { package: "procps", reason: "tests stop processes with kill", probe: Probe::Program("kill") },
    Need {
        package: "curl",
        reason: "the demo gives the simulated exchange its orders with it",
        probe: Probe::Program("curl"),
    },
    Need { package: "python3", reason: "tests compare canonical JSON with it", probe: Probe::Program("python3") },
    Need {
        package: "python3-venv",
        reason: "tests have python-tuf read signed releases, in an environment of its own",
        probe: Probe::Program("python3"),
    },
];

/// Python packages that tests need, of one version each: the reference implementation of TUF.
const PYTHON_NEEDS: [&str; 2] = ["tuf==6.0.0", "securesystemslib[crypto]==1.6.0"];

/// Debian packages of which tests need one program, without the service that installing them would start: unpacked in the
/// target folder. With the program's path in them.
const UNPACKED: [(&str, &str); 1] = [("prometheus-alertmanager", "usr/bin/prometheus-alertmanager")];

/// Time that apt waits for another one, in seconds: a fresh machine often updates itself just then.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=300";

/// Installs what is missing; does nothing and says nothing if nothing is.
pub(crate) fn run() -> Result<()> {
    system()?;
    unpacked()?;
    python()
}

/// Programs of packages that are not installed.
fn unpacked() -> Result<()> {
    let folder = target_folder()?.join("debian");
    let missing = UNPACKED.iter().filter(|(_, program)| !folder.join(program).is_file());
    for (package, _) in missing {
        eprintln!("Unpacking {package} in {}.", folder.display());
        let archives = folder.join("archives");
        std::fs::create_dir_all(&archives).with_context(|| format!("making {}", archives.display()))?;
        let fetch = || check(Command::new("apt-get").args(["--quiet", "download", package]).current_dir(&archives));
        // A fresh machine has no lists of packages yet.
        fetch().or_else(|_| apt(&["update"]).and_then(|()| fetch()))?;
        for archive in std::fs::read_dir(&archives).context("reading what was fetched")? {
            check(Command::new("dpkg-deb").arg("--extract").arg(archive?.path()).arg(&folder))?;
        }
        std::fs::remove_dir_all(&archives).context("removing what was fetched")?;
    }
    Ok(())
}

/// Python packages, in the target folder: nothing of the system's Python is touched.
fn python() -> Result<()> {
    let folder = target_folder()?.join("python");
    let python = folder.join("bin/python");
    let mut import = Command::new(&python);
    import.args(["-c", "import tuf.ngclient, cryptography"]).stdout(Stdio::null()).stderr(Stdio::null());
    if import.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("Installing python-tuf in {}.", folder.display());
    check(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    check(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_NEEDS),
    )
}

/// System packages.
fn system() -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    eprintln!("Missing system packages:");
    for need in &missing {
        eprintln!("  {:<12} {}", need.package, need.reason);
    }
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !on_path("apt-get") {
        bail!("this system has no apt-get: install what Debian 12 calls {}, then try again", packages.join(", "));
    }
    if !is_root()? {
        if !on_path("sudo") {
            bail!("installing them takes root, and there is no sudo: run `{by_hand}` as root, then try again");
        }
        eprintln!("Installing them with apt-get through sudo, which may ask for your password.");
    }
    apt(&["update"])?;
    let options = ["install", "--yes", "--no-install-recommends"];
    apt(&[&options[..], &packages].concat()).with_context(|| format!("run `{by_hand}` as root, then try again"))
}

fn missing() -> Result<Vec<&'static Need>> {
    if !on_path("dpkg-query") {
        return Ok(NEEDS.iter().filter(|need| !need.probe.finds()).collect());
    }
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Package} ${Status}\\n"]).args(NEEDS.iter().map(|need| need.package));
    // It fails when one of them is unknown, and still lists the others.
    let output = query.stderr(Stdio::null()).output().context("starting `dpkg-query`")?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(NEEDS.iter().filter(|need| !is_installed(need.package, &listed)).collect())
}

/// Whether dpkg's list has the package, and not merely its left-over configuration.
fn is_installed(package: &str, listed: &str) -> bool {
    listed.lines().any(|line| line.split_once(' ') == Some((package, "install ok installed")))
}

impl Probe {
    fn finds(&self) -> bool {
        match self {
            Self::Program(name) => on_path(name),
            Self::Header(path) => Path::new(path).exists(),
            Self::Library(name) => {
                let asked = Command::new("pkg-config").args(["--exists", name]).status();
                asked.is_ok_and(|status| status.success())
            }
        }
    }
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = if is_root()? { Command::new("env") } else { Command::new("sudo") };
    if !is_root()? {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--option", LOCK_TIMEOUT]).args(arguments);
    check(&mut command)
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("starting `id -u`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts() {
        let listed =
            "gcc install ok installed\nswtpm deinstall ok config-files\nswtpm-tools unknown ok not-installed\n";
        assert!(is_installed("gcc", listed));
        for absent in ["swtpm", "swtpm-tools", "python3", "gc"] {
            assert!(!is_installed(absent, listed), "{absent}");
        }
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
    }
}
