//! Recoveries that are killed in the middle, and taken up again.
//!
//! A gate is a FIFO: whoever comes to it waits there until the test has killed the recovery, so the test knows where it
//! stood. In the middle of a write there is no gate: there the kernel kills it, at the byte that its file-size limit names.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flota_procedures::recover::{Progress, Step};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use super::ground::{GOLDEN, Ground, KEY, licence, listing};

/// Far longer than a recovery of this size takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bot's commands. A verb waits at its gate if there is one; a gate that closes ends it with nothing done, as if it had
/// been killed too.
const BOT: &str = r#"
cd "$1" || exit 2
if [ -p "gate.$2" ]; then read -r go < "gate.$2" || exit 3; fi
case "$2" in
  start) cp host/current/bot host/running ;;
  stop) rm -f host/running ;;
  health) grep -q '^healthy' host/running ;;
esac
"#;

/// Blocks of 512 or 1024 bytes, by the shell, beyond which a file kills its writer: more than all small files have, and far
/// less than [`model`].
const LIMIT: &str = "32";

fn gated() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("bot.sh");
    fs::write(&script, BOT).unwrap();
    let (script, at) = (script.display().to_string(), folder.path().display().to_string());
    let line = |verb| format!("{verb} = [\"sh\", \"{script}\", \"{at}\", \"{verb}\"]\n");
    Ground::with_bot(folder, &["start", "stop", "health"].map(line).concat())
}

/// A mebibyte that does not compress.
fn model() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..1 << 17).flat_map(|_| next()).collect()
}

impl Ground {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Kills a recovery with SIGKILL while something waits at the gate, which is gone afterwards.
    fn kill_at(&self, gate: &str, flags: &[&str]) -> Progress {
        let gate = self.path(gate);
        rustix::fs::mkfifoat(CWD, &gate, Mode::RUSR | Mode::WUSR).unwrap();
        let mut running = self.command(flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let held = someone_at(&gate, &mut running);
        running.kill().unwrap();
        assert_eq!(running.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
        fs::remove_file(&gate).unwrap();
        drop(held);
        self.progress()
    }

    /// Lets the kernel kill a recovery when it writes beyond so many blocks of a file.
    fn kill_beyond(&self, blocks: &str, flags: &[&str]) {
        let recovery = self.command(flags);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -c 0 && ulimit -f \"$1\" && shift && exec \"$@\"", "sh", blocks]);
        shell.arg(recovery.get_program()).args(recovery.get_args());
        shell.env_clear().current_dir(self.folder.path());
        let ended = shell.output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.signal(), Some(Signal::XFSZ.as_raw()), "{told} {:?}", ended.status);
    }

    /// The record of the recovery; panics if it is torn.
    fn progress(&self) -> Progress {
        Progress::load(&self.root()).unwrap().unwrap()
    }

    /// What is half-written on the host.
    fn half_written(&self) -> Vec<PathBuf> {
        let is_half = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(".tmp-") || name.starts_with(".flota-") || name.ends_with(".partial")
        };
        listing(&self.root()).into_iter().filter(is_half).collect()
    }

    /// Evidence of this host, once somebody has put it there, and its licence.
    fn proofs(&self) -> [String; 6] {
        licence(self.folder.path());
        let keyring = format!("{GOLDEN}/keyring.json");
        ["--evidence", "evidence.json", "--keyring", &keyring, "--license-path", "licence.json"].map(str::to_owned)
    }

    fn put_evidence(&self) {
        fs::copy(format!("{GOLDEN}/01_good.json"), self.path("evidence.json")).unwrap();
    }

    /// Runs the recovery to its end, and says how its steps ended.
    fn finish(&self, flags: &[&str]) -> Vec<String> {
        let ran = self.recover(flags);
        assert_eq!((ran.code, &ran.json()["status"]), (0, &"recovered".into()), "{} {}", ran.stdout, ran.stderr);
        assert_eq!(fs::read_to_string(self.root().join("var/flota/recover/report.json")).unwrap(), ran.stdout);
        assert_eq!(self.half_written(), [""; 0].map(PathBuf::from));
        assert!(self.progress().has_ended());
        assert_eq!(self.runs().as_deref(), Some("healthy 1.0"));
        ran.statuses()
    }
}

