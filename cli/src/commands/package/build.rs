//! `flota package build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flota_package::PackageBuilder;
use flota_seal::json::Json;
use jiff::Timestamp;
use serde::Serialize;

use super::{key_in, present, shown};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::{bytes, count};

/// `flota package build`
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The folder with the files
    folder: PathBuf,
    /// Which of the bot's layouts
    #[arg(long, value_enum, default_value_t, value_name = "LAYOUT")]
    layout: Layout,
    /// Id of the package; not for a release
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Version of the package
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// What it runs on, as in linux-x86_64; for an update
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// What runs it, as in python3.11; for an update
    #[arg(long, value_name = "RUNTIME")]
    runtime: Option<String>,
    /// The one host that it is for; for a .dudzianpkg
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// When it was made, as the package says it [default: now]
    #[arg(long, value_name = "TIME")]
    created_at: Option<Timestamp>,
    /// A licence profile that may install it; may be repeated [default: any]
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// More about it: a JSON object, as in {"min_edition":"pro"}
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// The file with the key to sign with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Name of the key, to be found in the signature
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,
    /// The package to write: .tar, .tar.gz, .tar.zst or .dudzianpkg
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// One of the bot's layouts of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Layout {
    /// An update package, which the fleet installs
    #[default]
    Update,
    /// A release archive
    Release,
    /// A package of models and strategies for one host
    Dudzianpkg,
}

#[derive(Serialize)]
struct Built {
    path: String,
    size_bytes: u64,
    id: Option<String>,
    version: String,
    artifacts: usize,
}

/// Runs it.
pub(super) fn run(invocation: &Invocation, args: &Build) -> Result<Exit, Failure> {
    let key = key_in(&args.key)?;
    let builder = args.builder(present(invocation)?)?;
    if args.file.exists() && !args.force {
        return Err(Failure::new(Exit::Conflict, format!("{} is there already", shown(&args.file)))
            .nothing_changed()
            .fix("replace it with --force"));
    }
    let built = builder
        .build(&args.folder, &key, &args.file)
        .map_err(|error| Failure::new(Exit::Bad, "the package was not built").because_of(&error).nothing_changed())?;
    let built = Built {
        path: args.file.display().to_string(),
        size_bytes: built.size,
        id: built.manifest.id().map(str::to_owned),
        version: built.manifest.version().to_owned(),
        artifacts: built.manifest.artifacts().len(),
    };
    invocation.out.object("BuiltPackage", &built, &built.path, |_| {
        format!("{}: {}, {}", shown(&args.file), count(built.artifacts, "file"), bytes(built.size_bytes))
    })?;
    let path = shown(&args.file);
    invocation.out.talk(&format!("next: flota package check {path} --key FILE, then flota release publish {path}"));
    Ok(Exit::Good)
}

impl Build {
    fn builder(&self, now: Timestamp) -> Result<PackageBuilder, Failure> {
        let version = self.version.as_str();
        let time = self.created_at.unwrap_or(now);
        let id = || needed(self.id.as_deref(), "--id");
        let mut builder = match self.layout {
            Layout::Update => {
                let platform = needed(self.platform.as_deref(), "--platform")?;
                PackageBuilder::new(id()?, version, platform, needed(self.runtime.as_deref(), "--runtime")?)
            }
            Layout::Release => PackageBuilder::release(version, time),
            Layout::Dudzianpkg => {
                PackageBuilder::dudzianpkg(id()?, version, needed(self.fingerprint.as_deref(), "--fingerprint")?, time)
            }
        };
        if let Some(key_id) = &self.key_id {
            builder = builder.key_id(key_id);
        }
        if let Some(text) = &self.metadata {
            let metadata = Json::parse(text.as_bytes()).ok().filter(|metadata| metadata.as_object().is_some());
            let refused = || Failure::new(Exit::Usage, "--metadata is not a JSON object").nothing_changed();
            builder = builder.metadata(metadata.ok_or_else(refused)?);
        }
        Ok(builder.allowed_profiles(self.profiles.iter().cloned()))
    }
}

fn needed<'a>(value: Option<&'a str>, flag: &str) -> Result<&'a str, Failure> {
    value.filter(|value| !value.trim().is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("this layout needs {flag}")).nothing_changed().fix("flota help package build")
    })
}
