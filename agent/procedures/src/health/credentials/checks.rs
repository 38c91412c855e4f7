//! The list `checks` of an exchange's table: the operator's own checks.

use std::path::PathBuf;

use super::CredentialsError;
use super::table::Table;
use crate::health::custom::{CustomCheck, CustomCheckError};

/// The fields of a check.
const FIELDS: [&str; 6] = ["name", "command", "url", "expect_status", "ca_file", "timeout_seconds"];

/// Reads the checks of an exchange.
pub(super) fn read(exchange: &Table<'_>) -> Result<Vec<CustomCheck>, CredentialsError> {
    exchange.tables("checks")?.iter().map(check).collect()
}

fn check(table: &Table<'_>) -> Result<CustomCheck, CredentialsError> {
    table.only(&FIELDS, &[])?;
    let name = table.text("name")?.unwrap_or_default();
    let timeout = table.count("timeout_seconds")?;
    let check = match (table.words("command")?, table.text("url")?) {
        (Some(words), None) => CustomCheck::command(&name, words, timeout),
        (None, Some(url)) => {
            let ca_file = table.text("ca_file")?.map(|path| PathBuf::from(path.as_str()));
            CustomCheck::http(&name, &url, table.count("expect_status")?, ca_file, timeout)
        }
        (None, None) | (Some(_), Some(_)) => Err(CustomCheckError::CommandOrUrl),
    };
    check.map_err(|source| CredentialsError::Check { at: table.at().to_owned(), source })
}
