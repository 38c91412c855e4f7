//! One run of the command: where it prints, how long it may take, which controller it speaks to.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use flota_model::Timestamp;

use crate::args::{Cli, Color, Global};
use crate::client::{Route, Session};
use crate::commands;
use crate::context::{self, Contexts};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Out, Style, Talk};

/// What every command works with.
pub(crate) struct Invocation {
    /// Where it prints.
    pub(crate) out: Out,
    /// Longest time to wait here.
    pub(crate) timeout: Option<Duration>,
    /// Whether someone can be asked.
    pub(crate) audience: Audience,
    /// Where they answer.
    pub(crate) keyboard: Keyboard,
    target: Target,
    clock: fn() -> Timestamp,
}

/// Who sits at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A person, who can answer.
    Person,
    /// A script.
    Script,
}

/// Where answers are typed.
pub(crate) enum Keyboard {
    /// On the terminal.
    Terminal,
    /// By a test, in this order.
    #[cfg(test)]
    Typed(std::cell::RefCell<std::collections::VecDeque<String>>),
}

/// Which controller.
enum Target {
    /// The one of this context, or of the current one.
    Context(Option<String>),
    /// A stand-in.
    #[cfg(test)]
    Route(Route),
}

impl Invocation {
    fn of_process(global: &Global) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let unicode = is_utf8(variable);
        // A dumb terminal cannot redraw, so it is written to like a pipe.
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let style = |terminal: bool| Style {
            color: colored(global.color, terminal, variable),
            unicode,
            terminal: terminal && !dumb,
        };
        let [data, talk] = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()].map(style);
        let format = if global.json { Format::Json } else { global.output.unwrap_or_default() };
        let volume = if global.quiet { Talk::Quiet } else { Talk::Normal };
        let audience = if output::can_ask() && !global.no_input { Audience::Person } else { Audience::Script };
        Self {
            out: Out::process(data, talk, format, volume),
            timeout: global.timeout,
            audience,
            keyboard: Keyboard::Terminal,
            target: Target::Context(global.context.clone()),
            clock: || Timestamp::from_micros(flota_daemon::present()),
        }
    }

    /// An invocation that speaks to a stand-in.
    #[cfg(test)]
    pub(crate) fn for_test(out: Out, route: Route, timeout: Option<Duration>) -> Self {
        let (audience, keyboard, target) = (Audience::Script, Keyboard::Terminal, Target::Route(route));
        Self { out, timeout, audience, keyboard, target, clock: crate::testing::now }
    }

    /// The same with a person who types this.
    #[cfg(test)]
    pub(crate) fn typing(self, answers: &[&str]) -> Self {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        Self { audience: Audience::Person, keyboard: Keyboard::Typed(std::cell::RefCell::new(answers)), ..self }
    }

    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Connects to the controller.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        let route = match &self.target {
            Target::Context(name) => {
                let file = contexts_file()?;
                Route::Tls(Box::new(Contexts::read(&file)?.choose(name.as_deref(), &file)?))
            }
            #[cfg(test)]
            Target::Route(route) => route.clone(),
        };
        Session::open(route, self.timeout).await
    }

    /// The context in use, for questions: the wrong one is the commonest accident. Empty for a stand-in.
    pub(crate) fn context_name(&self) -> Result<String, Failure> {
        match &self.target {
            Target::Context(name) => {
                let file = contexts_file()?;
                Ok(Contexts::read(&file)?.choose(name.as_deref(), &file)?.name)
            }
            #[cfg(test)]
            Target::Route(_) => Ok(String::new()),
        }
    }

    /// The context that was named, if one was.
    pub(crate) fn named_context(&self) -> Option<&str> {
        match &self.target {
            Target::Context(name) => name.as_deref(),
            #[cfg(test)]
            Target::Route(_) => None,
        }
    }
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    // clap prints help and usage errors itself, and ends with 0 or 2.
    let cli = Cli::parse();
    let invocation = Invocation::of_process(&cli.global);
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(commands::run(&invocation, cli.command)),
        Err(error) => Err(Failure::new(Exit::Bad, "cannot start").because_of(&error)),
    };
    let exit = ended.unwrap_or_else(|failure| {
        if let Some(text) = failure.render(invocation.out.talk_style) {
            invocation.out.complain(&text);
        }
        failure.exit()
    });
    ExitCode::from(exit.code())
}

/// Where the contexts file of this process is.
pub(crate) fn contexts_file() -> Result<PathBuf, Failure> {
    Ok(context::location(|name| std::env::var_os(name) as Option<OsString>)?)
}

/// POSIX: the first of these that is set decides.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn colored(wish: Color, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if variable("NO_COLOR").is_some() => false,
        Color::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Color::Auto => terminal && variable("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn colour_follows_flag_then_environment_then_terminal() {
        assert!(colored(Color::Always, false, of(&[("NO_COLOR", "1")])));
        assert!(!colored(Color::Auto, true, of(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")])));
        assert!(colored(Color::Auto, false, of(&[("CLICOLOR_FORCE", "1")])));
        assert!(!colored(Color::Auto, true, of(&[("TERM", "dumb")])));
        assert!(colored(Color::Auto, true, of(&[("TERM", "xterm")])));
    }

    #[test]
    fn the_first_locale_variable_decides() {
        assert!(is_utf8(of(&[("LANG", "C.UTF-8")])));
        assert!(!is_utf8(of(&[("LC_ALL", "C"), ("LANG", "de_DE.utf8")])));
        assert!(!is_utf8(of(&[])));
    }
}
