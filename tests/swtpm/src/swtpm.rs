//! One software TPM, from its folder to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::SwtpmError;
use crate::ca::{Ca, create_dir};
use crate::command;
use crate::ports::PortPair;
use crate::process::{self, Layout};

/// How many pairs of ports are tried when a program outside our locks takes one between the test and the bind.
const START_ATTEMPTS: u16 = 5;

/// A running TPM. It is killed when this value is dropped, unless [detached](Swtpm::detach).
///
/// The TPM is manufactured like a vendor's: RSA-2048 EK at 0x81010001, its certificate at NV 0x01C00002, only the
/// SHA-256 bank of PCRs. It has three object slots and no resource manager, so one client at a time.
#[derive(Debug)]
pub struct Swtpm {
    layout: Layout,
    ca: Ca,
    ports: PortPair,
    child: Option<Child>,
}

impl Swtpm {
    /// Starts the TPM of folder `dir`, manufacturing it first (about 1 s) if the folder holds none. The CA is private
    /// to the folder.
    pub fn start(dir: &Path) -> Result<Self, SwtpmError> {
        Self::start_with_ca(dir, &dir.join("ca"))
    }

    /// Like [`start`](Self::start), with a CA folder that several TPMs share, as the hosts of one vendor do.
    ///
    /// Safe to call at the same time from several threads and processes.
    pub fn start_with_ca(dir: &Path, ca_dir: &Path) -> Result<Self, SwtpmError> {
        let layout = Layout::new(absolute(dir)?);
        let ca = Ca::at(absolute(ca_dir)?);
        create_dir(layout.dir())?;
        if let Some(pid) = layout.serving() {
            return Err(SwtpmError::AlreadyRunning { dir: layout.dir().to_path_buf(), pid });
        }
        if !layout.state().exists() {
            ca.manufacture(layout.dir(), &layout.state())?;
        }
        let mut attempt = 0;
        loop {
            let ports = PortPair::take(attempt)?;
            match process::start(&layout, &ports) {
                Ok(child) => return Ok(Self { layout, ca, ports, child: Some(child) }),
                Err(SwtpmError::Exited { log, .. })
                    if attempt + 1 < START_ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the TPM listens, in the notation of libtss2 and of the agent's configuration.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.ports.data())
    }

    /// The process, or `None` after [`kill`](Self::kill).
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The certificates that a verifier of EKs must trust, as PEM: root CA, then issuing CA.
    pub fn ca_pem(&self) -> Result<String, SwtpmError> {
        let path = self.ca.bundle();
        fs::read_to_string(&path).map_err(SwtpmError::file("reading", &path))
    }

    /// The file that [`ca_pem`](Self::ca_pem) reads.
    pub fn ca_bundle_path(&self) -> PathBuf {
        self.ca.bundle()
    }

    /// Power loss: SIGKILL, no TPM2_Shutdown. The ports stay reserved for [`restart`](Self::restart).
    pub fn kill(&mut self) -> Result<(), SwtpmError> {
        self.child.take().map_or(Ok(()), |mut child| process::end(&mut child))
    }

    /// Power on again: same state, same ports. PCRs are back at their initial values and resetCount has grown by one.
    pub fn restart(&mut self) -> Result<(), SwtpmError> {
        self.kill()?;
        self.child = Some(process::start(&self.layout, &self.ports)?);
        Ok(())
    }

    /// Lets the TPM run on when this process ends; [`stop`] ends it later, from any process.
    pub fn detach(mut self) {
        self.child = None;
    }

    /// TPM2_PCR_Extend of PCR `index` (0 to 23) of the SHA-256 bank. May be called while an agent uses the TPM.
    pub fn extend_pcr(&self, index: u8, digest: [u8; 32]) -> Result<(), SwtpmError> {
        command::pcr_extend(self.ports.data(), index, digest)
    }

    /// The value of PCR `index` (0 to 23) of the SHA-256 bank. May be called while an agent uses the TPM.
    pub fn read_pcr(&self, index: u8) -> Result<[u8; 32], SwtpmError> {
        command::pcr_read(self.ports.data(), index)
    }

    /// Any TPM command that returns no handle, in bytes: what an attacker at the bus could send. `passwords` is the
    /// number of handles to authorise, each with the empty password. May be called while an agent uses the TPM.
    pub fn command(
        &self,
        code: u32,
        handles: &[u32],
        passwords: usize,
        parameters: &[u8],
    ) -> Result<Vec<u8>, SwtpmError> {
        command::run(self.ports.data(), code, handles, passwords, parameters)
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // Nobody is left to tell: the process is gone, or was never ours to signal.
        let _ = self.kill();
    }
}

/// Kills the TPM that serves folder `dir`, which another process may have [detached](Swtpm::detach). Returns whether
/// there was one.
pub fn stop(dir: &Path) -> Result<bool, SwtpmError> {
    match Layout::new(absolute(dir)?).serving() {
        Some(pid) => process::end_detached(pid).map(|()| true),
        None => Ok(false),
    }
}

/// swtpm changes its working directory in places, and separates its options with commas.
fn absolute(path: &Path) -> Result<PathBuf, SwtpmError> {
    let absolute = std::path::absolute(path).map_err(SwtpmError::file("resolving", path))?;
    match absolute.to_str() {
        Some(text) if !text.contains([',', '\n', '\r']) => Ok(absolute),
        _ => Err(SwtpmError::Path { path: absolute }),
    }
}
