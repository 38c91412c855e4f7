//! What `agent.toml` may say to the updater, key by key.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Reader, Section};
use super::values::{
    absolute_path, argv, exchange_check, milliseconds, path, paths_below, polls, rate, seconds, sick_start, soak, text,
};
use super::{
    BotSettings, Component, ExchangeCheck, Home, PackageSettings, ProgramsSettings, RestCommands, ServiceCommand,
    SickStart, UpdateSettings, UpdaterSettings,
};

/// Time to start the bot unless told otherwise; exchanges take their time to accept a session.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Time to stop it; an orderly farewell cancels resting orders.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);
/// Time to answer one health question.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to come to rest: orders are cancelled at once, and positions are closed at prices that come.
const QUIESCE_TIMEOUT: Duration = Duration::from_mins(5);
/// Time to trade again.
const RESUME_TIMEOUT: Duration = Duration::from_mins(1);
/// Probation unless told otherwise.
const PROBATION: Duration = Duration::from_mins(2);
/// Where the first root of the release metadata is unless told otherwise.
const RELEASE_ROOT: &str = "config/release-root.json";
/// What the agent keeps unless told otherwise.
const AGENT_DIR: &str = "var/flota/agent";
/// What a supervisor keeps unless told otherwise.
const SUPERVISOR_DIR: &str = "var/flota/supervisor";
/// Where a supervisor is spoken to unless told otherwise: the folder is made for its service (systemd, RuntimeDirectory).
const SUPERVISOR_SOCKET: &str = "/run/flota/supervisor.sock";
/// Where an updater within the agent is spoken to, in the agent's folder.
const AGENT_SOCKET: &str = "updater.sock";
/// Where Flota's own programs are, as releases, unless told otherwise.
const PROGRAMS_DIR: &str = "/opt/flota";
/// Time for a release to test itself.
const SELF_TEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Healthy answers in a row unless told otherwise: one may be luck, three over two seconds rarely are.
const HEALTH_POLLS: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// Pause between two questions unless told otherwise.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the updater's sections, and says where relative paths start. Nothing is returned of settings with a problem.
pub fn read(reader: &mut Reader, top: &mut Section<'_>) -> (Option<UpdaterSettings>, Base) {
    let root = reader.required(top, "root", absolute_path);
    // Without a root the paths below it are still checked for everything else.
    let base = Base(root.clone().unwrap_or_default());
    let agent_dir = base.join(reader.or(top, "state_dir", path, PathBuf::from(AGENT_DIR)));
    let bot = table(reader, top, "bot", &base, |reader, section, _| bot(reader, section));
    let package = table(reader, top, "package", &base, |reader, section, base| {
        let release_root = reader.or(section, "release_root", path, PathBuf::from(RELEASE_ROOT));
        let key_file = reader.required(section, "key_file", path)?;
        let (key_file, release_root) = (base.join(key_file), base.join(release_root));
        Some(PackageSettings { key_file, release_root, component: Component::Bot })
    });
    let update = table(reader, top, "update", &base, |reader, section, _| Some(update(reader, section)));
    let place = table(reader, top, "supervisor", &base, |reader, section, base| {
        if section.is_present() { supervisor(reader, section, base) } else { Some(within(&agent_dir)) }
    });
    let programs = table(reader, top, "programs", &base, |reader, section, base| {
        if section.is_present() { programs(reader, section, base, package.as_ref()?).map(Some) } else { Some(None) }
    });
    let settings = (|| {
        let Place { home, state_dir, socket } = place?;
        let (root, bot, package, update, programs) = (root?, Some(bot?), package?, update?, programs?);
        Some(UpdaterSettings { root, agent_dir, state_dir, socket, home, bot, package, update, programs })
    })();
    (settings, base)
}

/// Where the updater lives.
struct Place {
    home: Home,
    state_dir: PathBuf,
    socket: PathBuf,
}

fn within(agent_dir: &Path) -> Place {
    Place { home: Home::Agent, state_dir: agent_dir.to_owned(), socket: agent_dir.join(AGENT_SOCKET) }
}

fn supervisor(reader: &mut Reader, section: &mut Section<'_>, base: &Base) -> Option<Place> {
    let agent_user = reader.required(section, "agent_user", text);
    let state_dir = base.join(reader.or(section, "state_dir", path, PathBuf::from(SUPERVISOR_DIR)));
    let socket = base.join(reader.or(section, "socket", path, PathBuf::from(SUPERVISOR_SOCKET)));
    Some(Place { home: Home::Supervisor { agent_user: agent_user? }, state_dir, socket })
}

