//! The shell on a real folder, with a bot made of coreutils: `start` copies the release's file to `running`, `stop`
//! removes it, `health` looks whether it says so. `quiesce` leaves the file `resting`, which `resume` and `start` remove; it
//! exits with what is in `busy` if there is one. A start while another bot runs leaves the file `two`.

mod data;
mod folder_side;
mod gates;
mod rest;
mod signed;
mod sweep;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flota_daemon::lifecycle::Lifecycle;
use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal, UpdatePhase, UpdateReport};
use flota_model::{Digest, Generation, RolloutId};
use flota_package::PackageBuilder;
use flota_release::{Addition, Desk, Founding, Lifetimes, MetadataSource, Party, Role, SigningKey};
use flota_seal::secret::Secret;
use tokio_util::sync::CancellationToken;

use folder_side::FolderSide;

use crate::driver::{Updater, UpdaterHandle, WantError};
use crate::files::digest_of;
use crate::outside::{BoxFuture, Outside, OutsideError, Outsides};
use crate::settings::UpdaterSettings;
use crate::{JournalError, SpawnError};

const KEY: &str = "hex:00112233445566778899aabbccddeeff";

/// A host, and a folder that packages come from.
struct Ground {
    folder: tempfile::TempDir,
    settings: UpdaterSettings,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("host");
        for name in ["host/secrets", "host/logs", "packages", "exports"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::create_dir_all(root.join("config")).unwrap();
        let desk = Self::desk_in(folder.path(), Lifetimes::default(), jiff::Timestamp::now());
        fs::copy(desk.metadata_folder().join("1.root.json"), root.join("config/release-root.json")).unwrap();
        drop(desk);
        fs::write(root.join("secrets/key"), KEY).unwrap();
        fs::write(root.join("logs/security_admin.log"), "{\"event\": \"login\"}\n").unwrap();
        let at = root.display();
        let text = format!(
            "root = \"{at}\"\n\
             [bot]\nstart = [\"sh\", \"-c\", \"test -e {at}/running && : > {at}/two; cp {at}/current/bot {at}/running && rm -f {at}/resting\"]\n\
             stop = [\"rm\", \"-f\", \"{at}/running\"]\n\
             quiesce = [\"sh\", \"-c\", \"test -e {at}/busy && exit $(cat {at}/busy); : > {at}/resting\"]\n\
             resume = [\"sh\", \"-c\", \"test ! -e {at}/stuck && rm -f {at}/resting\"]\n\
             health = [\"grep\", \"-q\", \"^healthy\", \"{at}/running\"]\n\
             [package]\nkey_file = \"secrets/key\"\n\
             [update]\nhealth_polls = 2\nhealth_interval_ms = 1\nsnapshot = [\"logs\"]\n"
        );
        fs::write(folder.path().join("agent.toml"), &text).unwrap();
        let settings = UpdaterSettings::parse(&text, "agent.toml").unwrap();
        Self { folder, settings }
    }

    /// A new desk whose roles have one key, all the same.
    fn desk_in(folder: &Path, lifetimes: Lifetimes, at: jiff::Timestamp) -> Desk {
        let key = SigningKey::create(&folder.join("key.pem")).unwrap();
        let party = Party { keys: vec![key.public().unwrap()], threshold: 1 };
        let parties = Role::ALL.map(|role| (role, party.clone())).into();
        let desk = Desk::found(&folder.join("desk"), &Founding { parties, lifetimes }, at).unwrap();
        desk.sign(&[key], false, at).unwrap();
        desk
    }

    fn desk(&self) -> Desk {
        Desk::open(&self.folder.path().join("desk")).unwrap()
    }

