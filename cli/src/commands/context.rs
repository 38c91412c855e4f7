//! `flota context`: the contexts file, without a controller.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::{Contexts, Entry};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::{Invocation, contexts_file};
use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::{Listing, Style};

/// Verbs on contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List contexts
    List,
    /// Show one context, and whether its files are there
    Show(Show),
    /// Make a context the current one
    Use(Named),
    /// Add a context
    Add(Add),
    /// Remove a context; its certificate files stay
    Remove(Named),
}

/// `flota context show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Which [default: the current one]
    name: Option<String>,
}

/// A context by name.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Which
    name: String,
}

/// `flota context add`
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// The controller, as in https://controller.example:7443
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// PEM file of the fleet's CA
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// PEM file of your certificate
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// PEM file of its key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Make it the current one; the first always is
    #[arg(long = "use")]
    make_current: bool,
    /// Replace a context of this name
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    current: bool,
    endpoint: String,
    ca_file: PathBuf,
    cert_file: PathBuf,
    key_file: PathBuf,
}

/// Runs one of them.
pub(crate) fn run(invocation: &Invocation, command: ContextCommand) -> Result<Exit, Failure> {
    let file = contexts_file()?;
    let contexts = Contexts::read(&file)?;
    match command {
        ContextCommand::List => list(invocation, &contexts, &file),
        ContextCommand::Show(args) => show(invocation, &contexts, &file, args.name.as_deref()),
        ContextCommand::Use(args) => switch(invocation, contexts, &file, &args.name),
        ContextCommand::Add(args) => add(invocation, contexts, &file, args),
        ContextCommand::Remove(args) => remove(invocation, contexts, &file, &args.name),
    }
}

fn list(invocation: &Invocation, contexts: &Contexts, file: &Path) -> Result<Exit, Failure> {
    let shown =
        contexts.contexts.keys().map(|name| shown(contexts, file, Some(name))).collect::<Result<Vec<_>, _>>()?;
    if shown.is_empty() {
        invocation.out.talk(&format!("no contexts in {}.  Add one: flota context add --help", file.display()));
    }
    let listing = Listing {
        kind: "Context",
        items: &shown,
        columns: &["name", "current", "endpoint"],
        row,
        name: |shown: &Shown| shown.name.clone(),
    };
    invocation.out.listing(&listing, |style| table(&shown, style))?;
    Ok(Exit::Good)
}

fn show(invocation: &Invocation, contexts: &Contexts, file: &Path, name: Option<&str>) -> Result<Exit, Failure> {
    let shown = shown(contexts, file, name.or(invocation.named_context()))?;
    invocation.out.object("Context", &shown, &shown.name, |style| facts(&shown, file, style))?;
    Ok(Exit::Good)
}

fn switch(invocation: &Invocation, contexts: Contexts, file: &Path, name: &str) -> Result<Exit, Failure> {
    contexts.entry(name)?;
    Contexts { current: Some(name.to_owned()), ..contexts }.write(file)?;
    invocation.out.talk(&format!("context {name} is the current one now."));
    Ok(Exit::Good)
}

fn add(invocation: &Invocation, mut contexts: Contexts, file: &Path, args: Add) -> Result<Exit, Failure> {
    let Add { name, endpoint, ca, cert, key, make_current, force } = args;
    if contexts.contexts.contains_key(&name) && !force {
        return Err(Failure::new(Exit::Conflict, format!("there is a context `{name}` already"))
            .nothing_changed()
            .fix("see it:  flota context show NAME")
            .fix("replace it:  --force"));
    }
    // As given, they are relative to the working folder; in the file they would be relative to its own.
    let here = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let entry = Entry { endpoint, ca_file: here(ca), cert_file: here(cert), key_file: here(key) };
    for missing in [&entry.ca_file, &entry.cert_file, &entry.key_file].into_iter().filter(|path| !path.exists()) {
        invocation.out.talk(&format!("! {} is not there yet", missing.display()));
    }
    contexts.contexts.insert(name.clone(), entry);
    if make_current || contexts.current.is_none() {
        contexts.current = Some(name.clone());
    }
    contexts.write(file)?;
    invocation.out.talk(&format!("context {name} is in {}.\nnext: flota --context {name} host list", file.display()));
    Ok(Exit::Good)
}

fn remove(invocation: &Invocation, mut contexts: Contexts, file: &Path, name: &str) -> Result<Exit, Failure> {
    contexts.entry(name)?;
    contexts.contexts.remove(name);
    if contexts.current.as_deref() == Some(name) {
        contexts.current = None;
        invocation.out.talk("it was the current one: choose another with flota context use NAME");
    }
    contexts.write(file)?;
    invocation.out.talk(&format!("context {name} is removed; its certificate files stay."));
    Ok(Exit::Good)
}

fn shown(contexts: &Contexts, file: &Path, name: Option<&str>) -> Result<Shown, Failure> {
    let context = contexts.choose(name, file)?;
    let current = contexts.current.as_deref() == Some(&context.name);
    let Entry { endpoint, ca_file, cert_file, key_file } = context.entry;
    Ok(Shown { name: context.name, current, endpoint, ca_file, cert_file, key_file })
}

fn row(shown: &Shown) -> Vec<String> {
    vec![shown.name.clone(), shown.current.to_string(), shown.endpoint.clone()]
}

fn table(contexts: &[Shown], style: Style) -> String {
    let mut table = Table::new(["CONTEXT", "CURRENT", "ENDPOINT"]);
    for shown in contexts {
        let current = if shown.current { Cell::signed(Sign::Ok, "current") } else { Cell::from(" ") };
        table.row([Cell::from(&shown.name), current, Cell::from(&shown.endpoint)]);
    }
    table.render(style)
}

fn facts(shown: &Shown, file: &Path, style: Style) -> String {
    let mut table = Table::default();
    let current = if shown.current { format!("{} (current)", shown.name) } else { shown.name.clone() };
    table.row([Cell::from("context"), Cell::from(current)]);
    table.row([Cell::from("endpoint"), Cell::from(&shown.endpoint)]);
    for (name, path) in [("ca_file", &shown.ca_file), ("cert_file", &shown.cert_file), ("key_file", &shown.key_file)] {
        let text = path.display().to_string();
        let cell =
            if path.exists() { Cell::from(text) } else { Cell::signed(Sign::Failed, &format!("{text} is not there")) };
        table.row([Cell::from(name), cell]);
    }
    table.row([Cell::from("from"), Cell::from(file.display().to_string())]);
    table.render(style)
}
