//! The crates of the workspace and what they depend on, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

/// The workspace.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Its crates.
    pub(super) members: Vec<Member>,
    /// Every crate of the build and what it is linked or built with, by package id.
    edges: BTreeMap<String, BTreeSet<String>>,
    names: BTreeMap<String, String>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Crates it names as dependencies or build-dependencies, for any platform, optional ones too.
    pub(super) depends_on: BTreeSet<String>,
    id: String,
}

/// The platform that rustc compiles for, unless told otherwise.
pub(super) fn host_triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("starting `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

impl Workspace {
    /// Reads what `cargo metadata` printed.
    pub(super) fn read(metadata: &Value) -> Result<Self> {
        let ours: BTreeSet<&str> = list(metadata, "workspace_members").filter_map(Value::as_str).collect();
        let mut workspace = Self::default();
        for package in list(metadata, "packages") {
            let (id, name) = (text(package, "id")?, text(package, "name")?);
            workspace.names.insert(id.to_owned(), name.to_owned());
            if ours.contains(id) {
                workspace.members.push(Member::read(package)?);
            }
        }
        let nodes = metadata.get("resolve").context("cargo metadata resolved nothing")?;
        let packages: BTreeMap<&str, &Value> =
            list(metadata, "packages").filter_map(|package| Some((text(package, "id").ok()?, package))).collect();
        for node in list(nodes, "nodes") {
            let id = text(node, "id")?;
            let package = packages.get(id).with_context(|| format!("cargo metadata describes no package {id}"))?;
            let mut linked = BTreeSet::new();
            for dependency in list(node, "deps").filter(|dependency| list(dependency, "dep_kinds").any(is_linked)) {
                let to = text(dependency, "pkg")?;
                if workspace.names.get(to).is_some_and(|name| is_active(package, node, name)) {
                    linked.insert(to.to_owned());
                }
            }
            workspace.edges.insert(id.to_owned(), linked);
        }
        Ok(workspace)
    }

    /// Whether a crate is ours.
    pub(super) fn is_member(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name)
    }

    /// A shortest way from one of our crates to another crate, both included; none if it is not reached.
    pub(super) fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let start = &self.members.iter().find(|member| member.name == from)?.id;
        let mut came_from: BTreeMap<&String, Option<&String>> = BTreeMap::from([(start, None)]);
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            if id != start && self.names.get(id).is_some_and(|name| name == to) {
                let steps = std::iter::successors(Some(id), |id| came_from.get(*id).copied().flatten());
                let mut names: Vec<String> = steps.filter_map(|id| self.names.get(id).cloned()).collect();
                names.reverse();
                return Some(names);
            }
            for next in self.edges.get(id).into_iter().flatten() {
                came_from.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    Some(id)
                });
            }
        }
        None
    }
}

impl Member {
    fn read(package: &Value) -> Result<Self> {
        let manifest = Path::new(text(package, "manifest_path")?);
        let folder = manifest.parent().context("a manifest without a folder")?;
        let depends_on = list(package, "dependencies")
            .filter(|dependency| is_linked(dependency))
            .map(|dependency| text(dependency, "name").map(str::to_owned));
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            folder: folder.to_owned(),
            depends_on: depends_on.collect::<Result<_>>()?,
            id: text(package, "id")?.to_owned(),
        })
    }
}

/// Whether a dependency gets into the build of those who depend on the crate: all but dev-dependencies.
fn is_linked(dependency: &Value) -> bool {
    dependency.get("kind").and_then(Value::as_str) != Some("dev")
}

/// Whether a dependency is compiled with the features in force. cargo resolves optional dependencies that are named by a
/// weak feature (`name?/feature`) even when nothing turns them on.
fn is_active(package: &Value, node: &Value, name: &str) -> bool {
    let mut named = list(package, "dependencies").filter(|dependency| text(dependency, "name").ok() == Some(name));
    named.any(|dependency| {
        let is_optional = dependency.get("optional").and_then(Value::as_bool) == Some(true);
        let local = dependency.get("rename").and_then(Value::as_str).unwrap_or(name);
        let (whole, part) = (format!("dep:{local}"), format!("{local}/"));
        let features = package.get("features").and_then(Value::as_object);
        let mut active = list(node, "features").filter_map(Value::as_str);
        !is_optional
            || active.any(|feature| {
                let means = features.and_then(|features| features.get(feature)).and_then(Value::as_array);
                let mut means = means.into_iter().flatten().filter_map(Value::as_str);
                feature == local || means.any(|word| word == whole || word.starts_with(&part))
            })
    })
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("cargo metadata gives no `{key}` where it should"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}
