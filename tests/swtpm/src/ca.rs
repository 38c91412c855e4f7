//! The private manufacturer: a folder with the root and issuing CA of swtpm-localca, and TPMs made by it.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::SwtpmError;
use crate::error::tail;

const ROOT_CERT: &str = "swtpm-localca-rootca-cert.pem";
const ISSUER_CERT: &str = "issuercert.pem";
const BUNDLE: &str = "bundle.pem";

/// A CA folder, made on first use. Several TPMs, also of several processes, may share it.
#[derive(Debug)]
pub(crate) struct Ca {
    dir: PathBuf,
}

impl Ca {
    /// `dir` must be absolute.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The certificates an EK verifier must be given: root first, then the issuing CA, as PEM.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.dir.join(BUNDLE)
    }

    /// Manufactures a TPM: writes its NV state, with EK and EK certificate, into `state`.
    ///
    /// The state appears complete or not at all: a test killed in the middle of it must not leave a folder that the
    /// next run takes for a TPM.
    pub(crate) fn manufacture(&self, dir: &Path, state: &Path) -> Result<(), SwtpmError> {
        create_dir(&self.dir)?;
        let lock_path = self.dir.join("lock");
        let lock = File::create(&lock_path).map_err(SwtpmError::file("creating", &lock_path))?;
        lock.lock().map_err(SwtpmError::file("locking", &lock_path))?;
        self.write_config()?;
        let first_of_this_ca = !self.bundle().exists();
        if !first_of_this_ca {
            // The CA exists; swtpm-localca itself serialises the serial numbers. Let others run beside us.
            drop(lock);
            return self.setup(dir, state);
        }
        self.setup(dir, state)?;
        self.write_bundle()
    }

    fn setup(&self, dir: &Path, state: &Path) -> Result<(), SwtpmError> {
        let unfinished = dir.join("state.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(SwtpmError::file("removing", &unfinished))?;
        }
        create_dir(&unfinished)?;
        let output = Command::new("swtpm_setup")
            .args(["--tpm2", "--create-ek-cert", "--lock-nvram", "--pcr-banks", "sha256"])
            .arg("--tpmstate")
            .arg(&unfinished)
            .arg("--config")
            .arg(self.dir.join("setup.conf"))
            .output()
            .map_err(|source| SwtpmError::Run { program: "swtpm_setup", package: "swtpm-tools", source })?;
        if !output.status.success() {
            let log = [output.stdout, output.stderr].concat();
            return Err(SwtpmError::Setup {
                dir: dir.to_path_buf(),
                status: output.status,
                log: tail(&String::from_utf8_lossy(&log)),
            });
        }
        fs::rename(&unfinished, state).map_err(SwtpmError::file("renaming", &unfinished))
    }

    /// Without these three files swtpm_setup uses `/etc` and, as root, the machine-wide CA below `/var/lib`.
    fn write_config(&self) -> Result<(), SwtpmError> {
        let dir = self.dir.display();
        let files = [
            (
                "setup.conf",
                format!(
                    "create_certs_tool=swtpm_localca\n\
                     create_certs_tool_config={dir}/localca.conf\n\
                     create_certs_tool_options={dir}/localca.options\n"
                ),
            ),
            (
                "localca.conf",
                format!(
                    "statedir = {dir}\n\
                     signingkey = {dir}/signkey.pem\n\
                     issuercert = {dir}/{ISSUER_CERT}\n\
                     certserial = {dir}/certserial\n"
                ),
            ),
            (
                "localca.options",
                "--platform-manufacturer Flota\n--platform-version 1\n--platform-model test\n".to_owned(),
            ),
        ];
        for (name, content) in files {
            // Never rewritten: a swtpm_setup of another process may be reading it.
            if !self.dir.join(name).exists() {
                self.write(name, &content)?;
            }
        }
        Ok(())
    }

    fn write_bundle(&self) -> Result<(), SwtpmError> {
        let read = |name| {
            let path = self.dir.join(name);
            fs::read_to_string(&path).map_err(SwtpmError::file("reading", &path))
        };
        self.write(BUNDLE, &(read(ROOT_CERT)? + &read(ISSUER_CERT)?))
    }

    /// Whole or absent, for readers that hold no lock. Two writers are excluded by the lock.
    fn write(&self, name: &str, content: &str) -> Result<(), SwtpmError> {
        let (path, temporary) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        fs::write(&temporary, content).map_err(SwtpmError::file("writing", &temporary))?;
        fs::rename(&temporary, &path).map_err(SwtpmError::file("renaming", &temporary))
    }
}

/// Creates a folder, and those above it, for the owner alone: it holds keys, if only those of tests.
pub(crate) fn create_dir(dir: &Path) -> Result<(), SwtpmError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SwtpmError::file("creating", dir))
}
