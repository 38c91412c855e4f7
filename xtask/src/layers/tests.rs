use serde_json::{Value, json};

use super::*;

const TABLES: Tables = Tables {
    internal: &[("model", Internal::Only(&[])), ("agent", Internal::Only(&["model"])), ("tests", Internal::Any)],
    exclusive: &[("sqlx", &["store"])],
    pure: &["model"],
    effects: &["tokio"],
    never: &[(&["agent"], &["controller"], "they meet on the wire only")],
    banned: &[("openssl-sys", "rustls only")],
};

/// Metadata of a workspace of `members` with edges `(from, to, kind)`.
fn workspace(members: &[&str], edges: &[(&str, &str, Option<&str>)]) -> Workspace {
    let mut names: Vec<&str> =
        edges.iter().flat_map(|(from, to, _)| [*from, *to]).chain(members.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| -> Vec<&(&str, &str, Option<&str>)> {
        edges.iter().filter(|(from, _, _)| *from == name).collect()
    };
    let package = |name: &&str| -> Value {
        let dependencies: Vec<Value> =
            of(name).iter().map(|(_, to, kind)| json!({ "name": to, "kind": kind })).collect();
        json!({ "id": name, "name": name, "manifest_path": format!("/{name}/Cargo.toml"), "dependencies": dependencies })
    };
    let node = |name: &&str| -> Value {
        let deps: Vec<Value> =
            of(name).iter().map(|(_, to, kind)| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] })).collect();
        json!({ "id": name, "deps": deps })
    };
    let metadata = json!({
        "workspace_members": members,
        "packages": names.iter().map(package).collect::<Vec<_>>(),
        "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
    });
    Workspace::read(&metadata).unwrap()
}

fn breaches(members: &[&str], edges: &[(&str, &str, Option<&str>)]) -> Vec<String> {
    dependencies(&workspace(members, edges), &TABLES).into_iter().map(|violation| violation.what).collect()
}

#[test]
fn the_tree_keeps_its_layers() {
    let violations: Vec<String> = check(&load().unwrap()).unwrap().iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_rule_is_about_a_crate_that_exists() {
    let workspace = load().unwrap();
    let Tables { internal, exclusive, pure, never, .. } = table::TABLES;
    let owners = exclusive.iter().flat_map(|(_, owners)| owners.iter());
    let named =
        internal.iter().map(|(name, _)| name).chain(owners).chain(pure).chain(never.iter().flat_map(|rule| rule.0));
    for name in named {
        assert!(workspace.is_member(name), "the table has a rule about {name}, which is no crate of ours");
    }
}

#[test]
fn a_forbidden_direction_is_found() {
    assert_eq!(breaches(&["model", "agent"], &[("agent", "model", None)]), [""; 0]);
    assert_eq!(breaches(&["model", "agent"], &[("model", "agent", None)]), ["model depends on agent"]);
    assert_eq!(breaches(&["model", "agent"], &[("model", "agent", Some("build"))]), ["model depends on agent"]);
}

#[test]
fn tests_may_use_what_programs_may_not() {
    assert_eq!(breaches(&["model", "agent"], &[("model", "agent", Some("dev"))]), [""; 0]);
    assert_eq!(breaches(&["model", "tests"], &[("tests", "model", None)]), [""; 0]);
}

#[test]
fn a_crate_without_a_layer_is_found() {
    assert_eq!(breaches(&["stray"], &[]), ["stray is in no layer"]);
}

#[test]
fn a_wrapped_library_is_found_outside_its_wrapper() {
    assert_eq!(breaches(&["agent"], &[("agent", "sqlx", None)]), ["agent depends on sqlx"]);
}

#[test]
fn what_may_not_be_reached_is_found_behind_others_with_the_way_to_it() {
    let edges = [("model", "time", None), ("time", "tokio", None)];
    assert_eq!(breaches(&["model"], &edges), ["model reaches tokio: model > time > tokio"]);
    let edges = [("agent", "shared", None), ("shared", "controller", None)];
    assert_eq!(breaches(&["agent"], &edges), ["agent reaches controller: agent > shared > controller"]);
    let edges = [("agent", "http", None), ("http", "openssl-sys", None)];
    assert_eq!(breaches(&["agent"], &edges), ["agent reaches openssl-sys: agent > http > openssl-sys"]);
}

#[test]
fn an_optional_dependency_counts_once_a_feature_turns_it_on() {
    let metadata = |active: &[&str]| {
        json!({
            "workspace_members": ["agent"],
            "packages": [
                {
                    "id": "agent", "name": "agent", "manifest_path": "/agent/Cargo.toml",
                    "dependencies": [{ "name": "openssl-sys", "kind": null, "optional": true, "rename": "tls" }],
                    "features": { "weak": ["tls?/alloc"], "named": ["dep:tls"], "part": ["tls/alloc"] },
                },
                { "id": "openssl-sys", "name": "openssl-sys" },
            ],
            "resolve": { "nodes": [
                { "id": "agent", "features": active, "deps": [{ "pkg": "openssl-sys", "dep_kinds": [{ "kind": null }] }] },
                { "id": "openssl-sys" },
            ] },
        })
    };
    for (active, count) in
        [(vec![], 0), (vec!["weak"], 0), (vec!["weak", "named"], 1), (vec!["part"], 1), (vec!["tls"], 1)]
    {
        let workspace = Workspace::read(&metadata(&active)).unwrap();
        assert_eq!(dependencies(&workspace, &TABLES).len(), count, "{active:?}");
    }
}
