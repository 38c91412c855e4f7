//! Flota's own programs are updated like a bot: tried, and gone back from.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flota_package::PackageBuilder;
use flota_seal::secret::Secret;
use flota_tests::{Bins, BotHost, Fleet, wait};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{BOUND, supervised, update};

/// What systemd does with `Restart=always`: it starts the installed supervisor again whenever that ends.
struct Keeper(Child);

impl Keeper {
    fn of(host: &BotHost) -> Self {
        let log = fs::File::options().append(true).create(true).open(config(host).with_file_name("supervisor.log"));
        let log = log.unwrap();
        let program = Bins::beside_this_program().unwrap().path("flota-supervisor");
        let script = "while :; do \"$0\" --config \"$1\"; sleep 0.1; done";
        let child = Command::new("sh")
            .args(["-c", script])
            .args([program, config(host)])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let keeper = Self(child);
        wait::until("the supervisor", BOUND, || {
            Ok(std::os::unix::net::UnixStream::connect(host.socket()).is_ok().then_some(()))
        })
        .unwrap();
        keeper
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process_group(group, Signal::KILL).unwrap();
        self.0.wait().unwrap();
    }
}

fn config(host: &BotHost) -> PathBuf {
    host.root().with_file_name("agent.toml")
}

/// Signs a release of one of our programs.
fn sign(fleet: &Fleet, name: &str, version: &str, program: &Path) {
    let source = tempfile::tempdir().unwrap();
    fs::copy(program, source.path().join(name)).unwrap();
    let package = fleet.dir.join(format!("{name}-{version}.tar"));
    let key = fs::read_to_string(fleet.hosts[0].root().join("secrets/package.key")).unwrap();
    let key = Secret::decode(&key, "the test").unwrap();
    PackageBuilder::new(name, version, "linux", "native").build(source.path(), &key, &package).unwrap();
    let desk = fleet.controller.desk().to_string_lossy();
    fleet.admin.ok(&["release", "sign", &desk, package.to_str().unwrap()]).unwrap();
}

/// One of our programs without what a debugger wants, so that it is packed and checked in no time.
fn program(fleet: &Fleet, name: &str) -> PathBuf {
    let slim = fleet.dir.join(format!("{name}.slim"));
    let full = fleet.bins.path(name);
    let stripped = Command::new("strip").arg("-o").arg(&slim).arg(&full).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(full, &slim).unwrap();
    }
    slim
}

/// A script that is no program of ours.
fn broken(fleet: &Fleet) -> PathBuf {
    let path = fleet.dir.join("broken");
    fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// The programs of this name that run below this folder.
fn running(name: &str, below: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let programs = processes.filter_map(|process| fs::read_link(process.path().join("exe")).ok());
    programs.filter(|program| program.starts_with(below) && program.ends_with(name)).count()
}

fn programs(host: &BotHost, start: &str, stop: &str, health: &str) -> PathBuf {
    let root = host.root().with_file_name("programs");
    let shell = |script: &str| format!("[\"sh\", \"-c\", {script:?}]");
    let lines = format!(
        "root = \"{}\"\nagent_start = {}\nagent_stop = {}\nagent_health = {}",
        root.display(),
        shell(start),
        shell(stop),
        shell(health)
    );
    host.configure("programs", &lines).unwrap();
    root
}

#[test]
fn a_supervisor_becomes_its_next_release_and_leaves_one_that_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = supervised(dir.path());
    fleet.hosts[0].kill_supervisor().unwrap();
    let root = programs(&fleet.hosts[0], "true", "true", "true").join("supervisor");
    let _keeper = Keeper::of(&fleet.hosts[0]);
    sign(&fleet, "flota-supervisor", "0.2.0", &program(&fleet, "flota-supervisor"));
    let (host, desk) = (&fleet.hosts[0], fleet.controller.desk().to_str().unwrap());
    let log = || host.supervisor_log();

    let (code, said) = update(host, &["apply", desk, "--of", "supervisor"]);
    assert!(code == 0 && said.contains("0.2.0 runs here."), "{code} {said}\n{}", log());
    assert_eq!(running("flota-supervisor", &root), 1, "{}", log());

    sign(&fleet, "flota-supervisor", "0.3.0", &broken(&fleet));
    let (code, said) = update(host, &["apply", desk, "--of", "supervisor"]);
    assert!(code == 1 && said.contains("0.2.0 runs here again"), "{code} {said}\n{}", log());
    assert!(log().contains("never came to rest"), "{}", log());
    assert_eq!(running("flota-supervisor", &root), 1, "{}", log());
    let (code, said) = update(host, &["apply", desk, "--of", "supervisor"]);
    assert!(code == 2 && said.contains("went back from this release before"), "{code} {said}");

    // A program is no bot, and a bot no program.
    let (code, said) = update(host, &["apply", desk]);
    assert!(code == 2 && said.contains("no package of any release"), "{code} {said}");
    // The bot is updated by the supervisor that became.
    crate::sign(&fleet, "5.0.0", "healthy", &[]);
    let (code, said) = update(host, &["apply", desk]);
    assert!(code == 0 && said.contains("5.0.0 runs here."), "{code} {said}");
    let (_, history) = update(host, &["history", "--of", "supervisor"]);
    assert!(history.contains("rolled_back") && history.contains("committed"), "{history}");
}

