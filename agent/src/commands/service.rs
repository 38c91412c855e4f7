//! The daemon, and the enrolment before its first start.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flota_seal::json::Json;
use flota_updater::boot;
use flota_updater::settings::Component;
use tokio::runtime::Runtime;

use super::Config;
use super::environment;
use super::output::{Answer, Failure, or_exit};
use crate::enrol::Invitation;
use crate::identity::{Approval, Identity};
use crate::procedures::Environment;
use crate::settings::{EXIT_BAD_SETTINGS, Settings};
use crate::{enrol, session};

/// The daemon could not start, or the host was not enrolled.
const EXIT_FAILED: u8 = 1;
/// Largest token file, in bytes; a token has under a hundred.
const MAX_TOKEN_BYTES: u64 = 4096;

#[derive(Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
pub(super) struct Enroll {
    #[command(flatten)]
    config: Config,
    /// The file with the token that the controller gave out; a host that was enrolled before, with the TPM it has, needs none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Run {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = load(&self.config)?;
        if let Some(own) = settings.updater.of(Component::Agent) {
            boot::hand_over(Component::Agent, &own.root, &settings.state_dir);
        }
        // The daemon waits for the network and a handful of processes: two threads are plenty, and small.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let environment = Environment::new(environment::variable);
        let ran = runtime.map_err(or_exit(EXIT_FAILED))?.block_on(session::run(settings, environment));
        ran.map_err(or_exit(EXIT_FAILED))?;
        Ok(Answer::silent(0))
    }
}

impl Enroll {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = load(&self.config)?;
        let read = |path: PathBuf| {
            let failed = |error| format!("reading the token file {}: {error}", path.display());
            read_token(&path).map_err(|error| Failure::because(failed(error), EXIT_FAILED))
        };
        let token = self.token_file.map(read).transpose()?;
        let invitation = token.as_deref().map_or(Invitation::Known, Invitation::Token);
        let runtime = Runtime::new().map_err(or_exit(EXIT_FAILED))?;
        let identity = runtime.block_on(enrol::enrol(&settings, invitation)).map_err(or_exit(EXIT_FAILED))?;
        Ok(Answer::json(&document(&identity), 0))
    }
}

fn document(identity: &Identity) -> Json {
    let Identity { host_id, host_name, approval, .. } = identity;
    let (status, hint) = match approval {
        Approval::Given => ("enrolled", None),
        Approval::Awaited => {
            ("pending_approval", Some(format!("a person must let this host in: flota enrolment approve {host_name}")))
        }
    };
    let members = [
        ("status", Json::from(status)),
        ("host_id", host_id.as_str().into()),
        ("host_name", host_name.as_str().into()),
    ];
    Json::object(members.into_iter().chain(hint.map(|hint| ("hint", hint.into()))))
}

fn load(config: &Config) -> Result<Settings, Failure> {
    Settings::load(&config.config).map_err(or_exit(EXIT_BAD_SETTINGS))
}

fn read_token(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TOKEN_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
