//! Migrations are applied once and never changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flota_model::Digest;
use flota_store::contract::fixtures::enrolled;
use flota_store::{HostStore as _, StoreError};
use flota_store_sqlite::SqliteStore;

use crate::{database_in, fresh, raw};

pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../migrations/sqlite");

#[test]
fn applied_files_are_never_edited() {
    let folder = Path::new(FOLDER);
    let recorded = fs::read_to_string(folder.join("checksums.txt")).unwrap();
    let recorded: BTreeMap<String, String> = recorded
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    let found: BTreeMap<String, String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, Digest::of(&fs::read(&path).unwrap()).to_string())
        })
        .collect();
    assert_eq!(found, recorded, "a new file is recorded in checksums.txt; a recorded one stays as it is");
}

#[test]
fn files_are_numbered_without_gaps_and_say_why() {
    let mut names: Vec<_> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    names.sort();
    for (index, path) in names.iter().enumerate() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name}");
        assert!(fs::read_to_string(path).unwrap().starts_with("-- "), "{name} does not say why");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (store, folder) = fresh().await;
    enrolled(&store, 1).await;
    store.close().await;
    let path = database_in(folder.path());
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9000, 'from the future', true, x'00', 0)";
    raw(&path, newer).await.unwrap();
    let before = fs::read(&path).unwrap();

    let error = SqliteStore::open(&path).await.unwrap_err();
    let StoreError::FromNewerVersion { found: 9000, known } = error else { panic!("{error}") };
    assert!(known < 9000);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_history_that_is_not_ours_is_named() {
    for (change, column) in [
        ("update _sqlx_migrations set checksum = x'00' where version = 2", "checksum"),
        ("update _sqlx_migrations set success = false where version = 2", "success"),
    ] {
        let (store, folder) = fresh().await;
        store.close().await;
        let path = database_in(folder.path());
        raw(&path, change).await.unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        let StoreError::Inconsistent { table, column: found, row, .. } = error else { panic!("{error}") };
        assert_eq!((table, found, row.as_str()), ("_sqlx_migrations", column, "2"));
    }
}

#[tokio::test]
async fn opening_again_applies_nothing() {
    let (store, folder) = fresh().await;
    enrolled(&store, 1).await;
    let again = SqliteStore::open(&database_in(folder.path())).await.unwrap();
    assert_eq!(again.hosts().await.unwrap(), store.hosts().await.unwrap());
}
