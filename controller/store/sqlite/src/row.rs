//! From columns to the model. Nothing that is read is trusted to be what was written.

use std::error::Error;
use std::str::FromStr;

use flota_model::host::KeyStorage;
use flota_model::{Generation, RolloutId};
use flota_store::StoreError;
use serde::de::DeserializeOwned;

/// Where a key lives, of hosts and tokens.
pub(crate) const KEY_STORAGES: [(&str, KeyStorage); 2] =
    [(KeyStorage::Tpm.as_str(), KeyStorage::Tpm), (KeyStorage::File.as_str(), KeyStorage::File)];

/// The row being read, for errors that say where to look.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'r> {
    /// Its table.
    pub(crate) table: &'static str,
    /// Its key.
    pub(crate) row: &'r str,
}

/// A number outside the range of its column.
#[derive(Debug, thiserror::Error)]
#[error("{0} is out of range")]
struct OutOfRange(i64);

/// A word that no version wrote into this column.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a word of this column")]
struct UnknownWord(String);

impl Origin<'_> {
    /// A word, id, digest.
    pub(crate) fn parse<T>(&self, column: &'static str, text: &str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        text.parse().map_err(|source| self.wrong(column, source))
    }

    /// The same where there may be none.
    pub(crate) fn parse_some<T>(&self, column: &'static str, text: Option<&str>) -> Result<Option<T>, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        text.map(|text| self.parse(column, text)).transpose()
    }

    /// A word of a list of few.
    pub(crate) fn word<T: Copy>(&self, column: &'static str, text: &str, words: &[(&str, T)]) -> Result<T, StoreError> {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| self.wrong(column, UnknownWord(text.to_owned())))
    }

    /// A document.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| self.wrong(column, source))
    }

    /// A count.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T, StoreError> {
        T::try_from(number).map_err(|_| self.wrong(column, OutOfRange(number)))
    }

    /// A generation.
    pub(crate) fn generation(&self, column: &'static str, number: i64) -> Result<Generation, StoreError> {
        let generation = u64::try_from(number).ok().and_then(Generation::new);
        generation.ok_or_else(|| self.wrong(column, OutOfRange(number)))
    }

    /// A rollout's number.
    pub(crate) fn rollout(&self, column: &'static str, number: i64) -> Result<RolloutId, StoreError> {
        self.number(column, number).map(RolloutId::new)
    }

    /// The column holds something impossible.
    pub(crate) fn wrong(&self, column: &'static str, source: impl Error + Send + Sync + 'static) -> StoreError {
        let Self { table, row } = *self;
        StoreError::Inconsistent { table, column, row: row.to_owned(), source: Box::new(source) }
    }
}
