//! An agent in other hands: what its user can do to the host through the supervisor, and beside it.
//!
//! Needs root: the supervisor runs as root and the thief as another user, since that is what keeps them apart.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal, UpdatePhase, UpdateReport};
use flota_model::{Digest, Generation, RolloutId};
use flota_release::{Bundle, MetadataSource};
use flota_updater::settings::Component;
use flota_updater::socket::{Call, CallError, Client, Returned, Service};
use flota_updater::{BoxFuture, Origin, Outside, OutsideError};
use serde::{Deserialize, Serialize};

use crate::{sign, supervised, update};

/// `nobody`, on every Linux.
const THIEF: u32 = 65534;
/// Tells a process that it is the thief, and of what.
const SCRIPT: &str = "FLOTA_TEST_THIEF";

#[derive(Debug, Serialize, Deserialize)]
struct Script {
    socket: PathBuf,
    root: PathBuf,
    desk: PathBuf,
    secret: PathBuf,
}

#[tokio::test]
async fn a_stolen_agent_gets_nothing_but_what_was_signed() {
    if let Ok(script) = std::env::var(SCRIPT) {
        return thief(serde_json::from_str(&script).unwrap()).await;
    }
    if crate::own_user() != 0 {
        eprintln!("not tried: keeping two users apart takes root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut fleet = supervised(dir.path());
    sign(&fleet, "5.0.0", "healthy", &[]);
    sign(&fleet, "5.1.0", "healthy", &["--security-floor", "5.1.0"]);
    let newest = sign(&fleet, "5.2.0", "healthy", &[]);
    let desk = fleet.controller.desk().to_owned();
    // From here on another user is the agent.
    let host = &mut fleet.hosts[0];
    host.kill_supervisor().unwrap();
    let config = host.root().with_file_name("agent.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("agent_user = \"0\"", &format!("agent_user = \"{THIEF}\""))).unwrap();
    let (root, agent_dir) = (host.root().to_owned(), host.root().join("var/flota/agent"));
    fs::remove_dir_all(&agent_dir).unwrap();
    host.start_supervisor().unwrap();
    assert_eq!(fs::metadata(&agent_dir).unwrap().uid(), THIEF, "the supervisor makes room for the agent");
    assert_eq!(update(host, &["apply", desk.to_str().unwrap(), "--release", "5.1.0"]).0, 0);
    let secret = root.join("secrets/package.key");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();

    let program = dir.path().join("thief");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let script = Script { socket: host.socket(), root: root.clone(), desk, secret };
    let output = Command::new(&program)
        .args(["--exact", "stolen::a_stolen_agent_gets_nothing_but_what_was_signed", "--nocapture"])
        .env(SCRIPT, serde_json::to_string(&script).unwrap())
        .current_dir("/")
        .uid(THIEF)
        .gid(THIEF)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&said), host.supervisor_log());
    // It was let have its way with what was signed, and with nothing else.
    assert_eq!((host.current().unwrap(), host.bot_version().unwrap()), (newest, "5.2.0".to_owned()));
    let pinned = fs::read_to_string(root.join("var/flota/supervisor/host-id")).unwrap();
    assert_eq!(pinned, "0123456789abcdef", "the id that was heard first");
}

