//! A sweep over every point of an update: the process is killed before each effect and after it, with the last write of the
//! journal torn or the disk full, and started again. What must always hold, holds at the moment of death as well as at
//! the end (I1 to I9 of the state machine's specification).
//!
//! A life is a process of its own: this test program again, told by its environment where to die, which it does by
//! SIGKILL. A full disk is a file size limit of zero, because a file system of its own takes root.

use std::process::{Command, ExitStatus};

use flota_engine::Phase;
use flota_package::{CheckRequest, check};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use serde::{Deserialize, Serialize};

use super::*;
use crate::files::present;
use crate::slots::Slots;
use crate::{Journal, history};

/// Tells a process that it is a life, and which.
const LIFE: &str = "FLOTA_SWEEP_LIFE";

/// What one process does.
#[derive(Debug, Serialize, Deserialize)]
struct Life {
    folder: PathBuf,
    goal: Option<DesiredState>,
    death: Option<Death>,
}

/// Where it dies.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Death {
    /// After so many effects since its goal.
    turn: usize,
    at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Moment {
    /// Once the state is on disk, before its effect.
    BeforeEffect,
    /// Once the effect has happened, before anybody wrote that down.
    AfterEffect,
    /// The same, and the file with the last state is half gone: the disk had not got it yet.
    AfterEffectTorn,
    /// The effect was performed while nothing could be written.
    DiskFull,
}

const MOMENTS: [Moment; 4] = [Moment::BeforeEffect, Moment::AfterEffect, Moment::AfterEffectTorn, Moment::DiskFull];

/// A host on which an update is about to be tried.
struct Scene {
    ground: Ground,
    goal: DesiredState,
    /// What ran before, and every byte of it.
    before: Digest,
    kept: Vec<(PathBuf, Vec<u8>)>,
}

impl Scene {
    async fn new(to: impl Fn(&Ground) -> ReleaseRef) -> Self {
        let ground = host_with_old_release().await;
        let goal = install(2, &to(&ground));
        Self::of(ground, goal)
    }

    fn of(ground: Ground, goal: DesiredState) -> Self {
        let slots = Slots::open(ground.root()).unwrap();
        let before = slots.current().unwrap().unwrap().digest;
        let kept = tree(&slots.path(before));
        Self { ground, goal, before, kept }
    }

    /// One life. `None`: it came to its end before it was to die.
    fn lives(&self, test: &str, goal: Option<&DesiredState>, death: Death) -> Option<ExitStatus> {
        let folder = self.ground.folder.path().to_owned();
        let life = Life { folder, goal: goal.cloned(), death: Some(death) };
        // A signal that is ignored stays so in what is started: a write beyond the limit then fails as on a full disk.
        let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        command
            .args(["--exact", test, "--test-threads", "1", "--quiet"])
            .env(LIFE, serde_json::to_string(&life).unwrap());
        let output = command.output().unwrap();
        let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
        assert!(killed || output.status.success(), "{life:?}: {}", String::from_utf8_lossy(&output.stdout));
        if killed && death.at == Moment::AfterEffectTorn {
            tear_newest(&self.ground.settings.state_dir);
        }
        killed.then_some(output.status)
    }

    /// A new life, to its rest. The controller says what it wants again, as it does whenever a host connects.
    async fn finish(&self) {
        let (updater, handle) = self.ground.open().await;
        let (wanted, ()) = tokio::join!(want_once(handle, self.goal.clone()), updater.run());
        wanted.unwrap();
    }

    /// What holds at any moment, also that of death.
    fn check_any_time(&self, what: &str) {
        let slots = Slots::open(self.ground.root()).unwrap();
        let current = slots.current().unwrap().unwrap_or_else(|| panic!("I1: nothing is selected: {what}"));
        let key = Secret::decode(KEY, "the test").unwrap();
        let path = slots.path(current.digest);
        let request = CheckRequest { key: Some(&key), ..CheckRequest::new(&path, present()) };
        assert!(check(&request).is_ok_and(|report| report.is_ok()), "I1: what is selected is not whole: {what}");
        if slots.contains(self.before) {
            assert_eq!(tree(&slots.path(self.before)), self.kept, "I5: the release before was written to: {what}");
        }
        assert!(!self.ground.root().join("two").exists(), "I2: a bot was started beside another: {what}");
        let Some(state) = Journal::peek(&self.ground.settings.state_dir).unwrap() else { return };
        let generation = state.accepted().map(|desired| desired.generation);
        assert!(generation >= Generation::new(1), "I3: the generation went back: {what}");
        // Whoever is killed while it moves the bot leaves it where it is; else one of them always runs. A torn journal may
        // not know yet that it was moving.
        let moves = matches!(state.phase(), Phase::Switching { .. } | Phase::SwitchingBack { .. });
        let torn = what.starts_with("AfterEffectTorn") && matches!(state.phase(), Phase::Armed { .. });
        assert!(moves || torn || self.ground.root().join("running").exists(), "I9: no bot runs: {what}");
    }

