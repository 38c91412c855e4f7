//! Manual pages, made from the definition of the command line.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use flota_daemon::manual;
use flota_procedures::durable;
use flota_seal::json::Json;

use super::Cli;
use super::output::{Answer, Failure, or_exit};

/// The pages could not be written.
const EXIT_FAILED: u8 = 1;
/// Permissions of a page: everybody may read how the program is used.
const PAGE_MODE: u32 = 0o644;

#[derive(Args)]
pub(super) struct Man {
    /// Write a page for each command to this folder, which is made if missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let pages = manual::pages(Cli::command()).map_err(or_exit(EXIT_FAILED))?;
        let Some(folder) = self.dir else {
            return Ok(Answer::text(pages.into_iter().next().map(|page| page.text).unwrap_or_default(), 0));
        };
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::because(format!("creating {}: {error}", folder.display()), EXIT_FAILED))?;
        let mut written = Vec::new();
        for page in pages {
            let path = folder.join(page.file_name);
            durable::write_file(&path, PAGE_MODE, page.text.as_bytes()).map_err(or_exit(EXIT_FAILED))?;
            written.push(Json::from(path.display().to_string()));
        }
        Ok(Answer::json(&Json::object([("status", "ok".into()), ("pages", written.into())]), 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_flags() {
        let pages = manual::pages(Cli::command()).unwrap();
        let page = |name: &str| pages.iter().find(|page| page.file_name == name).map(|page| page.text.as_str());
        for name in ["flota-agent.1", "flota-agent-export-security-bundle.1", "flota-agent-update-status.1"] {
            assert!(page(name).is_some(), "{name} is not among {} pages", pages.len());
        }
        let text = page("flota-agent-recover.1").unwrap();
        assert!(text.starts_with(".ie") || text.contains(".TH"), "{text}");
        for flag in ["backup", "dry", "report", "lang"] {
            assert!(text.contains(flag), "{flag}");
        }
    }
}