fn programs(
    reader: &mut Reader,
    section: &mut Section<'_>,
    base: &Base,
    package: &PackageSettings,
) -> Option<ProgramsSettings> {
    let root = base.join(reader.or(section, "root", path, PathBuf::from(PROGRAMS_DIR)));
    let key_file = reader.optional(section, "key_file", path).map(|file| base.join(file));
    let release_root = reader.optional(section, "release_root", path).map(|file| base.join(file));
    let start = command(reader, section, "agent_start", "agent_start_timeout_seconds", START_TIMEOUT);
    let stop = command(reader, section, "agent_stop", "agent_stop_timeout_seconds", STOP_TIMEOUT);
    let health = command(reader, section, "agent_health", "agent_health_timeout_seconds", HEALTH_TIMEOUT);
    let package = PackageSettings {
        key_file: key_file.unwrap_or_else(|| package.key_file.clone()),
        release_root: release_root.unwrap_or_else(|| package.release_root.clone()),
        component: Component::Agent,
    };
    let agent = BotSettings { start: start?, stop: stop?, health: health?, rest: None };
    Some(ProgramsSettings { root, package, agent })
}

/// The folder that relative paths start from.
#[derive(Debug)]
pub struct Base(PathBuf);

impl Base {
    /// A path of the settings, absolute.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }
}

/// Reads the table `[name]`, and reports what should not be in it.
pub fn table<'i, T>(
    reader: &mut Reader,
    top: &mut Section<'i>,
    name: &'static str,
    base: &Base,
    read: impl FnOnce(&mut Reader, &mut Section<'i>, &Base) -> Option<T>,
) -> Option<T> {
    let mut section = reader.table(top, name);
    let value = read(reader, &mut section, base);
    reader.close(section);
    value
}

fn bot(reader: &mut Reader, section: &mut Section<'_>) -> Option<BotSettings> {
    let start = command(reader, section, "start", "start_timeout_seconds", START_TIMEOUT);
    let stop = command(reader, section, "stop", "stop_timeout_seconds", STOP_TIMEOUT);
    let health = command(reader, section, "health", "health_timeout_seconds", HEALTH_TIMEOUT);
    let rest = if section.has("quiesce") || section.has("resume") {
        // One without the other would leave a bot at rest, or never bring it there.
        let quiesce = command(reader, section, "quiesce", "quiesce_timeout_seconds", QUIESCE_TIMEOUT);
        let resume = command(reader, section, "resume", "resume_timeout_seconds", RESUME_TIMEOUT);
        Some(RestCommands { quiesce: quiesce?, resume: resume? })
    } else {
        None
    };
    Some(BotSettings { start: start?, stop: stop?, health: health?, rest })
}

fn command(
    reader: &mut Reader,
    section: &mut Section<'_>,
    key: &'static str,
    timeout_key: &'static str,
    default: Duration,
) -> Option<ServiceCommand> {
    let argv = reader.required(section, key, argv);
    let timeout = reader.or(section, timeout_key, seconds, default);
    let (program, arguments) = argv?;
    Some(ServiceCommand { program, arguments, timeout })
}

fn update(reader: &mut Reader, section: &mut Section<'_>) -> UpdateSettings {
    let self_test = section
        .has("self_test")
        .then(|| command(reader, section, "self_test", "self_test_timeout_seconds", SELF_TEST_TIMEOUT));
    UpdateSettings {
        probation: reader.or(section, "probation_seconds", seconds, PROBATION),
        soak: reader.optional(section, "soak_seconds", soak),
        health_polls: reader.or(section, "health_polls", polls, HEALTH_POLLS),
        health_interval: reader.or(section, "health_interval_ms", milliseconds, HEALTH_INTERVAL),
        exchange_check: reader.or(section, "probation_exchange_check", exchange_check, ExchangeCheck::Required),
        sick_start: reader.or(section, "allow_unhealthy_start", sick_start, SickStart::Refused),
        rate: reader.optional(section, "max_kib_per_second", rate),
        snapshot: reader.or(section, "snapshot", paths_below, Vec::new()),
        self_test: self_test.flatten(),
    }
}