#[test]
fn an_agent_becomes_its_next_release_and_leaves_one_that_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = supervised(dir.path());
    fleet.enroll_all().unwrap();
    fleet.hosts[0].kill_supervisor().unwrap();
    let (folder, agent) = (fleet.hosts[0].root().parent().unwrap().to_owned(), fleet.bins.path("flota-agent"));
    let (folder_text, agent) = (folder.display(), agent.display());
    // As systemd keeps it: what ends is started again.
    let run = format!("{agent} run --config {folder_text}/agent.toml");
    let start = format!(
        "cd {folder_text}; TSS2_LOG=all+none setsid sh -c 'while :; do {run}; sleep 0.1; done' >>{folder_text}/agent.log 2>&1 & \
         echo $! >{folder_text}/agent.pid"
    );
    let stop = format!("kill -s TERM -- \"-$(cat {folder_text}/agent.pid)\" 2>/dev/null && sleep 0.3; :");
    let health = format!("kill -0 $(cat {folder_text}/agent.pid)");
    let root = programs(&fleet.hosts[0], &start, &stop, &health).join("agent");
    fleet.hosts[0].start_supervisor().unwrap();
    assert!(Command::new("sh").args(["-c", &start]).status().unwrap().success());
    let _stopper = Stopper(stop);
    fleet.wait_for("fra-bot-01", "the agent", |host| host["trust"] == "trusted").unwrap();
    let (host, desk) = (&fleet.hosts[0], fleet.controller.desk().to_str().unwrap());

    sign(&fleet, "flota-agent", "0.1.0", &broken(&fleet));
    let (code, said) = update(host, &["apply", desk, "--of", "agent"]);
    assert!(
        code == 1 && said.contains("the installed program runs here again"),
        "{code} {said}\n{}",
        host.supervisor_log()
    );
    assert!(
        Command::new("sh").args(["-c", &health]).status().unwrap().success(),
        "the installed agent was not started"
    );
    fleet.wait_for("fra-bot-01", "the installed agent", |host| host["liveness"] == "connected").unwrap();

    sign(&fleet, "flota-agent", "0.2.0", &program(&fleet, "flota-agent"));
    let (code, said) = update(host, &["apply", desk, "--of", "agent"]);
    assert!(code == 0 && said.contains("0.2.0 runs here."), "{code} {said}\n{}", host.supervisor_log());
    assert_eq!(running("flota-agent", &root), 1, "{}", host.log());
    fleet.wait_for("fra-bot-01", "the agent", |host| host["liveness"] == "connected").unwrap();

    sign(&fleet, "flota-agent", "0.3.0", &broken(&fleet));
    let (code, said) = update(host, &["apply", desk, "--of", "agent"]);
    assert!(code == 1 && said.contains("0.2.0 runs here again"), "{code} {said}\n{}", host.supervisor_log());
    assert!(
        said.contains("another agent runs in its place"),
        "the installed one, when the release did not run: {said}"
    );
    wait::until("the agent of before", BOUND, || Ok((running("flota-agent", &root) == 1).then_some(()))).unwrap();
    fleet.wait_for("fra-bot-01", "the agent", |host| host["liveness"] == "connected").unwrap();
}

/// Ends the agent of a test, whose start let it go.
struct Stopper(String);

impl Drop for Stopper {
    fn drop(&mut self) {
        Command::new("sh").args(["-c", &self.0]).status().unwrap();
    }
}
