//! `flota release list` and `show`.

use clap::Args;
use flota_proto::v1::{ListReleasesRequest, ListReleasesResponse, Release, ReleaseWave};

use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::table::{Cell, Table};
use crate::output::text::{bytes, clean, short};
use crate::output::{Listing, Style, time};

/// `flota release show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Version, digest, or the beginning of a digest
    release: String,
}

async fn ask(invocation: &Invocation) -> Result<ListReleasesResponse, Failure> {
    let session = invocation.session().await?;
    let answer = session.releases().list(session.ask(ListReleasesRequest {})).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

/// `flota release list`
pub(super) async fn list(invocation: &Invocation) -> Result<Exit, Failure> {
    let ListReleasesResponse { releases, expires_at, expires_role, problem } = ask(invocation).await?;
    if releases.is_empty() {
        invocation.out.talk("no releases.  Sign and publish one: flota release init, sign, publish");
    }
    let listing = Listing {
        kind: "Release",
        items: &releases,
        columns: &COLUMNS,
        row,
        name: |release: &Release| release.digest.clone(),
    };
    invocation.out.listing(&listing, |style| table(&releases, style))?;
    if !problem.is_empty() && !releases.is_empty() {
        invocation.out.complain(&format!("hosts install none of them: {}", clean(&problem)));
    }
    if !expires_at.is_empty() {
        let (role, at) = (clean(&expires_role), time::stamp(&expires_at));
        invocation.out.talk(&format!("the signatures hold until {at} ({role})"));
    }
    Ok(Exit::Good)
}

/// `flota release show`
pub(super) async fn show(invocation: &Invocation, args: &Show) -> Result<Exit, Failure> {
    let releases = ask(invocation).await?.releases;
    let wanted = args.release.as_str();
    let named: Vec<&Release> = releases.iter().filter(|release| release.version == wanted).collect();
    let found = if named.is_empty() && wanted.len() >= 6 {
        releases.iter().filter(|release| release.digest.starts_with(wanted)).collect()
    } else {
        named
    };
    let [release] = found.as_slice() else {
        let sentence = format!("there is no one release `{}`", clean(wanted));
        return Err(Failure::new(Exit::NotFound, sentence).fix("flota release list"));
    };
    invocation.out.object("Release", release, &release.digest, |_| terms(release))?;
    Ok(Exit::Good)
}

fn terms(release: &Release) -> String {
    let or = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
    let number = |number: u64| if number == 0 { String::new() } else { format!("nothing below number {number}") };
    let signed = match release.sequence {
        0 => "NO: hosts do not install it".to_owned(),
        sequence => format!("yes, as number {sequence}, on {}", time::stamp(&release.released_at)),
    };
    let lines = [
        ("version", clean(&release.version)),
        ("package", clean(&release.id)),
        ("for", format!("{}, {}", clean(&release.platform), clean(&release.runtime))),
        ("size", bytes(release.size_bytes)),
        ("sha256", release.digest.clone()),
        ("published", format!("{} by {}", time::stamp(&release.published_at), clean(&release.published_by))),
        ("signed", signed),
        ("security floor", or(number(release.security_floor), "none")),
        ("data floor", or(number(release.data_floor), "none")),
        ("installs over", or(clean(&release.upgrades_from.join(", ")), "any version")),
        (
            "waves",
            or(release.waves.iter().map(wave).collect::<Vec<_>>().join(", "), "none: as fast as the rollout goes"),
        ),
    ];
    lines.map(|(name, value)| format!("{name:<15} {value}")).join("\n")
}

fn wave(wave: &ReleaseWave) -> String {
    let after = time::span(std::time::Duration::from_secs(wave.after_seconds));
    format!("{}.{} % after {after}", wave.permille / 10, wave.permille % 10)
}

const COLUMNS: [&str; 9] =
    ["digest", "id", "version", "platform", "runtime", "size_bytes", "published_at", "published_by", "sequence"];

fn row(release: &Release) -> Vec<String> {
    let Release { digest, id, version, platform, runtime, size_bytes, published_at, published_by, sequence, .. } =
        release.clone();
    let (size, sequence) = (size_bytes.to_string(), sequence.to_string());
    vec![digest, id, version, platform, runtime, size, published_at, published_by, sequence]
}

fn table(releases: &[Release], style: Style) -> String {
    let mut table =
        Table::new(["NO", "VERSION", "PACKAGE", "PLATFORM", "RUNTIME", "SIZE", "PUBLISHED", "BY", "SHA256"]).right(5);
    for release in releases {
        let number = if release.sequence == 0 { "withdrawn".to_owned() } else { release.sequence.to_string() };
        table.row([
            Cell::from(number),
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
