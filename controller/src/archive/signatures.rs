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

/// Longest name of a key that is told, in characters: it is the host's word.
const MAX_KEY_ID: usize = 100;
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
    let keys = match read(keys) {
        Ok(keys) => keys,
        Err(error) => {
            tracing::error!(error = flota_daemon::error_chain::chain(&error), "exports cannot be checked");
            let why = "the keys (export_keys_file) cannot be used: the controller's log says why".to_owned();
            return Ok(Checked { signature: ExportSignature::UnknownKey, key_id: None, why });
        }
    };
    let file = core
        .blobs
        .read(blob, 0)
        .map_err(|error| Fault::new(Code::Unavailable, "an export that arrived cannot be read").because(error))?;
    let file = file.ok_or_else(|| Fault::new(Code::Unavailable, "an export that arrived is not here any more"))?;
    let _one_of_few = core.checked_exports.acquire().await;
    let name = host.name.to_string();
    let checked = tokio::task::spawn_blocking(move || {
        let mut malformed = false;
        let found = sealed::check(file, |id| {
            // A signature need not name its key; then it is that of the host.
            let text = keys.get(id.unwrap_or(&name)).or_else(|| keys.get(&name))?;
            let key = Secret::decode(text, "export_keys_file").ok();
            malformed = key.is_none();
            key
        });
        (found, malformed)
    });
    let (found, malformed) =
        checked.await.map_err(|error| Fault::new(Code::Bug, "the check of an export ended early").because(error))?;
    let (signature, why) = match &found {
        Ok((Found::Valid, _)) => (ExportSignature::Valid, String::new()),
        Ok((Found::Mismatch, _)) => (ExportSignature::Mismatch, "it is not what was signed with the host's key".into()),
        Ok((Found::UnknownKey, _)) if malformed => {
            (ExportSignature::UnknownKey, "its key in export_keys_file is malformed".into())
        }
        Ok((Found::UnknownKey, key)) => {
            let key: String = key.as_deref().unwrap_or("no name").chars().take(MAX_KEY_ID).collect();
            (ExportSignature::UnknownKey, format!("export_keys_file has no key for {key}, nor for the host"))
        }
        Err(NotSealed::Read(_)) => {
            return Err(Fault::new(Code::Unavailable, "an export that arrived could not be read"));
        }
        Err(error @ NotSealed::Form(_)) => (ExportSignature::Mismatch, error.to_string()),
    };
    Ok(Checked { signature, key_id: found.ok().and_then(|(_, key)| key), why })
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

/// Why the file of keys cannot be used. What the parser says of it could quote it.
#[derive(Debug, thiserror::Error)]
enum BadKeys {
    #[error(transparent)]
    File(#[from] files::FileError),
    #[error("export_keys_file is not of the form {{\"keys\": {{\"KEY ID OR HOST NAME\": \"hex:...\"}}}}")]
    Form,
}

/// Read anew each time: keys change.
fn read(path: &Path) -> Result<BTreeMap<String, String>, BadKeys> {
    let file: KeyFile = serde_json::from_str(&files::read_text(path)?).map_err(|_| BadKeys::Form)?;
    Ok(file.keys)
}