    /// Signs what waits, and lets the host see it.
    fn sign(&self, desk: &Desk, at: jiff::Timestamp) {
        let key = SigningKey::read(&self.folder.path().join("key.pem")).unwrap();
        assert_eq!(desk.sign(&[key], false, at).unwrap().unsigned, None);
        let metadata = self.folder.path().join("packages/metadata");
        fs::create_dir_all(&metadata).unwrap();
        for (name, bytes) in desk.files().unwrap() {
            fs::write(metadata.join(name), bytes).unwrap();
        }
    }

    fn root(&self) -> &Path {
        &self.settings.root
    }

    /// A package with this file for a bot, its manifest signed with this key; a release that those who may have signed.
    fn publish(&self, version: &str, bot: Option<&str>, key: &str) -> ReleaseRef {
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("version"), version).unwrap();
        if let Some(bot) = bot {
            fs::write(source.path().join("bot"), format!("{bot} {version}\n")).unwrap();
        }
        let archive = self.folder.path().join(format!("bot-{version}.tar.gz"));
        let key = Secret::decode(key, "the test").unwrap();
        PackageBuilder::new("bot", version, "linux", "python").build(source.path(), &key, &archive).unwrap();
        let (digest, size) = digest_of(&archive).unwrap();
        let mut desk = self.desk();
        desk.add(&archive, &Addition::default(), jiff::Timestamp::now()).unwrap();
        self.sign(&desk, jiff::Timestamp::now());
        fs::rename(&archive, self.folder.path().join("packages").join(digest.to_string())).unwrap();
        ReleaseRef { digest, version: version.to_owned(), size }
    }

    fn good(&self, version: &str) -> ReleaseRef {
        self.publish(version, Some("healthy"), KEY)
    }

    fn outside(&self) -> Arc<dyn Outside> {
        FolderSide::of(self.folder.path())
    }

    fn spawn(&self, outside: Arc<dyn Outside>) -> Agent {
        let lifecycle = Lifecycle::new();
        let handle = Updater::spawn(Arc::new(self.settings.clone()), both(outside), &lifecycle).unwrap();
        Agent { handle, lifecycle }
    }

    /// Opens the updater without running it, once the one before has let go of the journal.
    async fn open(&self) -> (Updater, UpdaterHandle) {
        loop {
            match Updater::open(Arc::new(self.settings.clone()), both(self.outside()), CancellationToken::new()) {
                Err(SpawnError::Journal(JournalError::Locked { .. })) => tokio::task::yield_now().await,
                opened => return opened.unwrap_or_else(|error| panic!("{error}")),
            }
        }
    }

    /// What `current` names and what the bot runs: the same, always.
    fn runs(&self) -> Option<String> {
        let running = fs::read_to_string(self.root().join("running")).ok();
        let current = fs::read_to_string(self.root().join("current/bot")).ok();
        assert_eq!(running, current, "the bot runs something else than `current`");
        assert!(running.is_none() || !self.root().join("resting").exists(), "the bot is left at rest");
        running.map(|text| text.trim_end().to_owned())
    }
}

fn both(outside: Arc<dyn Outside>) -> Outsides {
    Outsides { controller: Arc::clone(&outside), host: outside }
}

struct Agent {
    handle: UpdaterHandle,
    lifecycle: Lifecycle,
}

impl Agent {
    /// Installs a release and waits for the end of it.
    async fn install(&self, generation: u64, release: &ReleaseRef) -> UpdateReport {
        self.handle.want(install(generation, release)).await.unwrap();
        self.ends(generation).await
    }

    async fn ends(&self, generation: u64) -> UpdateReport {
        self.until(|report| report.generation == Generation::new(generation) && report.phase.is_terminal()).await
    }

