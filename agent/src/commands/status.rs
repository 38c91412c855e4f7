//! What runs on the host and where its update stands, read beside the running agent.

use std::fmt::Write as _;

use clap::Args;
use flota_engine::{Installed, State, report};
use flota_model::RolloutId;
use flota_seal::json::Json;

use super::Config;
use super::lang::{Lang, Term};
use super::output::{Answer, Failure, or_exit};
use super::update::{Known, state};
use crate::settings::{EXIT_BAD_SETTINGS, Settings, TpmSettings};

/// The journal cannot be read.
const EXIT_UNREADABLE: u8 = 1;

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    config: Config,
}

impl Show {
    /// One screen for people.
    pub(super) fn text(self, lang: Lang) -> Result<Answer, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let known = Known::of_the_bot(settings);
        let state = state(&known).map_err(|why| Failure::because(why, EXIT_UNREADABLE))?;
        let settings = known.settings;
        let mut text = String::new();
        let mut line = |name: Term, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<13} {value}", lang.say(name));
        };
        let shown = |installed: Option<&Installed>| shown(installed, lang);
        line(Term::Installation, &settings.root.display().to_string());
        line(Term::Key, lang.say(if let TpmSettings::Absent = settings.tpm { Term::InFile } else { Term::InTpm }));
        let Some(state) = state else {
            line(Term::Update, lang.say(Term::NoUpdateYet));
            return Ok(Answer::text(text, 0));
        };
        let report = report(&state);
        let running = report.running.map(|digest| Installed { digest, version: report.version.clone() });
        line(Term::Release, &shown(running.as_ref()));
        line(Term::Before, &shown(state.previous()));
        line(Term::Phase, state.phase().name());
        let none = lang.say(Term::None).to_owned();
        line(Term::Generation, &report.generation.map_or(none, |generation| generation.to_string()));
        if let Some(accepted) = state.accepted() {
            let by_hand = lang.say(Term::ByHand).to_owned();
            let is_by_hand = accepted.rollout == RolloutId::ON_THE_HOST;
            line(Term::Rollout, &if is_by_hand { by_hand } else { accepted.rollout.to_string() });
        }
        if let Some(target) = state.phase().target() {
            line(Term::OnItsWay, &shown(Some(&target.into())));
        }
        if !report.detail.is_empty() {
            line(Term::Detail, &report.detail);
        }
        for (digest, why) in state.denied() {
            line(Term::RefusedHere, &format!("{}: {why}", digest.short()));
        }
        Ok(Answer::text(text, 0))
    }
}

/// The same for programs.
pub(super) fn json(known: &Known) -> Result<Answer, Failure> {
    let state = state(known).map_err(|why| Failure::because(why, EXIT_UNREADABLE))?;
    Ok(Answer::json(&state.as_ref().map_or(Json::Null, document), 0))
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

fn shown(installed: Option<&Installed>, lang: Lang) -> String {
    match installed {
        None => lang.say(Term::None).to_owned(),
        Some(Installed { digest, version }) if version.is_empty() => {
            format!("{} ({})", lang.say(Term::UnknownVersion), digest.short())
        }
        Some(Installed { digest, version }) => format!("{version} ({})", digest.short()),
    }
}