/// The other end of a gate, once somebody waits at it.
fn someone_at(gate: &Path, running: &mut Child) -> File {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Without a reader there is nothing to write to.
        match rustix::fs::open(gate, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Ok(held) => return held.into(),
            Err(errno) => assert_eq!(errno, Errno::NXIO),
        }
        assert!(running.try_wait().unwrap().is_none(), "it ended before {}", gate.display());
        assert!(Instant::now() < deadline, "nobody came to {}", gate.display());
        std::thread::yield_now();
    }
}

fn done(progress: &Progress) -> Vec<Step> {
    Step::ALL.into_iter().filter(|step| progress.is_done(*step)).collect()
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// A backup of an installation with this release, and a host on which nothing is left of it.
fn lost_host(ground: &Ground, package: &Path) {
    let ran = ground.recover(&["--package", package.to_str().unwrap()]);
    assert_eq!(
        ran.statuses(),
        ["done", "skipped", "done", "failed", "done", "failed"],
        "{} {}",
        ran.stdout,
        ran.stderr
    );
    fs::write(ground.root().join("config.json"), "{}").unwrap();
    fs::write(ground.root().join("weights.bin"), model()).unwrap();
    fs::rename(ground.root(), ground.backup()).unwrap();
    fs::remove_file(ground.backup().join("running")).unwrap();
}

#[test]
fn killed_in_every_step_it_goes_on_where_it_was_and_does_nothing_twice() {
    use Step::{Apply, Find, Health, Prove, Restore};
    let ground = gated();
    lost_host(&ground, &ground.package("1.0", "healthy", KEY));
    let backup = ground.backup().display().to_string();
    let flags = [["--backup".to_owned(), backup].as_slice(), &ground.proofs()].concat();
    let flags = words(&flags);

    let restoring = ground.kill_at("gate.stop", &flags);
    assert_eq!(done(&restoring), [Find]);
    assert!(!ground.root().join("config.json").exists() && !ground.root().join("current").exists());

    let starting = ground.kill_at("gate.start", &flags);
    assert_eq!((done(&starting), ground.runs()), (vec![Find, Restore], None));
    assert!(ground.root().join("current/bot").is_file());

    let proving = ground.kill_at("evidence.json", &flags);
    assert_eq!((done(&proving), ground.runs().as_deref()), (vec![Find, Restore, Apply], Some("healthy 1.0")));

    ground.put_evidence();
    let asking = ground.kill_at("gate.health", &flags);
    assert_eq!(done(&asking), [Find, Restore, Apply, Prove]);

    assert_eq!(ground.finish(&flags), ["done"; 6]);
    let ended = ground.progress();
    assert_eq!((&ended.began_at, ended.release), (&restoring.began_at, restoring.release));
    for (step, then) in [(Find, &restoring), (Restore, &starting), (Apply, &proving), (Prove, &asking)] {
        assert_eq!(ended.record(step), then.record(step), "what was done is not done again");
    }
    assert!(ended.record(Health).is_some());
    assert_eq!(fs::read(ground.root().join("weights.bin")).unwrap(), model());
}

#[test]
fn killed_before_the_switch_it_leaves_the_old_release_and_ends_on_the_new_one() {
    let ground = gated();
    let old = ground.package("0.9", "healthy", KEY);
    ground.recover(&["--package", old.to_str().unwrap()]);
    let package = ground.package("1.0", "healthy", KEY);
    let flags = [["--package".to_owned(), package.display().to_string()].as_slice(), &ground.proofs()].concat();
    let flags = [&words(&flags)[..], &["--restart"]].concat();
    let (again, restart) = flags.split_at(flags.len() - 1);

    let switching = ground.kill_at("gate.stop", &[again, restart].concat());
    assert_eq!(done(&switching), [Step::Find, Step::Restore]);
    let release = ground.root().join("releases").join(switching.release.unwrap().to_string());
    assert!(release.join("bot").is_file(), "the new release is in its place, whole");
    assert_eq!(fs::read_to_string(ground.root().join("current/bot")).unwrap(), "healthy 0.9\n");
    assert_eq!(ground.runs().as_deref(), Some("healthy 0.9"));

    ground.put_evidence();
    assert_eq!(ground.finish(again), ["done", "skipped", "done", "done", "done", "done"]);
    assert_eq!(fs::read_link(ground.root().join("current")).unwrap(), release.strip_prefix(ground.root()).unwrap());
}

#[test]
fn killed_in_the_middle_of_a_file_it_leaves_the_old_one_and_then_writes_it_whole() {
    let ground = Ground::new();
    lost_host(&ground, &ground.package("1.0", "healthy", KEY));
    fs::create_dir_all(ground.root()).unwrap();
    fs::write(ground.root().join("weights.bin"), "old").unwrap();
    fs::write(ground.backup().join("secrets/.flota-1-0.tmp"), "half-written when the backup was taken").unwrap();
    let backup = ground.backup().display().to_string();
    let flags = [["--backup".to_owned(), backup].as_slice(), &ground.proofs()].concat();
    ground.put_evidence();

    ground.kill_beyond(LIMIT, &words(&flags));
    assert_eq!(done(&ground.progress()), [Step::Find]);
    assert_eq!(fs::read_to_string(ground.root().join("weights.bin")).unwrap(), "old");
    assert!(ground.root().join("config.json").is_file(), "what came before it is there");
    let half = ground.half_written();
    let sizes: Vec<_> = half.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert!(matches!(sizes[..], [size] if (1..1 << 20).contains(&size)), "{half:?} {sizes:?}");

    assert_eq!(ground.finish(&words(&flags)), ["done"; 6]);
    assert_eq!(fs::read(ground.root().join("weights.bin")).unwrap(), model());
}

#[test]
fn killed_while_a_package_arrives_or_is_unpacked_it_has_no_release_and_then_a_whole_one() {
    // The first does not fit into a file of its size, the second only when it is unpacked.
    for (model, half) in [(model(), ".partial"), (vec![0; 1 << 20], "model")] {
        let ground = Ground::new();
        let package = ground.package_with("1.0", "healthy", KEY, &model);
        let flags = [["--package".to_owned(), package.display().to_string()].as_slice(), &ground.proofs()].concat();
        ground.put_evidence();

        ground.kill_beyond(LIMIT, &words(&flags));
        let killed = ground.progress();
        assert_eq!(done(&killed), [Step::Find, Step::Restore]);
        let release = ground.root().join("releases").join(killed.release.unwrap().to_string());
        assert!(!release.exists() && !ground.root().join("current").exists() && ground.runs().is_none());
        let torn = listing(&ground.root()).into_iter().find(|path| path.to_str().unwrap().ends_with(half)).unwrap();
        assert!((1..1 << 20).contains(&fs::metadata(&torn).unwrap().len()), "{}", torn.display());

        assert_eq!(ground.finish(&words(&flags)), ["done", "skipped", "done", "done", "done", "done"]);
        assert_eq!(fs::read(release.join("model")).unwrap(), model);
    }
}

#[test]
fn killed_while_it_writes_its_record_it_has_the_record_before() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    let flags = [["--package".to_owned(), package.display().to_string()].as_slice(), &ground.proofs()].concat();
    let first = ground.recover(&words(&flags));
    assert_eq!(first.statuses(), ["done", "skipped", "done", "failed", "done", "failed"], "no evidence yet");
    let record = ground.root().join("var/flota/recover.json");
    let before = fs::read(&record).unwrap();

    ground.kill_beyond("0", &words(&flags));
    assert_eq!(fs::read(&record).unwrap(), before);
    assert_eq!(ground.half_written().len(), 1, "the record that was on its way");

    ground.put_evidence();
    assert_eq!(ground.finish(&words(&flags)), ["done", "skipped", "done", "done", "done", "done"]);
}
