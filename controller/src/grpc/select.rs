//! Which hosts a request means: by selector, by name or id, or all.

use flota_model::Selector;
use flota_model::host::{Host, Trust};

use crate::core::Core;
use crate::fault::{Code, Fault};

/// How a request names hosts.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// A selector; empty unless given.
    pub selector: &'a str,
    /// Names, ids, or prefixes of ids.
    pub names: &'a [String],
    /// All, said explicitly.
    pub all: bool,
}

/// The hosts meant. Nothing selected is a refusal: no verb acts on all hosts by accident.
pub async fn hosts(core: &Core, selection: Selection<'_>) -> Result<Vec<Host>, Fault> {
    let Selection { selector, names, all } = selection;
    if selector.is_empty() && names.is_empty() && !all {
        return Err(Fault::new(Code::NothingSelected, "no hosts were named")
            .fix("name hosts, give a selector (-l venue=binance), or say --all"));
    }
    let parsed: Selector = selector.parse().map_err(Fault::bad)?;
    let fleet: Vec<Host> = core.store.hosts().await?.into_iter().filter(|host| host.trust != Trust::Retired).collect();
    let mut chosen = Vec::new();
    for name in names {
        chosen.push(find(&fleet, name)?.clone());
    }
    if names.is_empty() || !parsed.is_all() {
        chosen.extend(fleet.into_iter().filter(|host| parsed.matches(&host.name, &host.labels)));
    }
    chosen.sort_by(|left, right| left.name.cmp(&right.name));
    chosen.dedup_by(|left, right| left.id == right.id);
    if chosen.is_empty() {
        return Err(Fault::new(Code::NothingSelected, format!("no host matches `{selector}`")).fix("flota host list"));
    }
    Ok(chosen)
}

/// One host by name, by id, or by a prefix of an id that no other has.
pub fn find<'a>(fleet: &'a [Host], text: &str) -> Result<&'a Host, Fault> {
    if let Some(host) = fleet.iter().find(|host| host.name.as_str() == text) {
        return Ok(host);
    }
    let matching: Vec<&Host> = fleet.iter().filter(|host| host.id.as_str().starts_with(text)).collect();
    match matching.as_slice() {
        [host] if !text.is_empty() => Ok(host),
        [] => Err(Fault::not_found("host", text).fix("flota host list")),
        several => {
            let ids: Vec<&str> = several.iter().map(|host| host.id.as_str()).take(5).collect();
            Err(Fault::new(Code::BadRequest, format!("`{text}` may be one of {}", ids.join(", "))))
        }
    }
}
