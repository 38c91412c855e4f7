//! `flota release publish`.

use std::path::PathBuf;

use clap::Args;
use flota_proto::v1::{MetadataFile, PublishRequest, PublishResponse, Release};

use super::{open, refused};
use crate::commands::upload::{self, Hashed};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::{bytes, clean};
use crate::output::time;

/// `flota release publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The folder in which releases are signed
    folder: PathBuf,
}

pub(super) async fn publish(invocation: &Invocation, args: &Publish) -> Result<Exit, Failure> {
    if args.folder.is_file() {
        let sentence = format!("{} is a package: releases are published as a folder, signed", args.folder.display());
        return Err(Failure::new(Exit::Usage, sentence)
            .nothing_changed()
            .fix("sign it first:  flota release sign DIR PACKAGE, then flota release publish DIR"));
    }
    let desk = open(&args.folder)?;
    let releases = desk.releases().map_err(|error| refused(&error))?;
    let files = desk.files().map_err(|error| refused(&error))?;
    let session = invocation.session().await?;
    for entry in &releases {
        let hashed = Hashed { digest: entry.digest, size: entry.size };
        upload::send(invocation, &session, &desk.package(entry), hashed).await?;
    }
    let metadata = files.into_iter().map(|(name, contents)| MetadataFile { name, contents }).collect();
    let answer = session.releases().publish(session.ask(PublishRequest { metadata })).await;
    let answer = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner();
    let name = answer.published.first().map(|release| release.digest.clone()).unwrap_or_default();
    invocation.out.object("Published", &answer, &name, |_| published(&answer))?;
    invocation.out.talk("no host has changed.");
    if let Some(release) = answer.published.last() {
        let version = clean(&release.version);
        invocation.out.talk(&format!("next: flota rollout create --release {version} -l SELECTOR --canary 1"));
    }
    Ok(Exit::Good)
}

fn published(answer: &PublishResponse) -> String {
    let line = |release: &Release, word: &str| {
        let Release { digest, id, version, platform, size_bytes, .. } = release;
        format!(
            "{} {} for {}, {}, sha256 {digest}: {word}",
            clean(id),
            clean(version),
            clean(platform),
            bytes(*size_bytes)
        )
    };
    let mut lines: Vec<String> = answer.published.iter().map(|release| line(release, "published")).collect();
    lines.extend(answer.withdrawn.iter().map(|release| line(release, "withdrawn")));
    if lines.is_empty() {
        lines.push("no release is new here".to_owned());
    }
    let (role, expires_at) = (clean(&answer.expires_role), time::stamp(&answer.expires_at));
    lines.push(format!("the signatures hold until {expires_at} ({role})"));
    lines.join("\n")
}
