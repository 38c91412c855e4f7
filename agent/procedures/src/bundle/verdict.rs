//! Checking an export that somebody hands in.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use flota_seal::secret::Secret;
use flota_seal::signature::{Signature, SignatureError, VerifyError};

/// Bytes that an export may have to be checked, since it is held in memory several times over meanwhile. The bot's
/// own exports do not have their members in signing order, so they cannot be checked in one pass.
pub const MAX_BUNDLE_LEN: u64 = 512 << 20;

/// What a check of an export found.
#[derive(Debug)]
pub enum Verdict {
    /// The export is as the owner of the key signed it.
    Valid {
        /// Its instant, if it names one.
        generated_at: Option<String>,
        /// The name that its signature gives the key. The signature does not cover it.
        key_id: Option<String>,
    },
    /// It is not, or nobody can tell.
    Invalid(InvalidBundle),
}

/// Why an export is not valid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBundle {
    /// It cannot be read.
    #[error("cannot read the export '{}'", path.display())]
    Unreadable {
        /// The export.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is longer than [`MAX_BUNDLE_LEN`].
    #[error("the export has more than {MAX_BUNDLE_LEN} bytes: check it in parts")]
    TooLong,
    /// It is not JSON.
    #[error("the export is not JSON")]
    NotJson(#[source] ParseJsonError),
    /// It has no object `bundle` or no `signature`.
    #[error("the export has no '{0}': this is not a security export")]
    NoMember(&'static str),
    /// Its signature is malformed.
    #[error("the export's signature is malformed")]
    Malformed(#[source] SignatureError),
    /// Its signature is not that of its contents under this key.
    #[error("the export is not what was signed with this key")]
    Mismatch(#[source] VerifyError),
}

/// Checks the signature of an export, Flota's or the bot's, of either kind.
pub fn verify(file: &Path, key: &Secret) -> Verdict {
    check(file, key).unwrap_or_else(Verdict::Invalid)
}

impl Verdict {
    /// Whether the export is as the owner of the key signed it.
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }

    /// The document that the command prints.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Valid { generated_at, key_id } => Json::object([
                ("status", "valid".into()),
                ("generated_at", generated_at.as_deref().map_or(Json::Null, Json::from)),
                ("key_id", key_id.as_deref().map_or(Json::Null, Json::from)),
            ]),
            Self::Invalid(reason) => {
                let cause = std::error::Error::source(reason).map(|cause| format!(": {cause}")).unwrap_or_default();
                Json::object([("status", "invalid".into()), ("error", format!("{reason}{cause}").into())])
            }
        }
    }
}

fn check(path: &Path, key: &Secret) -> Result<Verdict, InvalidBundle> {
    let text = read(path)?;
    let document = Json::parse(&text).map_err(InvalidBundle::NotJson)?;
    drop(text);
    let bundle = document.member("bundle").ok_or(InvalidBundle::NoMember("bundle"))?;
    let signature = document.member("signature").ok_or(InvalidBundle::NoMember("signature"))?;
    let signature = Signature::from_json(signature).map_err(InvalidBundle::Malformed)?;
    signature.verify(bundle, key).map_err(InvalidBundle::Mismatch)?;
    Ok(Verdict::Valid {
        generated_at: bundle.member("generated_at").and_then(Json::as_str).map(str::to_owned),
        key_id: signature.key_id().map(str::to_owned),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidBundle> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BUNDLE_LEN + 1).read_to_end(&mut text))
        .map_err(|source| InvalidBundle::Unreadable { path: path.to_owned(), source })?;
    if text.len() as u64 > MAX_BUNDLE_LEN { Err(InvalidBundle::TooLong) } else { Ok(text) }
}
