//! What runs on the host and where its update stands, read beside the running agent.

use std::fmt::Write as _;

use clap::Args;
use flota_engine::{Installed, State, report};
use flota_seal::json::Json;

use super::Config;
use super::output::{Answer, Failure, or_exit};
use crate::settings::{EXIT_BAD_SETTINGS, Settings};
use crate::update::Journal;

/// The journal cannot be read.
const EXIT_UNREADABLE: u8 = 1;

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    config: Config,
}

impl Show {
    /// One screen for people.
    pub(super) fn text(self) -> Result<Answer, Failure> {
        let (settings, state) = self.read()?;
        let mut text = format!("installation  {}\n", settings.root.display());
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<13} {value}");
        };
        let Some(state) = state else {
            line("update", "none yet: the agent has not run here");
            return Ok(Answer::text(text, 0));
        };
        let report = report(&state);
        let running = report.running.map(|digest| Installed { digest, version: report.version.clone() });
        line("release", &shown(running.as_ref()));
        line("before", &shown(state.previous()));
        line("phase", report.phase.as_str());
        line("generation", &report.generation.map_or("none".to_owned(), |generation| generation.to_string()));
        if let Some(accepted) = state.accepted() {
            line("rollout", &accepted.rollout.to_string());
        }
        if let Some(target) = state.phase().target() {
            line("on its way", &shown(Some(&target.into())));
        }
        if !report.detail.is_empty() {
            line("detail", &report.detail);
        }
        for (digest, why) in state.denied() {
            line("refused here", &format!("{}: {why}", digest.short()));
        }
        Ok(Answer::text(text, 0))
    }

    /// The same for programs.
    pub(super) fn json(self) -> Result<Answer, Failure> {
        let (_, state) = self.read()?;
        Ok(Answer::json(&state.as_ref().map_or(Json::Null, document), 0))
    }

    fn read(self) -> Result<(Settings, Option<State>), Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let state = Journal::peek(&settings.state_dir).map_err(or_exit(EXIT_UNREADABLE))?;
        Ok((settings, state))
    }
}

fn document(state: &State) -> Json {
    let report = report(state);
    let text = |value: Option<String>| value.map_or(Json::Null, Json::from);
    let denied = state
        .denied()
        .iter()
        .map(|(digest, why)| Json::object([("digest", digest.to_string().into()), ("why", why.as_str().into())]));
    Json::object([
        ("generation", report.generation.map_or(Json::Null, |generation| generation.number().into())),
        ("sequence", report.sequence.into()),
        ("phase", report.phase.as_str().into()),
        ("running", text(report.running.map(|digest| digest.to_string()))),
        ("version", report.version.into()),
        ("previous", text(state.previous().map(|installed| installed.digest.to_string()))),
        ("target", text(state.phase().target().map(|target| target.digest.to_string()))),
        ("rollout", text(state.accepted().map(|desired| desired.rollout.to_string()))),
        ("detail", report.detail.into()),
        ("denied", denied.collect::<Vec<_>>().into()),
    ])
}

fn shown(installed: Option<&Installed>) -> String {
    match installed {
        None => "none".to_owned(),
        Some(Installed { digest, version }) if version.is_empty() => format!("unknown version ({})", digest.short()),
        Some(Installed { digest, version }) => format!("{version} ({})", digest.short()),
    }
}