    /// What holds at the end.
    async fn check_end(&self, allowed: &[(UpdatePhase, &str)], what: &str) {
        self.check_any_time(what);
        let state = Journal::peek(&self.ground.settings.state_dir).unwrap().unwrap();
        let report = flota_engine::report(&state);
        assert_eq!(report.generation, Some(self.goal.generation), "I6: {what}");
        let runs = self.ground.runs().unwrap_or_default();
        assert!(
            allowed.contains(&(report.phase, runs.as_str())),
            "{:?}, {runs}: {}: {what}",
            report.phase,
            report.detail
        );
        let noted = history::read(&self.ground.settings.state_dir).unwrap();
        let ends = noted.iter().filter(|entry| entry.generation == self.goal.generation);
        assert_eq!(ends.map(|entry| entry.outcome).collect::<Vec<_>>(), [report.phase], "I6: noted once: {what}");
        let Goal::Install { release, .. } = &self.goal.goal else { return };
        if report.phase != UpdatePhase::RolledBack {
            return;
        }
        assert!(state.denied().contains_key(&release.digest), "I4: {what}");
        let again = install(self.goal.generation.number() + 1, release);
        let (updater, handle) = self.ground.open().await;
        let (wanted, ()) = tokio::join!(want_once(handle, again), updater.run());
        wanted.unwrap();
        let state = Journal::peek(&self.ground.settings.state_dir).unwrap().unwrap();
        assert_eq!(flota_engine::report(&state).phase, UpdatePhase::Refused, "I4: {what}");
    }
}

async fn want_once(handle: UpdaterHandle, goal: DesiredState) -> Result<(), WantError> {
    handle.want(goal).await
}

/// Every file below a folder, with its bytes.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

/// Cuts the newer of the journal's files in half.
fn tear_newest(state_dir: &Path) {
    let sequence = |path: &PathBuf| -> u64 {
        let text = fs::read_to_string(path).unwrap_or_default();
        let header: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or("{}")).unwrap();
        header["sequence"].as_u64().unwrap_or(0)
    };
    let files = ["update.a.json", "update.b.json"].map(|name| state_dir.join(name));
    let newest = files.iter().max_by_key(|path| sequence(path)).unwrap();
    let bytes = fs::read(newest).unwrap();
    fs::write(newest, &bytes[..bytes.len() / 2]).unwrap();
}

/// If this process is a life, lives it and does not come back.
async fn live_if_told() {
    let Ok(life) = std::env::var(LIFE) else { return };
    live(&serde_json::from_str(&life).unwrap()).await;
    std::process::exit(0);
}

