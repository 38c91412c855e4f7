//! The direction of dependency (ARCHITECTURE.md), as a check: who may depend on whom, and who sees the wire's types.
//!
//! The rules are in [`table`]; what the tree looks like comes from `cargo metadata` and from the sources themselves.

mod sources;
mod table;
#[cfg(test)]
mod tests;
mod workspace;

use std::fmt;

use anyhow::{Result, bail};

use crate::cargo::{metadata, root};
use table::{Internal, Tables};
use workspace::{Member, Workspace};

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// What is wrong, and where.
    what: String,
    /// What to do about it.
    mend: String,
}

impl Violation {
    fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, mend } = self;
        write!(f, "{what}\n    -> {mend}")
    }
}

/// Checks the tree, prints all that is wrong with it, and fails if anything is.
pub(crate) fn run() -> Result<()> {
    let workspace = load()?;
    for note in sources::long_files(&workspace)? {
        eprintln!("note: {note}");
    }
    let violations = check(&workspace)?;
    for violation in &violations {
        eprintln!("layers: {violation}");
    }
    match violations.len() {
        0 => {
            eprintln!("Layers: {} crates, each where it belongs.", workspace.members.len());
            Ok(())
        }
        count => bail!("{count} breaches of the layers; the rules are in xtask/src/layers/table.rs"),
    }
}

fn load() -> Result<Workspace> {
    let host = workspace::host_triple()?;
    Workspace::read(&metadata(&["--filter-platform", &host])?)
}

fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = dependencies(workspace, &table::TABLES);
    violations.extend(sources::lints(workspace)?);
    violations.extend(sources::wire_types(root(), workspace)?);
    violations.extend(sources::effects(workspace, table::TABLES.pure)?);
    violations.sort();
    Ok(violations)
}

/// What can be told from the manifests alone.
fn dependencies(workspace: &Workspace, tables: &Tables) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in &workspace.members {
        violations.extend(internal(workspace, tables, member));
        violations.extend(exclusive(tables, member));
        violations.extend(reached(workspace, tables, member));
    }
    violations
}

/// Dependencies between our crates.
fn internal(workspace: &Workspace, tables: &Tables, member: &Member) -> Vec<Violation> {
    let name = &member.name;
    let Some((_, allowed)) = tables.internal.iter().find(|(member, _)| member == name) else {
        let mend = "give it a line in INTERNAL of xtask/src/layers/table.rs, with what it may depend on";
        return vec![Violation::new(format!("{name} is in no layer"), mend)];
    };
    let ours = member.depends_on.iter().filter(|dependency| workspace.is_member(dependency));
    let refused = ours.filter(|dependency| match allowed {
        Internal::Any => false,
        Internal::Only(allowed) => !allowed.contains(&dependency.as_str()),
    });
    let refusal = |dependency: &String| {
        let mend =
            "move what is needed into a layer below both; a new direction takes an ADR and a change of the table";
        Violation::new(format!("{name} depends on {dependency}"), mend)
    };
    refused.map(refusal).collect()
}

/// Libraries that one crate wraps for all others.
fn exclusive(tables: &Tables, member: &Member) -> Vec<Violation> {
    let name = member.name.as_str();
    let refused = tables
        .exclusive
        .iter()
        .filter(|(library, owners)| member.depends_on.iter().any(|found| found == library) && !owners.contains(&name));
    refused
        .map(|(library, owners)| {
            let mend = format!("only {} may: use what it offers, or add to it", owners.join(", "));
            Violation::new(format!("{name} depends on {library}"), mend)
        })
        .collect()
}

/// Libraries that may not be reached, however many crates lie between.
fn reached(workspace: &Workspace, tables: &Tables, member: &Member) -> Vec<Violation> {
    let name = member.name.as_str();
    let mut never: Vec<(&str, &str)> = tables.banned.to_vec();
    if tables.pure.contains(&name) {
        never.extend(tables.effects.iter().map(|effect| (*effect, "this crate is pure: no IO, no async, no wire")));
    }
    for (_, libraries, why) in tables.never.iter().filter(|(members, _, _)| members.contains(&name)) {
        never.extend(libraries.iter().map(|library| (*library, *why)));
    }
    let refused = never.into_iter().filter_map(|(library, why)| Some((workspace.path(name, library)?, why)));
    refused
        .map(|(path, why)| {
            Violation::new(
                format!("{} reaches {}: {}", name, path.last().map_or("", String::as_str), path.join(" > ")),
                why,
            )
        })
        .collect()
}
