//! Time and memory of programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use flota_tests::wait;
use serde_json::Value;

/// Longest that a measured program may run; a dev build on a busy machine takes half a minute.
const RUN_BOUND: Duration = Duration::from_mins(5);

/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// One of those that race: commands that run one after the other, and what has to be done before the first of them.
pub(crate) struct Runner<'a> {
    commands: Vec<Command>,
    prepare: Box<dyn Fn() -> anyhow::Result<()> + 'a>,
}

/// Best wall times of ours and of its peers, in seconds; of several commands of one runner, all together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Race<const PEERS: usize> {
    /// Of ours.
    pub(crate) ours: f64,
    /// None for a peer that is not installed.
    pub(crate) peers: [Option<f64>; PEERS],
}

/// What became of many measurements of one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// Half are below.
    pub(crate) median: f64,
    /// All are below, or this one.
    pub(crate) highest: f64,
}

impl<'a> Runner<'a> {
    /// One command.
    pub(crate) fn of(command: Command) -> Self {
        Self::of_all(vec![command])
    }

    /// Several commands, which do together what ours does alone.
    pub(crate) fn of_all(commands: Vec<Command>) -> Self {
        Self { commands, prepare: Box::new(|| Ok(())) }
    }

    /// With something to be done before each run, which takes no part in the time.
    #[must_use]
    pub(crate) fn after(self, prepare: impl Fn() -> anyhow::Result<()> + 'a) -> Self {
        Self { prepare: Box::new(prepare), ..self }
    }

    /// The shortest that each of its commands took; infinite at first.
    fn no_times(&self) -> Vec<Duration> {
        vec![Duration::MAX; self.commands.len()]
    }

    fn run(&mut self, best: &mut [Duration]) -> anyhow::Result<()> {
        (self.prepare)()?;
        for (command, best) in self.commands.iter_mut().zip(best) {
            *best = wall(command)?.min(*best);
        }
        Ok(())
    }
}

impl<const PEERS: usize> Race<PEERS> {
    /// Runs them in turn, so that a busy moment of the machine meets all, and takes the best of each.
    pub(crate) fn run(
        rounds: u32,
        mut ours: Runner<'_>,
        mut peers: [Option<Runner<'_>>; PEERS],
    ) -> anyhow::Result<Self> {
        let mut best = ours.no_times();
        let mut best_of_peers = peers.each_ref().map(|peer| peer.as_ref().map(Runner::no_times));
        for _ in 0..rounds {
            ours.run(&mut best)?;
            for (peer, best) in peers.iter_mut().zip(&mut best_of_peers) {
                if let (Some(peer), Some(best)) = (peer, best) {
                    peer.run(best)?;
                }
            }
        }
        let seconds = |best: Vec<Duration>| best.iter().sum::<Duration>().as_secs_f64();
        Ok(Self { ours: seconds(best), peers: best_of_peers.map(|best| best.map(seconds)) })
    }
}

impl Spread {
    /// Of at least one measurement.
    pub(crate) fn of(mut values: Vec<f64>) -> anyhow::Result<Self> {
        values.sort_by(f64::total_cmp);
        let median = *values.get(values.len() / 2).context("nothing was measured")?;
        let highest = *values.last().context("nothing was measured")?;
        Ok(Self { median, highest })
    }
}

/// A program of the machine, if it is installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// How long a command takes from its start to its end, which must be a success.
fn wall(command: &mut Command) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let took = began.elapsed();
    let output = output.with_context(|| format!("starting {}", command.get_program().display()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ended with {}: {words}", command.get_program().display(), output.status);
    Ok(took)
}

/// The document that a command prints; it must end with success.
pub(crate) fn answer(command: &Command) -> anyhow::Result<Value> {
    let program = command.get_program().display();
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).stdin(Stdio::null());
    copy_surroundings(command, &mut copy);
    let output = copy.output().with_context(|| format!("starting {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {words}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{program} printed no document"))
}

/// The most memory that a command had resident at once, in MiB. It must end with success.
///
/// `time` asks the kernel after the end. Where it is not installed the high-water mark is read while the command runs,
/// which misses what the command takes in its last moment.
pub(crate) fn peak_memory(command: &Command, room: &Path) -> anyhow::Result<f64> {
    match installed("time") {
        Some(time) => peak_by_time(&time, command, room),
        None => peak_by_looking(command),
    }
}

fn peak_by_time(time: &Path, command: &Command, room: &Path) -> anyhow::Result<f64> {
    let file = room.join("peak");
    let mut timed = Command::new(time);
    timed.args(["-f", "%M", "-o"]).arg(&file).arg(command.get_program()).args(command.get_args());
    copy_surroundings(command, &mut timed);
    let output = timed.output().context("running time")?;
    let words = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "it ended with {}: {}", output.status, String::from_utf8_lossy(&words));
    mebibytes(&std::fs::read_to_string(&file)?)
}

fn peak_by_looking(command: &Command) -> anyhow::Result<f64> {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
    copy_surroundings(command, &mut copy);
    let mut child = copy.spawn().context("starting it")?;
    let file = format!("/proc/{}/status", child.id());
    let mut peak = None;
    let status = wait::until("the end of a measured program", RUN_BOUND, || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = mark.map(|mark| mark.trim_end_matches("kB").to_owned()).or(peak.take());
        Ok(child.try_wait()?)
    })?;
    ensure!(status.success(), "it ended with {status}");
    mebibytes(&peak.context("it ended before its memory could be looked at")?)
}

fn copy_surroundings(from: &Command, to: &mut Command) {
    to.envs(from.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = from.get_current_dir() {
        to.current_dir(folder);
    }
}

fn mebibytes(kibibytes: &str) -> anyhow::Result<f64> {
    let kibibytes: u32 = kibibytes.trim().parse().with_context(|| format!("'{kibibytes}' is no number of KiB"))?;
    Ok(f64::from(kibibytes) * 1024.0 / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_measure_memory_agree() {
        let room = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        // Long enough to be looked at.
        command.args(["-c", "read -r line < /proc/self/status; sleep 0.2"]);
        let looked = peak_by_looking(&command).unwrap();
        assert!((0.5..50.0).contains(&looked), "{looked} MiB");
        if let Some(time) = installed("time") {
            let timed = peak_by_time(&time, &command, room.path()).unwrap();
            assert!((timed - looked).abs() < 2.0, "{timed} MiB by time, {looked} MiB by looking");
        }
    }

    #[test]
    fn each_run_is_prepared_and_an_absent_peer_stays_absent() {
        let prepared = std::cell::Cell::new(0);
        let count = || {
            prepared.set(prepared.get() + 1);
            Ok(())
        };
        let ours = Runner::of(Command::new("true")).after(count);
        let both = Runner::of_all(vec![Command::new("true"), Command::new("true")]);
        let race = Race::run(3, ours, [None, Some(both)]).unwrap();
        assert_eq!(prepared.get(), 3);
        assert!(race.ours > 0.0 && race.peers[0].is_none() && race.peers[1].is_some_and(|seconds| seconds > 0.0));
        assert!(Race::run(1, Runner::of(Command::new("false")), []).is_err());
    }

    #[test]
    fn the_median_of_an_even_number_is_the_upper_one() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        assert!((spread.median - 3.0).abs() < f64::EPSILON && (spread.highest - 4.0).abs() < f64::EPSILON);
        assert!(Spread::of(Vec::new()).is_err());
    }
}
