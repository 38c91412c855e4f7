//! Exports are checked with the host's own key when they arrive, where the controller was given it.
//!
//! Whoever can check an HMAC can forge it; so that is for the fleet's owner to decide, and without the file nothing is checked.

use std::collections::BTreeMap;
use std::path::Path;

use flota_model::Digest;
use flota_model::host::Host;
use flota_model::task::ExportSignature;
use flota_seal::sealed::{self, Found, NotSealed};
use flota_seal::secret::Secret;
use flota_store::NewEscalation;
use serde::Deserialize;
use serde_json::json;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::files;

/// The kind of escalation.
const KIND: &str = "export_signature";

/// The file of keys: `{"keys": {"KEY ID OR HOST NAME": "hex:…"}}`, as the bot keeps others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    keys: BTreeMap<String, String>,
}

/// What was found, with the name of the key that the file itself gives.
pub struct Checked {
    /// Whether it holds.
    pub signature: ExportSignature,
    /// The name of the key; none: it was not looked at, or has none.
    pub key_id: Option<String>,
    /// Why it does not, if it does not.
    pub why: String,
}

/// Checks the blob that this host sent.
pub async fn check(core: &Core, host: &Host, blob: &Digest) -> Result<Checked, Fault> {
    let Some(keys) = core.settings.exports.keys_file.as_deref() else {
        return Ok(Checked { signature: ExportSignature::NotChecked, key_id: None, why: String::new() });
    };
    let keys = read(keys)?;
    let file = core
        .blobs
        .read(blob, 0)
        .map_err(|error| Fault::new(Code::Unavailable, "an export that arrived cannot be read").because(error))?;
    let file = file.ok_or_else(|| Fault::new(Code::Unavailable, "an export that arrived is not here any more"))?;
    let name = host.name.to_string();
    let checked = tokio::task::spawn_blocking(move || {
        // A signature need not name its key; then it is that of the host.
        sealed::check(file, |id| {
            keys.get(id.unwrap_or(&name)).or_else(|| keys.get(&name)).and_then(|text| decoded(text))
        })
    });
    let checked =
        checked.await.map_err(|error| Fault::new(Code::Bug, "the check of an export ended early").because(error))?;
    let (signature, why) = match &checked {
        Ok((Found::Valid, _)) => (ExportSignature::Valid, String::new()),
        Ok((Found::Mismatch, _)) => (ExportSignature::Mismatch, "it is not what was signed with the host's key".into()),
        Ok((Found::UnknownKey, key)) => {
            let key = key.as_deref().unwrap_or("no name");
            (ExportSignature::UnknownKey, format!("no key is known for {key}, nor for the host"))
        }
        Err(NotSealed::Read(_)) => {
            return Err(Fault::new(Code::Unavailable, "an export that arrived could not be read"));
        }
        Err(error @ NotSealed::Form(_)) => (ExportSignature::Mismatch, error.to_string()),
    };
    Ok(Checked { signature, key_id: checked.ok().and_then(|(_, key)| key), why })
}

/// Tells the security role of one that does not hold.
pub async fn escalate(core: &Core, host: &Host, checked: &Checked) -> Result<(), Fault> {
    if matches!(checked.signature, ExportSignature::Valid | ExportSignature::NotChecked) {
        return Ok(());
    }
    let summary = format!("a security export of {} is not proved: {}", host.name, checked.why);
    let details = json!({ "kind": KIND, "why": checked.why });
    let audit = core.audit("escalation.open", format!("host/{}", host.id), "ok", &details);
    // False: one is open already.
    let _new = core.store.escalate(&host.id, &NewEscalation { kind: KIND.to_owned(), summary }, &audit).await?;
    Ok(())
}

/// Read anew each time: keys change, and what is no more in the file must not be in memory.
fn read(path: &Path) -> Result<BTreeMap<String, String>, Fault> {
    let unusable = || Fault::new(Code::Unavailable, "the keys of exports (export_keys_file) cannot be used");
    let text = files::read_text(path).map_err(|error| unusable().because(error))?;
    // What the parser says of it could quote it.
    let file: KeyFile =
        serde_json::from_str(&text).map_err(|_| unusable().fix("{\"keys\": {\"KEY ID\": \"hex:...\"}}"))?;
    Ok(file.keys)
}

fn decoded(text: &str) -> Option<Secret> {
    Secret::decode(text, "export_keys_file").ok()
}