    async fn until(&self, done: impl FnMut(&UpdateReport) -> bool) -> UpdateReport {
        let mut reports = self.handle.reports();
        let found = tokio::time::timeout(Duration::from_mins(1), reports.wait_for(done)).await;
        found.expect("the update goes on for ever").unwrap().clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

fn install(generation: u64, release: &ReleaseRef) -> DesiredState {
    want(generation, Goal::Install { release: release.clone(), intent: Direction::Forward })
}

fn want(generation: u64, goal: Goal) -> DesiredState {
    DesiredState { generation: Generation::new(generation).unwrap(), goal, rollout: RolloutId::new(7) }
}

fn names(folder: PathBuf) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The records of the archive; each must tell the truth about its file.
fn archived(folder: &Path) -> Vec<serde_json::Value> {
    let records = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let records = records.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| {
        let record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let bundle = fs::read(path.with_extension("")).unwrap();
        assert_eq!(
            (record["blob"].as_str(), record["size_bytes"].as_u64()),
            (Some(&*Digest::of(&bundle).to_string()), Some(bundle.len() as u64))
        );
        assert_eq!((&record["audit_entries"], &record["status"]), (&1.into(), &"ok".into()));
        assert_eq!((&record["rollout"], &record["key_id"]), (&"R-7".into(), &"audit-1".into()));
        record
    };
    records.map(read).collect()
}

#[tokio::test]
async fn releases_follow_each_other_and_each_update_leaves_an_export() {
    let ground = Ground::new();
    let agent = ground.spawn(ground.outside());
    let releases = ["1.0", "2.0", "3.0"].map(|version| ground.good(version));
    for (generation, release) in (1..).zip(&releases) {
        let report = agent.install(generation, release).await;
        assert_eq!((report.phase, report.running), (UpdatePhase::Committed, Some(release.digest)), "{}", report.detail);
        assert_eq!(ground.runs(), Some(format!("healthy {}", release.version)));
        let archive = ground.folder.path().join("exports");
        assert_eq!(archived(&archive).len(), usize::try_from(generation).unwrap());
    }
    // The report comes before the sweep; the next goal is only taken after it.
    agent.install(4, &releases[2]).await;
    let mut kept = [releases[1].digest.to_string(), releases[2].digest.to_string()];
    kept.sort();
    assert_eq!(names(ground.root().join("releases")), kept);
    assert!(!ground.settings.state_dir.join("downloads").exists());
}

#[tokio::test]
async fn a_sick_release_is_rolled_back_and_refused_from_then_on() {
    let mut ground = Ground::new();
    ground.settings.update.probation = Duration::from_secs(2);
    let agent = ground.spawn(ground.outside());
    let (old, sick) = (ground.good("1.0"), ground.publish("2.0", Some("sick"), KEY));
    agent.install(1, &old).await;
    let report = agent.install(2, &sick).await;
    assert_eq!((report.phase, report.running), (UpdatePhase::RolledBack, Some(old.digest)), "{}", report.detail);
    assert!(report.detail.contains("not healthy within 2 s"), "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
    assert_eq!(agent.install(3, &sick).await.phase, UpdatePhase::Refused);
}

#[tokio::test]
async fn a_package_of_other_hands_changes_nothing() {
    let ground = Ground::new();
    let agent = ground.spawn(ground.outside());
    agent.install(1, &ground.good("1.0")).await;
    let foreign = ground.publish("2.0", Some("healthy"), "hex:ffff");
    let report = agent.install(2, &foreign).await;
    assert_eq!(report.phase, UpdatePhase::Refused);
    assert!(report.detail.contains("the package is not good"), "{}", report.detail);
    let mislabelled = ReleaseRef { version: "9.9".into(), ..ground.good("3.0") };
    let report = agent.install(3, &mislabelled).await;
    assert!(report.phase == UpdatePhase::Refused && report.detail.contains("signed as 3.0"), "{}", report.detail);
    let unknown = ReleaseRef { digest: Digest::of(b"never published"), ..foreign };
    assert_eq!(agent.install(4, &unknown).await.phase, UpdatePhase::Refused);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}

#[tokio::test]
async fn a_sick_bot_is_not_updated_unless_that_is_allowed() {
    let mut ground = Ground::new();
    let (old, new) = (ground.good("1.0"), ground.good("2.0"));
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    fs::remove_file(ground.root().join("running")).unwrap();
    let report = agent.install(2, &new).await;
    assert_eq!(report.phase, UpdatePhase::Refused);
    assert!(report.detail.contains("not healthy before its update"), "{}", report.detail);
    drop(agent);
    ground.settings.update.sick_start = crate::settings::SickStart::Allowed;
    let (updater, handle) = ground.open().await;
    let (report, ()) = tokio::join!(
        async {
            handle.want(install(3, &new)).await.unwrap();
            let ended = handle.reports().wait_for(|report| report.phase.is_terminal()).await.unwrap().clone();
            drop(handle);
            ended
        },
        updater.run(),
    );
    assert_eq!(report.phase, UpdatePhase::Committed, "{}", report.detail);
}

/// Never brings anything but metadata.
struct Stalled(Arc<dyn Outside>);

impl Outside for Stalled {
    fn host_id(&self) -> Option<String> {
        self.0.host_id()
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.0.metadata()
    }

    fn fetch<'a>(
        &'a self,
        _: &'a ReleaseRef,
        _: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(std::future::pending())
    }

    fn export<'a>(&'a self, _: &'a ReleaseRef, _: Option<RolloutId>) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn staying_cancels_a_download_that_stalls() {
    let ground = Ground::new();
    let agent = ground.spawn(Arc::new(Stalled(ground.outside())));
    let release = ground.good("1.0");
    agent.handle.want(install(5, &release)).await.unwrap();
    agent.until(|report| report.phase == UpdatePhase::Downloading).await;
    assert!(matches!(agent.handle.want(install(4, &release)).await, Err(WantError::Rejected(_))));
    agent.handle.want(want(6, Goal::Stay)).await.unwrap();
    let report = agent.ends(6).await;
    assert_eq!((report.phase, report.running), (UpdatePhase::Committed, None));
}

/// A new life, to its rest.
async fn finish(ground: &Ground) {
    let (updater, handle) = ground.open().await;
    drop(handle);
    updater.run().await;
}

async fn host_with_old_release() -> Ground {
    let ground = Ground::new();
    let old = ground.good("1.0");
    let (updater, handle) = ground.open().await;
    let (wanted, ()) = tokio::join!(
        async {
            let wanted = handle.want(install(1, &old)).await;
            drop(handle);
            wanted
        },
        updater.run()
    );
    wanted.unwrap();
    ground
}

#[tokio::test]
async fn an_agent_that_dies_in_the_middle_of_anything_still_brings_the_update_to_its_end() {
    for polls in (1..).step_by(3) {
        let ground = host_with_old_release().await;
        let release = ground.good("2.0");
        let (updater, handle) = ground.open().await;
        let disk = Arc::clone(&updater.host.disk);
        let life = async {
            let wanted = async {
                let _ = handle.want(install(2, &release)).await;
                drop(handle);
            };
            tokio::join!(wanted, updater.run());
        };
        let lived = at_most(polls, life).await;
        // A dead process does not go on writing, as a thread of this one does.
        drop(disk.lock_owned().await);
        if lived {
            assert!(polls > 10, "the update takes more than {polls} polls");
            break;
        }
        finish(&ground).await;
        let (updater, handle) = ground.open().await;
        let (ended, ()) = tokio::join!(
            async {
                // Died before the goal was on disk, or after: the controller says it again.
                handle.want(install(2, &release)).await.unwrap();
                let report = handle.reports().wait_for(|report| report.phase.is_terminal()).await.unwrap().clone();
                drop(handle);
                report
            },
            updater.run()
        );
        assert_eq!(ended.phase, UpdatePhase::Committed, "died after {polls} polls: {}", ended.detail);
        assert_eq!(ground.runs(), Some("healthy 2.0".to_owned()), "died after {polls} polls");
    }
}

/// Polls a future so many times; false if it is not done by then.
async fn at_most(polls: usize, future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
