//! What the processors did, and how many files may be open.

use std::time::Instant;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::figure::Figure;
use crate::ground;

/// What /proc counts processor time in: USER_HZ, 100 a second on every architecture of Linux that we build for.
const TICKS: f64 = 100.0;

/// Processor time of a process and all its threads so far, in seconds.
fn seconds(pid: u32) -> anyhow::Result<f64> {
    read(&format!("/proc/{pid}/stat"))
}

/// Processor time of the thread that asks, in seconds.
pub(crate) fn of_this_thread() -> anyhow::Result<f64> {
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

/// Processor time so far, of a controller and of this program.
pub(crate) struct Used {
    at: Instant,
    controller: f64,
    ourselves: f64,
}

/// How long was looked, and how many processors were busy on average.
pub(crate) struct Busy {
    pub(crate) seconds: f64,
    controller: f64,
    ourselves: f64,
}

impl Used {
    /// Now.
    pub(crate) fn by(controller: u32) -> anyhow::Result<Self> {
        let controller = seconds(controller)?;
        Ok(Self { at: Instant::now(), controller, ourselves: seconds(std::process::id())? })
    }

    /// From `before` until now.
    pub(crate) fn since(&self, before: &Self) -> Busy {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let busy = |after: f64, before: f64| (after - before) / seconds;
        Busy {
            seconds,
            controller: busy(self.controller, before.controller),
            ourselves: busy(self.ourselves, before.ourselves),
        }
    }
}

impl Busy {
    /// Beside what the machine has.
    pub(crate) fn figures(&self, while_doing: &str) -> Vec<Figure> {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let all = u32::try_from(count).map_or(f64::INFINITY, f64::from);
        let figure = |whose: &str, value: f64| {
            Figure::new(format!("{while_doing}: processors of {whose}"), value, "cores")
                .beside(&ground::machine(), Some(all))
        };
        vec![figure("the controller", self.controller), figure("hosts and operators", self.ourselves)]
    }
}

/// A thousand sessions are a thousand files at either end, and the usual limit is 1024. Children inherit what is set.
pub(crate) fn allow_many_files() -> anyhow::Result<()> {
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
