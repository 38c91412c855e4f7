//! A wall clock that a test can set, for one process: a library that its loader puts before the C library's.
//!
//! For what a controller does when time has passed that no test can wait for. Only the time of day is moved: timers run on
//! the monotonic clock and stay as they are.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// The library: adds the number of seconds in the first eight bytes of a file to the time of day.
const SOURCE: &str = include_str!("clock/shifted.c");

/// A clock that is as many seconds ahead as it was told.
#[derive(Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    offset: PathBuf,
    file: File,
}

impl ShiftedClock {
    /// Compiles the library in `dir`. The clock is right until it is moved.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (source, library, offset) = (dir.join("shifted.c"), dir.join("shifted.so"), dir.join("offset"));
        std::fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        let output = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
        let output = output.context("running cc")?;
        ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&offset)?;
        file.write_all_at(&[0; 8], 0)?;
        Ok(Self { library, offset, file })
    }

    /// Sets how far ahead it is, for every process that has it.
    pub fn set_ahead(&self, by: Duration) -> anyhow::Result<()> {
        self.set(i64::try_from(by.as_secs())?)
    }

    /// Sets how far behind it is.
    pub fn set_behind(&self, by: Duration) -> anyhow::Result<()> {
        self.set(-i64::try_from(by.as_secs())?)
    }

    fn set(&self, seconds: i64) -> anyhow::Result<()> {
        Ok(self.file.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// Gives it to a process that is about to start.
    pub(crate) fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FLOTA_TEST_CLOCK", &self.offset);
    }
}