/// All that another user tries. As that user.
async fn thief(script: Script) {
    let Script { socket, root, desk, secret } = &script;
    // Beside the supervisor: the system keeps it away from everything that counts.
    let files = ["current", "releases/x", "var/flota/supervisor/update.a.json", "config/release-root.json"];
    for path in files.map(|file| root.join(file)).into_iter().chain([root.with_file_name("agent.toml")]) {
        let written = fs::write(&path, "x").unwrap_err();
        assert!(
            matches!(written.kind(), ErrorKind::PermissionDenied | ErrorKind::IsADirectory),
            "{}: {written}",
            path.display()
        );
    }
    assert!(symlink("releases/x", root.join("current")).is_err());
    assert_eq!(fs::read(secret).unwrap_err().kind(), ErrorKind::PermissionDenied);

    // As a person on the host it is not listened to.
    let client = connect(socket, Origin::Host, Fetch::Honest, desk).await;
    assert!(matches!(client.call(Call::State).await, Err(CallError::Refused(why)) if why.contains("may not start")));
    let agent = connect(socket, Origin::Controller, Fetch::Honest, desk).await;
    let bundle = Bundle::open(desk).unwrap();
    let release = |version: &str| {
        let entry = bundle.choose(Some(version), |_| true).unwrap();
        ReleaseRef { digest: entry.digest, version: version.to_owned(), size: entry.size }
    };
    let wanted = |generation, release: ReleaseRef, intent, rollout| DesiredState {
        generation: Generation::new(generation).unwrap(),
        goal: Goal::Install { release, intent },
        rollout,
    };
    let by_hand = wanted(100, release("5.2.0"), Direction::Forward, RolloutId::ON_THE_HOST);
    for call in [
        Call::Apply { release: release("5.2.0") },
        Call::Cancel,
        Call::RollBack { expected: None },
        Call::Want { desired: by_hand },
    ] {
        let refused = agent.call(call.clone()).await;
        assert!(
            matches!(&refused, Err(CallError::Refused(why)) if why.contains("may not ask")),
            "{call:?}: {refused:?}"
        );
    }

    // As a controller's agent it may want what it likes, and gets what was signed and is not too old.
    let forged = ReleaseRef { digest: Digest::of(b"forged"), version: "6.0.0".into(), size: 10 };
    let report = install(&agent, wanted(101, forged, Direction::Forward, RolloutId::new(1))).await;
    assert!(report.phase == UpdatePhase::Refused && report.detail.contains("release_not_signed"), "{report:?}");
    for (generation, intent) in [(102, Direction::Forward), (103, Direction::Back)] {
        let report = install(&agent, wanted(generation, release("5.0.0"), intent, RolloutId::new(1))).await;
        assert!(report.phase == UpdatePhase::Refused && report.detail.contains("security_floor"), "{report:?}");
    }
    drop(agent);
    // Other bytes than those that were signed, and a link to what only the supervisor may read.
    for (generation, how, why) in
        [(104, Fetch::Altered, "what arrived is not the package"), (105, Fetch::Link(secret.clone()), "reading")]
    {
        let agent = connect(socket, Origin::Controller, how, desk).await;
        let goal = wanted(generation, release("5.2.0"), Direction::Forward, RolloutId::new(1));
        agent.call(Call::Want { desired: goal }).await.unwrap();
        until(&agent, |report| report.detail.contains(why)).await;
        let _ = fs::remove_file(parcel(root, &release("5.2.0")));
    }
    let agent = connect(socket, Origin::Controller, Fetch::Honest, desk).await;
    let report = install(&agent, wanted(106, release("5.2.0"), Direction::Forward, RolloutId::new(1))).await;
    assert_eq!(report.phase, UpdatePhase::Committed, "{report:?}");
    // The releases are whoever reads them, and nobody writes them.
    let inside = root.join("releases").join(release("5.2.0").digest.to_string()).join("bot.json");
    assert_eq!(fs::write(inside, "{}").unwrap_err().kind(), ErrorKind::PermissionDenied);
}

fn parcel(root: &Path, release: &ReleaseRef) -> PathBuf {
    root.join(format!("var/flota/agent/downloads/{}.partial", release.digest))
}

async fn install(agent: &Client, desired: DesiredState) -> UpdateReport {
    let generation = desired.generation;
    let accepted = agent.call(Call::Want { desired }).await.unwrap();
    assert_eq!(accepted, Returned::Accepted { generation });
    until(agent, |report| report.generation == Some(generation) && report.phase.is_terminal()).await
}

async fn until(agent: &Client, holds: impl Fn(&UpdateReport) -> bool) -> UpdateReport {
    let mut reports = agent.reports();
    let found = reports.wait_for(|report| report.as_ref().is_some_and(&holds));
    let found = tokio::time::timeout(crate::BOUND, found).await;
    found.unwrap_or_else(|_| panic!("it never comes to that")).unwrap().clone().unwrap()
}

async fn connect(socket: &Path, origin: Origin, fetch: Fetch, desk: &Path) -> Client {
    let id = if matches!(fetch, Fetch::Honest) { "0123456789abcdef" } else { "fedcba9876543210" };
    let outside = Side { desk: desk.to_owned(), fetch, id };
    Client::connect(socket, Component::Bot, Some(Service { origin, outside: Arc::new(outside) })).await.unwrap()
}

/// What it brings when it is asked for a package.
enum Fetch {
    Honest,
    Altered,
    Link(PathBuf),
}

struct Side {
    desk: PathBuf,
    fetch: Fetch,
    id: &'static str,
}

impl Outside for Side {
    fn host_id(&self) -> Option<String> {
        Some(self.id.to_owned())
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        Arc::new(Bundle::open(&self.desk).unwrap().metadata())
    }

    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        let bundle = Bundle::open(&self.desk).unwrap();
        let package = bundle.package(bundle.choose(Some(&release.version), |_| true).unwrap());
        fs::create_dir_all(into.parent().unwrap()).unwrap();
        let _ = fs::remove_file(into);
        match &self.fetch {
            Fetch::Honest => drop(fs::copy(package, into).unwrap()),
            Fetch::Altered => {
                let mut bytes = fs::read(package).unwrap();
                bytes[0] ^= 1;
                fs::write(into, bytes).unwrap();
            }
            Fetch::Link(to) => symlink(to, into).unwrap(),
        }
        Box::pin(async { Ok(()) })
    }

    fn export<'a>(&'a self, _: &'a ReleaseRef, _: Option<RolloutId>) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async { Ok(()) })
    }
}
