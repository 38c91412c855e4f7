//! Runs one test of this program in a process of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the installation for the child; its absence tells that this is not one.
const ROOT_VARIABLE: &str = "FLOTA_TEST_EXPORT_ROOT";

/// What the child answers stands after this on a line of its stdout.
const ANSWER: &str = "the child answers: ";

/// The root to work on, in a child process.
pub(super) fn root() -> Option<PathBuf> {
    env::var_os(ROOT_VARIABLE).map(PathBuf::from)
}

/// Answers the parent, from a child.
#[expect(clippy::print_stdout, reason = "stdout is what the parent reads")]
pub(super) fn answer(text: &str) {
    println!("\n{ANSWER}{text}");
}

/// The most memory that this process has had at once.
pub(super) fn own_peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The most memory that a child that runs this test on this root has had at once.
pub(super) fn peak_memory_kib(test: &str, root: &Path) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap());
    answer_of(&child.args(arguments(test)).env(ROOT_VARIABLE, root).output().unwrap()).parse().unwrap()
}

/// What a child says that runs this test on this root and may write 1 MiB to a file, as on a disk with so much left.
pub(super) fn run_with_file_limit(test: &str, root: &Path) -> String {
    // Ignored, the signal becomes an error of the write; only a shell can hand both on without unsafe code. Its unit is
    // 512 or 1024 bytes.
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ && ulimit -f 1024 && exec \"$@\"", "sh"]).arg(env::current_exe().unwrap());
    answer_of(&child.args(arguments(test)).env(ROOT_VARIABLE, root).output().unwrap())
}

fn arguments(test: &str) -> [&str; 4] {
    ["--exact", test, "--nocapture", "--test-threads=1"]
}

fn answer_of(Output { status, stdout, stderr }: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    let answer = stdout.lines().find_map(|line| line.strip_prefix(ANSWER));
    answer.filter(|_| status.success()).unwrap_or_else(|| panic!("{status}\n{stdout}\n{stderr}")).to_owned()
}
