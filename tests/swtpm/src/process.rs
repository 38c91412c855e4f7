//! The swtpm process: started and known to be ready, watched, ended.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::SwtpmError;
use crate::error::tail;
use crate::ports::PortPair;

/// swtpm is ready within 20 ms; the rest is for a machine busy with other tests.
const READY_DEADLINE: Duration = Duration::from_secs(20);
/// How long one look for the pid file waits for the death of the process instead.
const READY_TICK: Duration = Duration::from_millis(2);
/// A killed process is gone at once unless the machine is in distress.
const EXIT_DEADLINE: Duration = Duration::from_secs(10);

/// The files of one TPM.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("swtpm.pid")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("swtpm.log")
    }

    /// The process that serves this folder, if any. The pid file alone is no proof: the number may be another's now.
    pub(crate) fn serving(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = format!("dir={}", self.state().display());
        command_line.split(|byte| *byte == 0).any(|argument| argument == ours.as_bytes()).then_some(pid)
    }
}

/// Starts swtpm and returns when it has bound both ports.
///
/// swtpm writes its pid file after it has bound them, so a file with the child's own number is proof that the TPM on
/// these ports is ours. Connecting proves nothing: it may be another TPM that answers.
pub(crate) fn start(layout: &Layout, ports: &PortPair) -> Result<Child, SwtpmError> {
    let (pid_file, log) = (layout.pid_file(), layout.log());
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(SwtpmError::file("removing", &pid_file)(error));
        }
        _ => {}
    }
    let lock = ports.inheritable_lock().map_err(SwtpmError::file("sharing the port lock of", layout.dir()))?;
    let mut child = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "startup-clear"])
        .args(["--tpmstate", &format!("dir={}", layout.state().display())])
        .args(["--server", &format!("type=tcp,port={}", ports.data())])
        .args(["--ctrl", &format!("type=tcp,port={}", ports.control())])
        .args(["--pid", &format!("file={}", pid_file.display())])
        .args(["--log", &format!("file={},truncate", log.display())])
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| SwtpmError::Run { program: "swtpm", package: "swtpm", source })?;
    match await_ready(layout, &mut child) {
        Ok(()) => Ok(child),
        Err(error) => {
            end(&mut child)?;
            Err(error)
        }
    }
}

/// SIGKILL, as a power loss would be, and collects the child. No error if it has ended already.
pub(crate) fn end(child: &mut Child) -> Result<(), SwtpmError> {
    let failed = |doing, pid| move |source| SwtpmError::Process { doing, pid, source };
    let pid = child.id();
    child.kill().map_err(failed("killing", pid))?;
    child.wait().map_err(failed("waiting for", pid)).map(drop)
}

/// SIGKILL to a process that may be nobody's child any more; returns when it has ended.
pub(crate) fn end_detached(pid: u32) -> Result<(), SwtpmError> {
    let failed = |doing| move |errno: rustix::io::Errno| SwtpmError::Process { doing, pid, source: errno.into() };
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    // The descriptor first: from here on the number cannot pass to another process unseen.
    let process = match pidfd_open(id, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        opened => opened.map_err(failed("watching"))?,
    };
    match kill_process(id, Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        killed => killed.map_err(failed("killing"))?,
    }
    if ended_within(&process, EXIT_DEADLINE).map_err(failed("waiting for"))? {
        return Ok(());
    }
    Err(failed("waiting for")(rustix::io::Errno::TIMEDOUT))
}

fn await_ready(layout: &Layout, child: &mut Child) -> Result<(), SwtpmError> {
    let pid = child.id();
    let failed = |errno: rustix::io::Errno| SwtpmError::Process { doing: "watching", pid, source: errno.into() };
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map_err(failed)?;
    let deadline = Instant::now() + READY_DEADLINE;
    while Instant::now() < deadline {
        if fs::read_to_string(layout.pid_file()).is_ok_and(|text| text.trim() == pid.to_string()) {
            return Ok(());
        }
        if ended_within(&process, READY_TICK).map_err(failed)? {
            let waited = child.wait();
            let status = waited.map_err(|source| SwtpmError::Process { doing: "waiting for", pid, source })?;
            let log = tail(&fs::read_to_string(layout.log()).unwrap_or_default());
            return Err(SwtpmError::Exited { dir: layout.dir().to_path_buf(), status, log });
        }
    }
    Err(SwtpmError::NotReady { dir: layout.dir().to_path_buf() })
}

/// A pid descriptor becomes readable when the process ends (pidfd_open(2)).
fn ended_within(process: &OwnedFd, limit: Duration) -> rustix::io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(|_| rustix::io::Errno::INVAL)?;
    let mut watched = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    match poll(&mut watched, Some(&limit)) {
        Err(rustix::io::Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}
