//! Why a credentials file is unusable.

use std::path::PathBuf;

use flota_seal::secret::SecretError;

use super::{FileFormat, MAX_FILE};
use crate::health::custom::CustomCheckError;
use crate::health::settings::ValueError;

/// Why a credentials file is unusable. `at` is the file and, where it is known, the field; no value is ever repeated.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("reading the credentials file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is too long to be a credentials file.
    #[error("{} is longer than {MAX_FILE} bytes: is it a credentials file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is neither JSON nor TOML, as its name says it should be.
    #[error("{at}: line {line} is not valid {format:?}: correct it")]
    Syntax {
        /// The file.
        at: String,
        /// What it should be.
        format: FileFormat,
        /// The first line that is wrong, from 1.
        line: usize,
    },
    /// A field has another type than it must have.
    #[error("{at} must be {expected}")]
    WrongType {
        /// The file and field.
        at: String,
        /// The right type.
        expected: &'static str,
    },
    /// A field that other tools call so.
    #[error("{at}: this field is called '{right}' here: rename it")]
    WrongName {
        /// The file and field.
        at: String,
        /// Its name here.
        right: &'static str,
    },
    /// A field that nobody knows.
    #[error("{at} is no field of this table: it has {known}")]
    UnknownField {
        /// The file and field.
        at: String,
        /// The fields that there are, comma separated.
        known: String,
    },
    /// A field's value cannot be used.
    #[error("reading {at}")]
    Value {
        /// The file and field.
        at: String,
        /// Why.
        #[source]
        source: ValueError,
    },
    /// One of the operator's own checks cannot be run.
    #[error("reading {at}")]
    Check {
        /// The file and field.
        at: String,
        /// Why.
        #[source]
        source: CustomCheckError,
    },
    /// A secret cannot be decoded. Its message names the file and field.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A placeholder's variable is not set.
    #[error("{at} needs the environment variable {variable}, which is not set")]
    UnsetVariable {
        /// The file and field.
        at: String,
        /// The variable.
        variable: String,
    },
    /// A placeholder that is not `${NAME}`.
    #[error("{at} has a placeholder that is not ${{NAME}}: correct it")]
    Placeholder {
        /// The file and field.
        at: String,
    },
    /// One half of a key.
    #[error("{at} has a {present} and no {missing}: a key needs both")]
    HalfAKey {
        /// The file and table.
        at: String,
        /// The half that is there.
        present: &'static str,
        /// The half that is not.
        missing: &'static str,
    },
}
