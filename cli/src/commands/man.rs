//! `flota man`: manual pages, made from the definition of the command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};
use flota_daemon::manual::{self, Page};
use flota_package::durable;
use serde::Serialize;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::text::clean;

/// Permissions of a page: everybody may read how the program is used.
const PAGE_MODE: u32 = 0o644;

/// Where the pages go.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command to this folder, which is made if missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    path: String,
}

/// Runs it.
pub(crate) fn run(invocation: &Invocation, args: &ManArgs) -> Result<Exit, Failure> {
    let pages = pages().map_err(|error| Failure::new(Exit::Bad, "the pages cannot be made").because_of(&error))?;
    let Some(folder) = &args.dir else {
        invocation.out.data(pages.first().map_or("", |page| page.text.as_str()))?;
        return Ok(Exit::Good);
    };
    let written = write(folder, &pages)?;
    let listing = Listing {
        kind: "ManualPage",
        items: &written,
        columns: &["path"],
        row: |page| vec![page.path.clone()],
        name: |page| page.path.clone(),
    };
    invocation.out.listing(&listing, |_| {
        let paths: Vec<_> = written.iter().map(|page| clean(&page.path)).collect();
        paths.join("\n")
    })?;
    Ok(Exit::Good)
}

fn pages() -> io::Result<Vec<Page>> {
    manual::pages(Cli::command())
}

fn write(folder: &Path, pages: &[Page]) -> Result<Vec<Written>, Failure> {
    let refused =
        |path: &Path| Failure::new(Exit::Bad, format!("cannot write to {}", clean(&path.display().to_string())));
    fs::create_dir_all(folder).map_err(|error| refused(folder).because_of(&error))?;
    let place = |page: &Page| {
        let path = folder.join(&page.file_name);
        durable::write_file(&path, PAGE_MODE, page.text.as_bytes())
            .map_err(|error| refused(folder).because_of(&error))?;
        Ok(Written { path: path.display().to_string() })
    };
    pages.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::client::Route;
    use crate::output::{Format, Out, Talk};
    use crate::testing::PLAIN;
    use crate::testing::controller::Printed;

    /// Runs `flota man` with these words, and returns what it printed.
    async fn man(words: &[&str], format: Format) -> Result<String, Failure> {
        let cli = Cli::try_parse_from(["flota", "man"].iter().chain(words)).unwrap();
        let (data, talk) = (Printed::default(), Printed::default());
        let out = Out::new(Box::new(data.clone()), Box::new(talk), [PLAIN, PLAIN], format, Talk::Normal);
        let invocation = Invocation::for_test(out, Route::Plain("http://127.0.0.1:1".to_owned()), None);
        crate::commands::run(&invocation, cli.command).await.map(|_| data.text())
    }

    #[tokio::test]
    async fn the_programs_page_is_printed_and_names_every_command_that_help_shows() {
        let page = man(&[], Format::Table).await.unwrap();
        assert!(page.contains(".TH flota 1"), "{page}");
        for command in Cli::command().get_subcommands() {
            assert!(page.contains(&format!("flota\\-{}(1)", command.get_name())), "{}", command.get_name());
        }
    }

    #[tokio::test]
    async fn every_command_has_a_page_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("share/man1");
        let printed = man(&["--dir", made.to_str().unwrap()], Format::Name).await.unwrap();
        let mut there: Vec<_> = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap().path()).collect();
        there.sort();
        let mut told: Vec<_> = printed.lines().map(PathBuf::from).collect();
        told.sort();
        assert_eq!(told, there);
        for name in ["flota.1", "flota-rollout.1", "flota-rollout-start.1", "flota-package-check.1", "flota-man.1"] {
            assert!(made.join(name).is_file(), "{name} is not among {printed}");
        }
        let check = fs::read_to_string(made.join("flota-package-check.1")).unwrap();
        for text in ["\\-\\-revocation\\-list", "\\-\\-context", "check\\-update\\-integrity"] {
            assert!(check.contains(text), "{text}: {check}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::write(&taken, "").unwrap();
        let failure = man(&["--dir", taken.join("man1").to_str().unwrap()], Format::Table).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Bad);
        assert!(format!("{failure:?}").contains("taken/man1"));
    }
}
