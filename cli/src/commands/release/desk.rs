//! `flota release init`, `withdraw` and `rotate-root`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use flota_release::{Desk, Founding, Lifetimes, Party, PublicKey, Role, RootChange, SigningKey};

use super::sign::{Outcome, report};
use super::{KEYS, bad_key, keys, open, present, refused};
use crate::confirm::{self, Assent};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::clean;

/// `flota release init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to make
    folder: PathBuf,
    /// A key that signs roots (public, or private); may be repeated [default: one is made]
    #[arg(long = "root-key", value_name = "FILE")]
    root: Vec<PathBuf>,
    /// A key that signs lists of releases; may be repeated [default: one is made]
    #[arg(long = "targets-key", value_name = "FILE")]
    targets: Vec<PathBuf>,
    /// A key that signs snapshots; may be repeated [default: one is made]
    #[arg(long = "snapshot-key", value_name = "FILE")]
    snapshot: Vec<PathBuf>,
    /// A key that signs timestamps; may be repeated [default: one is made]
    #[arg(long = "timestamp-key", value_name = "FILE")]
    timestamp: Vec<PathBuf>,
    /// How many keys must sign a root
    #[arg(long, value_name = "N", default_value_t = 1)]
    root_threshold: u64,
    /// How many keys must sign a list of releases
    #[arg(long, value_name = "N", default_value_t = 1)]
    targets_threshold: u64,
    /// Days that a list of releases holds
    #[arg(long, value_name = "DAYS", default_value_t = Lifetimes::default().targets_days)]
    targets_days: u16,
    /// Days that snapshots and timestamps hold: how long hosts can be kept from learning of a newer list
    #[arg(long, value_name = "DAYS", default_value_t = Lifetimes::default().timestamp_days)]
    timestamp_days: u16,
    /// A private key to sign the first root with; may be repeated [default: those that are made]
    #[arg(long = "key", value_name = "FILE")]
    sign_with: Vec<PathBuf>,
}

/// `flota release withdraw`
#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    /// The folder in which releases are signed
    folder: PathBuf,
    /// The version to take back
    version: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// `flota release rotate-root`
#[derive(Debug, Args)]
pub(crate) struct RotateRoot {
    /// The folder in which releases are signed
    folder: PathBuf,
    /// Whose keys change; without it the root is only made to hold longer
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<RoleName>,
    /// A key that signs from now on (public, or private); may be repeated
    #[arg(long = "add-key", value_name = "FILE", requires = "role")]
    add: Vec<PathBuf>,
    /// Id of a key that does not sign any more, or the file with it; may be repeated
    #[arg(long = "remove-key", value_name = "ID|FILE", requires = "role")]
    remove: Vec<String>,
    /// How many keys must sign from now on
    #[arg(long, value_name = "N", requires = "role")]
    threshold: Option<u64>,
}

/// A role, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Says who signs
    Root,
    /// Says which releases there are
    Targets,
    /// Says which lists belong together
    Snapshot,
    /// Says which snapshot is the newest
    Timestamp,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Root => Self::Root,
            RoleName::Targets => Self::Targets,
            RoleName::Snapshot => Self::Snapshot,
            RoleName::Timestamp => Self::Timestamp,
        }
    }
}

