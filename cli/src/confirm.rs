//! Questions before what is hard to undo. A question is never required: each has a flag that answers it.

use std::io::{self, BufRead as _, Write as _};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::{Audience, Invocation, Keyboard};

/// What a mistake would cost, and so what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Danger {
    /// Nothing: no question.
    Mild,
    /// It can be undone: y/N.
    Moderate,
    /// It cannot, or it lets more in: a name is typed.
    Severe,
}

/// A question whose danger shows only when its consequences are known; `--confirm` answers it in either case.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// What a mistake would cost.
    pub(crate) danger: Danger,
    /// For y/N.
    pub(crate) sentence: String,
    /// Words of which one is typed, the one that is asked for first.
    pub(crate) accepted: Vec<String>,
    /// The value of `--confirm`.
    pub(crate) given: Option<&'a str>,
    /// The command line that needs no answer.
    pub(crate) repeat: &'a str,
}

/// Asks as much as the danger is worth.
pub(crate) fn decide(invocation: &Invocation, question: &Question<'_>) -> Result<(), Failure> {
    let Question { danger, sentence, accepted, given, repeat } = question;
    let word = accepted.first().map_or("", String::as_str);
    match (danger, given) {
        (Danger::Severe, _) | (_, Some(_)) => {
            severe(invocation, &format!("Type {word} to go on"), accepted, *given, repeat)
        }
        (Danger::Moderate, None) => moderate(invocation, sentence, Assent::Asked, repeat),
        (Danger::Mild, None) => Ok(()),
    }
}

/// Asks y/N, unless `--yes` was given. `repeat` is the command line that needs no answer.
pub(crate) fn moderate(invocation: &Invocation, question: &str, yes: Assent, repeat: &str) -> Result<(), Failure> {
    require_answerable(invocation, yes, repeat)?;
    if yes == Assent::Given {
        return Ok(());
    }
    let answer = ask(invocation, &format!("{question} [y/N] "))?;
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") { Ok(()) } else { Err(declined()) }
}

/// Asks for one of `accepted` to be typed, unless it was given with `--confirm`.
pub(crate) fn severe(
    invocation: &Invocation,
    question: &str,
    accepted: &[String],
    given: Option<&str>,
    repeat: &str,
) -> Result<(), Failure> {
    let fits = |text: &str| accepted.iter().any(|word| word.eq_ignore_ascii_case(text));
    require_answerable(invocation, Assent::of_flag(given.is_some()), repeat)?;
    match given {
        Some(text) if fits(text) => Ok(()),
        Some(text) => Err(Failure::new(Exit::Usage, format!("--confirm {text} does not name what would be changed"))
            .nothing_changed()
            .fix(repeat)),
        None if fits(&ask(invocation, &format!("{question}, or press Enter to leave it: "))?) => Ok(()),
        None => Err(declined()),
    }
}

/// Ends at once, before anything is asked of the controller, when a question would find nobody to answer it.
pub(crate) fn require_answerable(invocation: &Invocation, answer: Assent, repeat: &str) -> Result<(), Failure> {
    match (answer, invocation.audience) {
        (Assent::Asked, Audience::Script) => Err(nobody_to_ask(repeat)),
        _ => Ok(()),
    }
}

/// ` in context prod`, for questions: the wrong context is the commonest accident.
pub(crate) fn in_context(invocation: &Invocation) -> Result<String, Failure> {
    let name = invocation.context_name()?;
    Ok(if name.is_empty() { name } else { format!(" in context {name}") })
}

/// Whether the question was answered in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assent {
    /// With `--yes`.
    Given,
    /// Not yet.
    Asked,
}

impl Assent {
    /// From the flag.
    pub(crate) const fn of_flag(yes: bool) -> Self {
        if yes { Self::Given } else { Self::Asked }
    }
}

fn nobody_to_ask(repeat: &str) -> Failure {
    Failure::new(Exit::Usage, "this needs an answer, and there is no terminal to ask on")
        .nothing_changed()
        .fix(repeat.to_owned())
}

fn declined() -> Failure {
    Failure::new(Exit::Bad, "left as it was").nothing_changed()
}

fn ask(invocation: &Invocation, question: &str) -> Result<String, Failure> {
    match &invocation.keyboard {
        Keyboard::Terminal => ask_terminal(question),
        #[cfg(test)]
        Keyboard::Typed(answers) => {
            invocation.out.complain(question);
            Ok(answers.borrow_mut().pop_front().expect("an answer to every question"))
        }
    }
}

fn ask_terminal(question: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Usage, "cannot ask").because_of(&error).nothing_changed();
    io::stderr().write_all(question.as_bytes()).and_then(|()| io::stderr().flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().to_owned())
}
