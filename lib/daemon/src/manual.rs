//! Manual pages, made from the definition of a program's command line.

use std::io;

use clap::Command;

/// User commands, in the numbering of manual pages.
const SECTION: &str = "1";

/// The manual page of a program or of one of its commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The name of its file, as `man` looks for it.
    pub file_name: String,
    /// What is in it, in roff.
    pub text: String,
}

/// The page of the program first, then one for each of its commands.
///
/// # Errors
/// A page cannot be rendered, which is a fault of the program.
pub fn pages(program: Command) -> io::Result<Vec<Page>> {
    let mut program = program.disable_help_subcommand(true);
    // Gives every command its full name, such as `flota-rollout-start`.
    program.build();
    let mut pages = Vec::new();
    collect(&program, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).title(&name).section(SECTION).render(&mut text)?;
    let text = String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    pages.push(Page { file_name: format!("{name}.{SECTION}"), text });
    command.get_subcommands().filter(|command| !command.is_hide_set()).try_for_each(|command| collect(command, pages))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_with_its_flags_and_those_of_all() {
        let verb = Command::new("start").about("Begin").arg(Arg::new("canary").long("canary").help("Hosts first"));
        let noun = Command::new("rollout").about("Rollouts").subcommand(verb);
        let program = Command::new("prog").about("A program").arg(Arg::new("lang").long("lang").global(true));
        let program = program.subcommand(noun).subcommand(Command::new("secret").hide(true));

        let pages = pages(program).unwrap();
        let names: Vec<_> = pages.iter().map(|page| page.file_name.as_str()).collect();
        assert_eq!(names, ["prog.1", "prog-rollout.1", "prog-rollout-start.1"]);
        assert!(pages.iter().all(|page| page.text.contains(".TH prog") && page.text.contains("lang")));
        assert!(pages[2].text.contains("canary") && pages[2].text.contains("Hosts first"), "{}", pages[2].text);
    }
}
