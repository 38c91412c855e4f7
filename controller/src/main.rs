//! `flota-controller`: makes a controller, runs it, adds operators.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use flota_controller::backup;
use flota_controller::core::SystemClock;
use flota_controller::init::{self, NewController};
use flota_controller::run;
use flota_model::Role;

/// Exit code of a configuration that cannot be used (sysexits.h, EX_USAGE).
const EXIT_USAGE: u8 = 64;

/// Coordinates a fleet of trading-bot hosts.
#[derive(Parser)]
#[command(name = "flota-controller", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a data folder: fleet CA, database, settings, first administrator.
    Init {
        /// Folder to make; must hold no controller yet.
        #[arg(long)]
        data_dir: PathBuf,
        /// Name of the fleet.
        #[arg(long, default_value = "fleet")]
        fleet: String,
        /// DNS name or address under which hosts reach the controller; repeat for more.
        #[arg(long = "name", required = true)]
        names: Vec<String>,
        /// PEM file of the TPM vendors' root certificates whose hosts may enrol.
        #[arg(long)]
        ek_roots: PathBuf,
        /// The first root of the release metadata: metadata/1.root.json of the folder in which releases are signed. May
        /// be copied to the data folder later, as release-root.json
        #[arg(long)]
        release_root: Option<PathBuf>,
        /// Where hosts enrol.
        #[arg(long, default_value = "0.0.0.0:7442")]
        enrollment_listen: String,
        /// Where enrolled hosts and operators connect.
        #[arg(long, default_value = "0.0.0.0:7443")]
        fleet_listen: String,
        /// Name of the first administrator.
        #[arg(long, default_value = "admin")]
        admin: String,
    },
    /// Run the controller of a data folder.
    Run {
        /// Its data folder.
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Make and check backups, on the controller's own machine; it may run meanwhile.
    Backup {
        #[command(subcommand)]
        command: BackupCommand,
    },
    /// Make the controller of a backup again. Every rollout that ran stands still until a person lets it go on.
    Restore {
        /// The folder of the backup.
        #[arg(long)]
        from: PathBuf,
        /// Folder to make; must be empty if it is there.
        #[arg(long)]
        data_dir: PathBuf,
        /// A newer copy of audit-checkpoints.jsonl, if there is one: it tells how much of the log is lost.
        #[arg(long)]
        checkpoints: Option<PathBuf>,
    },
    /// Manage operators, on the controller's own machine.
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
}

#[derive(Subcommand)]
enum BackupCommand {
    /// Copy database, keys, settings, packages and exports into a new folder. It holds the keys of the fleet: guard it.
    Run {
        /// The controller's data folder.
        #[arg(long)]
        data_dir: PathBuf,
        /// Folder to make.
        #[arg(long)]
        to: PathBuf,
    },
    /// Check that every file of a backup is what it was, and that its audit log holds up to its signed head.
    Verify {
        /// The folder of the backup.
        folder: PathBuf,
    },
}

#[derive(Subcommand)]
enum OperatorCommand {
    /// Add an operator: writes certificate, key and context to a folder to be handed over.
    Add {
        /// The controller's data folder.
        #[arg(long)]
        data_dir: PathBuf,
        /// Name, for certificates and the audit log.
        name: String,
        /// viewer, operator, approver, security or admin.
        #[arg(long)]
        role: Role,
    },
    /// Remove an operator: from the next request on its certificate is worth nothing. To renew a certificate, remove the
    /// operator and add it again.
    Remove {
        /// The controller's data folder.
        #[arg(long)]
        data_dir: PathBuf,
        /// Its name.
        name: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    flota_daemon::logging::init("info");
    flota_net::tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "starting threads");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(execute(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, code }) => {
            eprintln!("error: {}", flota_daemon::error_chain::chain(&*error));
            ExitCode::from(code)
        }
    }
}

struct Failure {
    error: Box<dyn std::error::Error>,
    code: u8,
}

