//! What the processors did, and how many files may be open.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What /proc counts processor time in: USER_HZ, 100 a second on every architecture of Linux that we build for.
const TICKS: f64 = 100.0;

/// Processor time of a process and all its threads so far, in seconds.
pub(super) fn seconds(pid: u32) -> anyhow::Result<f64> {
    read(&format!("/proc/{pid}/stat"))
}

/// Processor time of the thread that asks, in seconds.
pub(super) fn of_this_thread() -> anyhow::Result<f64> {
    read("/proc/thread-self/stat")
}

fn read(file: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    used(&text).with_context(|| format!("{file} has another form"))
}

/// `utime` and `stime` (proc(5)); the second field is a name in brackets, which may hold anything.
fn used(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? + ticks()?) / TICKS)
}

/// How many there are.
pub(super) fn count() -> f64 {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// A thousand sessions are a thousand files at either end, and the usual limit is 1024. Children inherit what is set.
pub(super) fn allow_many_files() -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raising the limit of open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let stat = "4711 (a) name) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 100";
        assert_eq!(used(stat), Some(3.0));
        assert!(seconds(std::process::id()).unwrap() >= 0.0);
    }
}