async fn live(life: &Life) {
    let text = fs::read_to_string(life.folder.join("agent.toml")).unwrap();
    let settings = Arc::new(UpdaterSettings::parse(&text, "agent.toml").unwrap());
    let (mut updater, handle) =
        Updater::open(settings, both(FolderSide::of(&life.folder)), CancellationToken::new()).unwrap();
    updater.begin().await;
    if let Some(goal) = &life.goal {
        let (wanted, _) = tokio::join!(handle.want(goal.clone()), updater.turn());
        wanted.unwrap();
    }
    for turn in 0.. {
        if updater.work.is_none() {
            return;
        }
        if let Some(death) = life.death.filter(|death| death.turn == turn) {
            if death.at == Moment::DiskFull {
                let limit = getrlimit(Resource::Fsize);
                setrlimit(Resource::Fsize, Rlimit { current: Some(0), ..limit }).unwrap();
            }
            if death.at != Moment::BeforeEffect
                && let Some((_, work)) = &mut updater.work
            {
                work.await;
            }
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        updater.turn().await;
    }
}

/// Nine effects and four ways to die at each are the fewest that any of these updates has.
const FEWEST_POINTS: usize = 36;

fn points(count: usize, what: &str) {
    assert!(count >= FEWEST_POINTS, "{what}: the sweep found only {count} points");
    eprintln!("sweep: {what}: {count} points tried");
}

/// Every effect of one update, and every way to die at it: `ends` are its good ends, `full` what is as good when nothing
/// could be written. What could not be started for want of space counts as a failure of the release, and that is safe.
async fn sweep(
    test: &str,
    scene: impl AsyncFn() -> Scene,
    ends: &[(UpdatePhase, &str)],
    full: &[(UpdatePhase, &str)],
) -> usize {
    let test = format!("tests::sweep::{test}");
    let mut tried = 0;
    for at in MOMENTS {
        for turn in 0.. {
            let scene = scene().await;
            let what = format!("{at:?} {turn}");
            if scene.lives(&test, Some(&scene.goal), Death { turn, at }).is_none() {
                break;
            }
            tried += 1;
            scene.check_any_time(&what);
            scene.finish().await;
            let also = if at == Moment::DiskFull { full } else { &[] };
            scene.check_end(&[ends, also].concat(), &what).await;
        }
    }
    tried
}

#[tokio::test]
async fn an_update_that_goes_well_survives_a_death_at_any_point() {
    live_if_told().await;
    let ends = [(UpdatePhase::Committed, "healthy 2.0")];
    let full = [(UpdatePhase::RolledBack, "healthy 1.0"), (UpdatePhase::Refused, "healthy 1.0")];
    let scene = async || Scene::new(|ground| ground.good("2.0")).await;
    let tried = sweep("an_update_that_goes_well_survives_a_death_at_any_point", scene, &ends, &full).await;
    points(tried, "an update that goes well");
}

#[tokio::test]
async fn an_unhealthy_release_is_left_whatever_dies_when() {
    live_if_told().await;
    let ends = [(UpdatePhase::RolledBack, "healthy 1.0"), (UpdatePhase::Refused, "healthy 1.0")];
    let scene = async || Scene::new(|ground| ground.publish("2.0", None, KEY)).await;
    let tried = sweep("an_unhealthy_release_is_left_whatever_dies_when", scene, &ends, &[]).await;
    points(tried, "an unhealthy release");
}

#[tokio::test]
async fn a_bot_that_does_not_come_to_rest_trades_on_whatever_dies_when() {
    live_if_told().await;
    let ends = [(UpdatePhase::Refused, "healthy 1.0")];
    let scene = async || {
        let scene = Scene::new(|ground| ground.good("2.0")).await;
        fs::write(scene.ground.root().join("busy"), "1").unwrap();
        scene
    };
    let test = "a_bot_that_does_not_come_to_rest_trades_on_whatever_dies_when";
    points(sweep(test, scene, &ends, &[]).await, "a bot that does not come to rest");
}

#[tokio::test]
async fn a_rollback_of_the_fleet_survives_a_death_at_any_point() {
    live_if_told().await;
    let ends = [(UpdatePhase::Committed, "healthy 1.0")];
    let full = [(UpdatePhase::RolledBack, "healthy 2.0"), (UpdatePhase::Refused, "healthy 2.0")];
    let scene = async || {
        let ground = host_with_old_release().await;
        let old = Slots::open(ground.root()).unwrap().current().unwrap().unwrap().digest;
        let new = ground.good("2.0");
        let (updater, handle) = ground.open().await;
        let (wanted, ()) = tokio::join!(want_once(handle, install(2, &new)), updater.run());
        wanted.unwrap();
        let size = fs::metadata(ground.folder.path().join("packages").join(old.to_string())).unwrap().len();
        let back = ReleaseRef { digest: old, version: "1.0".into(), size };
        Scene::of(ground, want(3, Goal::Install { release: back, intent: Direction::Back }))
    };
    let tried = sweep("a_rollback_of_the_fleet_survives_a_death_at_any_point", scene, &ends, &full).await;
    points(tried, "a rollback of the fleet");
}

#[tokio::test]
async fn going_back_survives_a_second_death_at_any_point() {
    live_if_told().await;
    let test = "tests::sweep::going_back_survives_a_second_death_at_any_point";
    let mut tried = 0;
    for first in 0.. {
        let mut second = 0;
        loop {
            let scene = Scene::new(|ground| ground.publish("2.0", None, KEY)).await;
            let at = if second % 2 == 0 { Moment::AfterEffect } else { Moment::BeforeEffect };
            let what = format!("first {first}, second {second}");
            let after = Death { turn: first, at: Moment::AfterEffect };
            if scene.lives(test, Some(&scene.goal), after).is_none() {
                points(tried, "two deaths of a rollback");
                return;
            }
            if scene.lives(test, None, Death { turn: second / 2, at }).is_none() {
                break;
            }
            tried += 1;
            scene.check_any_time(&what);
            scene.finish().await;
            let allowed = [(UpdatePhase::RolledBack, "healthy 1.0"), (UpdatePhase::Refused, "healthy 1.0")];
            scene.check_end(&allowed, &what).await;
            second += 1;
        }
    }
}
