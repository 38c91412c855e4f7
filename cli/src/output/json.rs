//! Documents for machines: `{"apiVersion":"flota/v1","kind":…}`. Within v1 fields are only added.

use serde::Serialize;
use serde_json::Value;

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
    written(match renamed(kind, object) {
        Some(object) => serde_json::to_string_pretty(&Document { api_version: API_VERSION, kind, object: &object }),
        None => serde_json::to_string_pretty(&Document { api_version: API_VERSION, kind, object }),
    })
}

/// One thing in one line.
pub(crate) fn line<T: Serialize>(kind: &str, object: &T) -> String {
    written(match renamed(kind, object) {
        Some(object) => serde_json::to_string(&Document { api_version: API_VERSION, kind, object: &object }),
        None => serde_json::to_string(&Document { api_version: API_VERSION, kind, object }),
    })
}

/// A thing that has a `kind` of its own, with that as `task_kind` and the like: a name that is there twice is read by
/// each reader as it likes.
fn renamed<T: Serialize>(kind: &str, object: &T) -> Option<Value> {
    let mut value = serde_json::to_value(object).ok()?;
    let fields = value.as_object_mut()?;
    let own = fields.remove("kind")?;
    fields.insert(format!("{}_kind", kind.to_ascii_lowercase()), own);
    Some(value)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_one_kind() {
        #[derive(Serialize)]
        struct Task {
            kind: &'static str,
            id: u8,
        }
        let expected = r#"{"apiVersion":"flota/v1","kind":"Task","id":7,"task_kind":"export"}"#;
        assert_eq!(line("Task", &Task { kind: "export", id: 7 }), expected);
        assert_eq!(document("Task", &Task { kind: "export", id: 7 }).matches("\"kind\"").count(), 1);
    }
}