/// `flota release init`
pub(super) fn init(invocation: &Invocation, args: &Init) -> Result<Exit, Failure> {
    if args.folder.join("desk.json").exists() {
        return Err(refused(&flota_release::DeskError::AlreadyThere(args.folder.clone())));
    }
    let given = [
        (Role::Root, &args.root, args.root_threshold),
        (Role::Targets, &args.targets, args.targets_threshold),
        (Role::Snapshot, &args.snapshot, 1),
        (Role::Timestamp, &args.timestamp, 1),
    ];
    let mut parties = BTreeMap::new();
    let mut made = Vec::new();
    for (role, files, threshold) in given {
        let mut party = files.iter().map(|file| PublicKey::read(file)).collect::<Result<Vec<_>, _>>();
        if files.is_empty() {
            let path = args.folder.join(KEYS).join(format!("{role}.pem"));
            party = new_key(&path).and_then(|key| Ok(vec![key.public()?]));
            made.push(path);
        }
        parties.insert(role, Party { keys: party.map_err(|error| bad_key(&error))?, threshold });
    }
    let lifetimes = Lifetimes {
        targets_days: args.targets_days,
        snapshot_days: args.timestamp_days,
        timestamp_days: args.timestamp_days,
        ..Lifetimes::default()
    };
    let now = present(invocation)?;
    let desk = Desk::found(&args.folder, &Founding { parties, lifetimes }, now).map_err(|error| refused(&error))?;
    let signers =
        if made.is_empty() && args.sign_with.is_empty() { Vec::new() } else { keys(&args.folder, &args.sign_with)? };
    let progress = desk.sign(&signers, false, now).map_err(|error| refused(&error))?;
    for path in &made {
        invocation.out.talk(&format!("made the key {}", clean(&path.display().to_string())));
    }
    if made.iter().any(|path| path.ends_with("root.pem") || path.ends_with("targets.pem")) {
        invocation.out.talk("carry the keys of root and targets away: who has them decides what hosts install.");
    }
    let root = desk.metadata_folder().join("1.root.json");
    let next = format!(
        "give {} to every host (config/release-root.json) and to the controller (release-root.json)\nnext: flota release sign {} PACKAGE",
        root.display(),
        args.folder.display()
    );
    report(invocation, &Outcome::of(&args.folder, None, &progress), &next)
}

fn new_key(path: &Path) -> Result<SigningKey, flota_release::KeyError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| flota_release::KeyError::Read { path: folder.to_owned(), source })?;
    }
    SigningKey::create(path)
}

/// `flota release withdraw`
pub(super) fn withdraw(invocation: &Invocation, args: &Withdraw) -> Result<Exit, Failure> {
    let desk = open(&args.folder)?;
    let (folder, version) = (args.folder.display(), clean(&args.version));
    let question = format!("take release {version} back? No host will install it any more");
    let assent = if args.yes { Assent::Given } else { Assent::Asked };
    let repeat = format!("flota release withdraw {folder} {version} --yes");
    confirm::moderate(invocation, &question, assent, &repeat)?;
    let entry = desk.withdraw(&args.version, present(invocation)?).map_err(|error| refused(&error))?;
    invocation.out.talk(&format!("{} is off the list; nothing is published yet.", clean(&entry.name)));
    invocation.out.talk(&format!("next: flota release sign {folder}, then flota release publish {folder}"));
    Ok(Exit::Good)
}

/// `flota release rotate-root`
pub(super) fn rotate_root(invocation: &Invocation, args: &RotateRoot) -> Result<Exit, Failure> {
    let desk = open(&args.folder)?;
    let add = args.add.iter().map(|file| PublicKey::read(file)).collect::<Result<Vec<_>, _>>();
    let add = add.map_err(|error| bad_key(&error))?;
    let remove = args.remove.iter().map(|name| id_of(name)).collect::<Result<Vec<_>, _>>()?;
    let change = args.role.map(|role| RootChange { role: role.into(), add, remove, threshold: args.threshold });
    let version = desk.change_root(change.as_slice(), present(invocation)?).map_err(|error| refused(&error))?;
    let folder = args.folder.display();
    invocation
        .out
        .talk(&format!("root {version} is a draft: enough keys of the old root and of the new one must sign it."));
    invocation.out.talk(&format!("next: flota release sign {folder} --key FILE, then flota release publish {folder}"));
    Ok(Exit::Good)
}

/// The id of a key, given as such or by its file.
fn id_of(name: &str) -> Result<String, Failure> {
    let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(name.to_lowercase());
    }
    PublicKey::read(Path::new(name)).map(|key| key.id()).map_err(|error| bad_key(&error))
}
