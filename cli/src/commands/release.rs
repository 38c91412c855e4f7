//! `flota release`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use flota_proto::v1::{ListReleasesRequest, PublishRequest, Release};

use super::upload;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::table::{Cell, Table};
use crate::output::text::{bytes, clean, short};
use crate::output::{Listing, Style, time};

/// Verbs on releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Upload a package and make it a release
    ///
    /// The controller checks the package. Publishing the same bytes again changes nothing; an upload that was
    /// interrupted resumes.
    Publish(Publish),
    /// List releases, newest first
    List,
}

/// `flota release publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The package file
    file: PathBuf,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: ReleaseCommand) -> Result<Exit, Failure> {
    match command {
        ReleaseCommand::Publish(args) => publish(invocation, args).await,
        ReleaseCommand::List => list(invocation).await,
    }
}

async fn publish(invocation: &Invocation, args: Publish) -> Result<Exit, Failure> {
    let hashed = upload::hash(&args.file)?;
    let session = invocation.session().await?;
    upload::send(invocation, &session, &args.file, hashed).await?;
    let request = session.ask(PublishRequest { digest: hashed.digest.to_string() });
    let answer = session.releases().publish(request).await;
    let release = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner();
    invocation.out.object("Release", &release, &release.digest, |_| published(&release))?;
    let version = clean(&release.version);
    invocation
        .out
        .talk(&format!("no host has changed.\nnext: flota rollout create --release {version} -l SELECTOR --canary 1"));
    Ok(Exit::Good)
}

fn published(release: &Release) -> String {
    let Release { digest, id, version, platform, size_bytes, published_at, published_by, .. } = release;
    let what =
        format!("{} {} for {}, {}, sha256 {digest}", clean(id), clean(version), clean(platform), bytes(*size_bytes));
    if release.already_published {
        format!("{what}: already published at {} by {}", time::stamp(published_at), clean(published_by))
    } else {
        format!("{what}: published")
    }
}

async fn list(invocation: &Invocation) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.releases().list(session.ask(ListReleasesRequest {})).await;
    let releases = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().releases;
    if releases.is_empty() {
        invocation.out.talk("no releases.  Publish one: flota release publish FILE");
    }
    let listing = Listing {
        kind: "Release",
        items: &releases,
        columns: &COLUMNS,
        row,
        name: |release: &Release| &release.digest,
    };
    invocation.out.listing(&listing, |style| table(&releases, style))?;
    Ok(Exit::Good)
}

const COLUMNS: [&str; 8] =
    ["digest", "id", "version", "platform", "runtime", "size_bytes", "published_at", "published_by"];

fn row(release: &Release) -> Vec<String> {
    let Release { digest, id, version, platform, runtime, size_bytes, published_at, published_by, .. } =
        release.clone();
    vec![digest, id, version, platform, runtime, size_bytes.to_string(), published_at, published_by]
}

fn table(releases: &[Release], style: Style) -> String {
    let mut table =
        Table::new(["VERSION", "PACKAGE", "PLATFORM", "RUNTIME", "SIZE", "PUBLISHED", "BY", "SHA256"]).right(4);
    for release in releases {
        table.row([
            Cell::from(&release.version),
            Cell::from(&release.id),
            Cell::from(&release.platform),
            Cell::from(&release.runtime),
            Cell::from(bytes(release.size_bytes)),
            Cell::from(time::stamp(&release.published_at)),
            Cell::from(&release.published_by),
            Cell::from(short(&release.digest)),
        ]);
    }
    table.render(style)
}