impl From<init::InitError> for Failure {
    fn from(error: init::InitError) -> Self {
        Self { error: Box::new(error), code: 1 }
    }
}

impl From<backup::BackupError> for Failure {
    fn from(error: backup::BackupError) -> Self {
        let code = if matches!(error, backup::BackupError::Settings(_)) { EXIT_USAGE } else { 1 };
        Self { error: Box::new(error), code }
    }
}

impl From<run::RunError> for Failure {
    fn from(error: run::RunError) -> Self {
        let code = if matches!(error, run::RunError::Settings(_)) { EXIT_USAGE } else { 1 };
        Self { error: Box::new(error), code }
    }
}

async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init { data_dir, fleet, names, ek_roots, release_root, enrollment_listen, fleet_listen, admin } => {
            let new = NewController {
                data_dir,
                fleet,
                names,
                enrollment_listen,
                fleet_listen,
                ek_roots,
                release_root,
                admin,
            };
            let folder = init::create(&new, &SystemClock).await?;
            say_operator(&folder);
            eprintln!("Next:      flota-controller run --data-dir {}", new.data_dir.display());
        }
        Command::Run { data_dir } => run::run(&data_dir).await?,
        Command::Backup { command: BackupCommand::Run { data_dir, to } } => {
            let backup::Made { backup, left_out } = backup::make(&data_dir, &to, &SystemClock).await?;
            say_backup("Backup:   ", &backup);
            eprintln!("In:        {} (it holds the keys of the fleet: guard it)", to.display());
            for path in left_out {
                eprintln!("Not in it: {} (it is outside of the data folder: keep it elsewhere)", path.display());
            }
        }
        Command::Backup { command: BackupCommand::Verify { folder } } => {
            say_backup("Holds:    ", &backup::verify(&folder).await?);
        }
        Command::Restore { from, data_dir, checkpoints } => {
            let returned = backup::restore(&from, &data_dir, checkpoints.as_deref(), &SystemClock).await?;
            say_returned(&returned, &data_dir);
        }
        Command::Operator { command: OperatorCommand::Add { data_dir, name, role } } => {
            say_operator(&init::add_operator(&data_dir, &name, role, &SystemClock).await?);
        }
        Command::Operator { command: OperatorCommand::Remove { data_dir, name } } => {
            init::remove_operator(&data_dir, &name, &SystemClock).await?;
            eprintln!("Removed:   {name}");
        }
    }
    Ok(())
}

fn say_backup(word: &str, backup: &backup::Backup) {
    let backup::Backup { made_at, entries, files, bytes } = backup;
    let mib = bytes.div_ceil(1 << 20);
    eprintln!("{word} made {made_at}: {files} files, {mib} MiB, {entries} entries of the audit log");
}

fn say_returned(returned: &backup::Returned, data_dir: &std::path::Path) {
    let backup::Returned { backup, paused, next_rollout, lost } = returned;
    say_backup("Restored: ", backup);
    match lost {
        Some(0) => {
            eprintln!("Lost:      nothing that the checkpoints know of; what came after the newest is not counted");
        }
        Some(lost) => eprintln!("Lost:      {lost} entries of the audit log that came after it, at least"),
        None => eprintln!("Lost:      what came after it; a newer copy of audit-checkpoints.jsonl would tell how much"),
    }
    let ids: Vec<String> = paused.iter().map(ToString::to_string).collect();
    let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
    eprintln!("Paused:    {ids} (they may have been ended since; resume or abort each)");
    eprintln!("Numbers:   the next rollout is {next_rollout}; those before may have been used since");
    eprintln!("Look at:   operators, tokens, quarantines and freezes: what was revoked or ended since is as it was");
    eprintln!("Next:      flota-controller run --data-dir {}", data_dir.display());
}

fn say_operator(folder: &std::path::Path) {
    eprintln!("Operator:  {} (certificate, key and context; keep the key secret)", folder.display());
    eprintln!("Use it:    export FLOTA_CONFIG={}", folder.join("contexts.toml").display());
}
