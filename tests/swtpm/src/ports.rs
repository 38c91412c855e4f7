//! A pair of adjacent TCP ports (data, control) that no other TPM of this machine uses.
//!
//! libtss2 expects the control channel one port above the data port, so the kernel cannot choose for us. Between the
//! test that a port is free and swtpm's bind there is a gap in which another test could take it and be mistaken for
//! our TPM. A lock file for each pair closes the gap, and because swtpm inherits the locked description (as its
//! standard input) the pair stays taken exactly as long as either of us lives.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use crate::SwtpmError;

/// Lowest data port. Below the kernel's ephemeral range (32768 and up), so outgoing connections never sit on a pair.
const FIRST: u16 = 20_000;
/// Number of pairs tried before giving up; far more than the TPMs one machine can run at a time.
const PAIRS: u16 = 5_000;

/// Two locked ports. The lock ends with this value and with every process that inherited it.
#[derive(Debug)]
pub(crate) struct PortPair {
    data: u16,
    lock: File,
}

impl PortPair {
    /// Takes the `skip`-th free pair in an order that begins at another place for each process, so that tests
    /// started together do not all knock at the same doors.
    pub(crate) fn take(skip: u16) -> Result<Self, SwtpmError> {
        let dir = lock_dir()?;
        let start = u16::try_from(std::process::id() % u32::from(PAIRS)).unwrap_or(0);
        (0..PAIRS)
            .map(|step| FIRST + 2 * ((start + step) % PAIRS))
            .filter_map(|data| Self::lock(&dir, data).transpose())
            .nth(usize::from(skip))
            .unwrap_or(Err(SwtpmError::NoPorts))
    }

    pub(crate) fn data(&self) -> u16 {
        self.data
    }

    pub(crate) fn control(&self) -> u16 {
        self.data + 1
    }

    /// The locked description for a child to inherit.
    pub(crate) fn inheritable_lock(&self) -> std::io::Result<File> {
        self.lock.try_clone()
    }

    /// `None`: taken by another TPM, or by a program that knows nothing of our locks.
    fn lock(dir: &Path, data: u16) -> Result<Option<Self>, SwtpmError> {
        let path = dir.join(format!("{data}.lock"));
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(SwtpmError::file("opening the port lock", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok((is_free(data) && is_free(data + 1)).then_some(Self { data, lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(SwtpmError::file("locking", &path)(source)),
        }
    }
}

/// Lock files must be found by every process of this user, whatever folder its TPM has. One folder for each user:
/// another user's files could not be opened for writing. Between users the bind test alone decides.
fn lock_dir() -> Result<PathBuf, SwtpmError> {
    let dir = std::env::temp_dir().join(format!("flota-swtpm-ports-{}", rustix::process::getuid().as_raw()));
    fs::create_dir_all(&dir).map_err(SwtpmError::file("creating", &dir))?;
    Ok(dir)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
