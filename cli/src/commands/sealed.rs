//! Documents that the controller signed: written to a file, and checked without a controller.

use std::path::Path;

use flota_model::evidence::{DocumentKind, SealedDocument};
use flota_seal::evidence::verify_document;
use serde_json::Value;

use super::evidence::key;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::clean;

/// Largest file that is read, in bytes: a checklist of ten thousand hosts.
const MAX_FILE: u64 = 64 << 20;

/// Writes it to a file that is not there yet.
pub(crate) fn write(sealed: &SealedDocument, to: &Path) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Exit::Bad, format!("{} cannot be written", to.display())).because_of(error)
    };
    let text = serde_json::to_vec_pretty(sealed).map_err(|error| failed(&error))?;
    let mut file = std::fs::File::create_new(to).map_err(|error| failed(&error))?;
    std::io::Write::write_all(&mut file, &text).and_then(|()| file.sync_all()).map_err(|error| failed(&error))
}

/// Reads one, and gives what was signed, if that holds under the key that was given.
pub(crate) fn read(
    invocation: &Invocation,
    kind: DocumentKind,
    file: &Path,
    given: Option<&str>,
) -> Result<Value, Failure> {
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        let what = format!("{} is no signed document that can be read", file.display());
        Failure::new(Exit::NotFound, what).because_of(error)
    };
    let opened = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let sealed: SealedDocument =
        serde_json::from_reader(std::io::Read::take(opened, MAX_FILE)).map_err(|error| unreadable(&error))?;
    let given = given.map(key).transpose()?;
    let document =
        verify_document(kind, &sealed, given.as_deref()).map_err(|error| proves_nothing().because_of(&error))?;
    if document["format"] != kind.format() {
        return Err(proves_nothing().detail("it is in a form that this version does not know"));
    }
    let made_at = document["made_at"].as_str().map(clean).unwrap_or_default();
    invocation.out.talk(&format!("signed {made_at} with key {}", clean(&sealed.public_key)));
    if given.is_none() {
        invocation.out.talk("no --key was given: it was checked with the key that is in it.");
    }
    Ok(document)
}

/// The signature holds nothing, or nothing that is one.
pub(crate) fn proves_nothing() -> Failure {
    Failure::new(Exit::Bad, "this proves nothing")
}
