//! rsync and casync, on the files that the update is made of.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// What a peer took.
pub(super) struct Peer {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

/// rsync with its delta algorithm, from a folder to a folder; none if it is not installed.
pub(super) fn rsync(room: &Path, old: &[u8], new: &[u8]) -> anyhow::Result<Option<Peer>> {
    let (from, to) = (room.join("new"), room.join("old"));
    fs::write(&from, new)?;
    fs::write(&to, old)?;
    let began = Instant::now();
    let arguments = ["--no-whole-file", "--checksum", "--stats", "--inplace"].map(OsStr::new);
    let Some(text) = run("rsync", &[&arguments[..], &[from.as_os_str(), to.as_os_str()]].concat())? else {
        return Ok(None);
    };
    let seconds = began.elapsed().as_secs_f64();
    ensure!(fs::read(&to)? == new, "rsync made another file");
    let of = |line: &str| -> anyhow::Result<u64> {
        let found =
            text.lines().find_map(|text| text.strip_prefix(line)).context("rsync --stats says something else")?;
        Ok(found.chars().filter(char::is_ascii_digit).collect::<String>().parse()?)
    };
    Ok(Some(Peer { seconds, bytes: of("Total bytes sent: ")? + of("Total bytes received: ")? }))
}

/// casync: both files cut into one store, and the new one put together with the old one as its seed; none if it is not
/// installed. What the store gained by the new file is what a client would fetch.
pub(super) fn casync(room: &Path, old: &[u8], new: &[u8]) -> anyhow::Result<Option<Peer>> {
    let (old_file, new_file, store) = (room.join("old.bin"), room.join("new.bin"), room.join("store.castr"));
    fs::write(&old_file, old)?;
    fs::write(&new_file, new)?;
    let store_flag = format!("--store={}", store.display());
    let make = |index: &Path, file: &Path| {
        run("casync", &[OsStr::new("make"), OsStr::new(&store_flag), index.as_os_str(), file.as_os_str()])
    };
    if make(&room.join("old.caibx"), &old_file)?.is_none() {
        return Ok(None);
    }
    let before = size_of(&store)?;
    let index = room.join("new.caibx");
    let began = Instant::now();
    make(&index, &new_file)?;
    let seed = format!("--seed={}", old_file.display());
    let out = room.join("out.bin");
    let flags = [OsStr::new("extract"), OsStr::new(&store_flag), OsStr::new(&seed)];
    run("casync", &[&flags[..], &[index.as_os_str(), out.as_os_str()]].concat())?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(fs::read(&out)? == new, "casync made another file");
    Ok(Some(Peer { seconds, bytes: size_of(&store)?.saturating_sub(before) }))
}

/// What a program prints; none if it is not installed.
fn run(program: &str, arguments: &[&OsStr]) -> anyhow::Result<Option<String>> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("starting {program}")),
    };
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Bytes of all files below a folder.
fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() { size_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(size)
}
