//! What can go wrong between a folder and a running TPM.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Failure to make, start or talk to a software TPM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwtpmError {
    /// A path that the option syntax of swtpm cannot carry.
    #[error("path {path:?} cannot be given to swtpm: it must be UTF-8 without commas and line breaks")]
    Path {
        /// The path in question.
        path: PathBuf,
    },
    /// A file or folder of the TPM or of its CA could not be used.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The program could not be run at all.
    #[error("running {program} (is the Debian package {package} installed?)")]
    Run {
        /// Name of the program.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// `swtpm_setup` ran and failed.
    #[error("manufacturing a TPM in {}: swtpm_setup ended with {status}: {log}", dir.display())]
    Setup {
        /// Folder of the TPM.
        dir: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        log: String,
    },
    /// swtpm ended before it was ready.
    #[error("starting the TPM in {}: swtpm ended with {status}: {log}", dir.display())]
    Exited {
        /// Folder of the TPM.
        dir: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// swtpm neither became ready nor ended in time.
    #[error("starting the TPM in {}: swtpm was not ready in time", dir.display())]
    NotReady {
        /// Folder of the TPM.
        dir: PathBuf,
    },
    /// Another swtpm already serves this folder; two on one state would destroy it.
    #[error("starting the TPM in {}: process {pid} serves it already; stop that one first", dir.display())]
    AlreadyRunning {
        /// Folder of the TPM.
        dir: PathBuf,
        /// The process that serves it.
        pid: u32,
    },
    /// No free pair of ports was found.
    #[error("finding two free adjacent TCP ports on 127.0.0.1 for a TPM")]
    NoPorts,
    /// The process could not be watched or signalled.
    #[error("{doing} swtpm process {pid}")]
    Process {
        /// What was being done, as a participle.
        doing: &'static str,
        /// The process.
        pid: u32,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The connection to the TPM failed; a killed TPM shows here as a refused connection.
    #[error("exchanging a command with the TPM on port {port}")]
    Exchange {
        /// Data port.
        port: u16,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The TPM answered with an error (TPM 2.0 part 2, 6.6).
    #[error("the TPM refused {command} with response code {code:#x}")]
    Refused {
        /// Name of the command in the specification.
        command: &'static str,
        /// TPM_RC.
        code: u32,
    },
    /// The TPM's answer does not have the shape of the specification.
    #[error("the TPM answered {command} with {length} bytes that do not parse")]
    Reply {
        /// Name of the command in the specification.
        command: &'static str,
        /// Length of the answer.
        length: usize,
    },
}

impl SwtpmError {
    /// A closure for `map_err` that names the file.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_path_buf(), source }
    }
}

/// The last lines of a log: enough to see the cause, short enough for an error message.
pub(crate) fn tail(log: &str) -> String {
    const LINES: usize = 6;
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("; ")
}
