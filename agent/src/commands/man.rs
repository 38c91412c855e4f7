//! Manual pages, made from the definition of the command line.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use flota_procedures::durable;
use flota_seal::json::Json;

use super::Cli;
use super::output::{Answer, Failure, or_exit};

/// The pages could not be written.
const EXIT_FAILED: u8 = 1;
/// Permissions of a page: everybody may read how the program is used.
const PAGE_MODE: u32 = 0o644;
/// User commands, in the numbering of manual pages.
const SECTION: &str = "1";

#[derive(Args)]
pub(super) struct Man {
    /// Write a page for each command to this folder, which is made if missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let pages = pages().map_err(or_exit(EXIT_FAILED))?;
        let Some(folder) = self.dir else {
            let text = pages.into_iter().next().map(|page| page.text).unwrap_or_default();
            return Ok(Answer::text(String::from_utf8_lossy(&text).into_owned(), 0));
        };
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::because(format!("creating {}: {error}", folder.display()), EXIT_FAILED))?;
        let mut written = Vec::new();
        for page in pages {
            let path = folder.join(format!("{}.{SECTION}", page.name));
            durable::write_file(&path, PAGE_MODE, &page.text).map_err(or_exit(EXIT_FAILED))?;
            written.push(Json::from(path.display().to_string()));
        }
        Ok(Answer::json(&Json::object([("status", "ok".into()), ("pages", written.into())]), 0))
    }
}

struct Page {
    name: String,
    text: Vec<u8>,
}

/// The program's own page first, then one a command.
fn pages() -> io::Result<Vec<Page>> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives every command its full name, `flota-agent-update-status`.
    program.build();
    let mut pages = Vec::new();
    collect(&program, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).title(&name).section(SECTION).render(&mut text)?;
    pages.push(Page { name, text });
    command.get_subcommands().filter(|command| !command.is_hide_set()).try_for_each(|command| collect(command, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_flags() {
        let pages = pages().unwrap();
        let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
        for name in ["flota-agent", "flota-agent-export-security-bundle", "flota-agent-update-status"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        let recover = pages.iter().find(|page| page.name == "flota-agent-recover").unwrap();
        let text = String::from_utf8(recover.text.clone()).unwrap();
        assert!(text.starts_with(".ie") || text.contains(".TH"), "{text}");
        for flag in ["backup", "dry", "report", "lang"] {
            assert!(text.contains(flag), "{flag}");
        }
    }
}
