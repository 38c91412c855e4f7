//! Documents for machines: `{"apiVersion":"flota/v1","kind":…}`. Within v1 fields are only added.

use serde::Serialize;

/// The version of every document.
const API_VERSION: &str = "flota/v1";

#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'a str,
    #[serde(flatten)]
    object: &'a T,
}

#[derive(Serialize)]
struct List<'a, T> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: String,
    items: &'a [T],
}

/// One thing, indented.
pub(crate) fn document<T: Serialize>(kind: &str, object: &T) -> String {
    written(serde_json::to_string_pretty(&Document { api_version: API_VERSION, kind, object }))
}

/// One thing in one line.
pub(crate) fn line<T: Serialize>(kind: &str, object: &T) -> String {
    written(serde_json::to_string(&Document { api_version: API_VERSION, kind, object }))
}

/// Many things of `kind`, indented.
pub(crate) fn list<T: Serialize>(kind: &str, items: &[T]) -> String {
    written(serde_json::to_string_pretty(&List { api_version: API_VERSION, kind: format!("{kind}List"), items }))
}

/// Read models are maps with text keys, which always serialise; should one not, the document says so itself.
fn written(result: serde_json::Result<String>) -> String {
    result.unwrap_or_else(|error| {
        serde_json::json!({ "apiVersion": API_VERSION, "kind": "Error", "message": error.to_string() }).to_string()
    })
}
