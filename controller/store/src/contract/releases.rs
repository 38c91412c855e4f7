//! Releases.

use flota_model::release::Release;

use super::fixtures::{entry, logged, release, second};
use crate::{Publish, ReleaseMetadata, Store};

/// Publishing is what a script does again when it got no answer.
pub async fn a_release_is_published_once(store: &dyn Store) {
    let made = release("1.0.0", "one");
    let audit = entry("release.publish", "release");
    assert_eq!(store.publish(&made, &audit).await.unwrap(), Publish::Published);
    let again = Release { published_by: "bert".into(), ..made.clone() };
    assert_eq!(store.publish(&again, &audit).await.unwrap(), Publish::AlreadyThere);
    assert_eq!(store.releases().await.unwrap(), [made]);
    assert_eq!(logged(store).await, 1);
}

/// What is 1.0.0 on one host is 1.0.0 on all.
pub async fn a_version_names_one_package(store: &dyn Store) {
    let made = release("1.0.0", "one");
    let audit = entry("release.publish", "release");
    store.publish(&made, &audit).await.unwrap();
    let outcome = store.publish(&release("1.0.0", "two"), &audit).await.unwrap();
    assert_eq!(outcome, Publish::VersionTaken(made.target.digest));
    let other_bot = Release { id: "other-bot".into(), ..release("1.0.0", "three") };
    assert_eq!(store.publish(&other_bot, &audit).await.unwrap(), Publish::Published);
    assert_eq!(store.releases().await.unwrap().len(), 2);
    assert_eq!(logged(store).await, 2);
}

/// By the time of publication, not by version: versions are the bot's business.
pub async fn releases_are_listed_newest_first(store: &dyn Store) {
    for (version, at) in [("9.0.0", 1), ("2.0.0", 3), ("3.0.0", 2)] {
        let release = Release { published_at: second(at), ..release(version, version) };
        store.publish(&release, &entry("release.publish", "release")).await.unwrap();
    }
    let listed = store.releases().await.unwrap();
    let versions: Vec<_> = listed.iter().map(|release| release.target.version.as_str()).collect();
    assert_eq!(versions, ["2.0.0", "3.0.0", "9.0.0"]);
}

/// Hosts that read one file after the other must find those that belong together, or none.
pub async fn signed_metadata_are_replaced_as_a_whole(store: &dyn Store) {
    assert_eq!(store.release_metadata().await.unwrap(), ReleaseMetadata::new());
    assert_eq!(store.release_metadata_file("timestamp.json").await.unwrap(), None);
    let file = |name: &str, contents: &str| (name.to_owned(), contents.as_bytes().to_vec());
    let first = ReleaseMetadata::from([
        file("1.root.json", "root"),
        file("1.targets.json", "one"),
        file("timestamp.json", "1"),
    ]);
    let second = ReleaseMetadata::from([
        file("1.root.json", "root"),
        file("2.targets.json", "two"),
        file("timestamp.json", "2"),
    ]);
    for files in [first, second.clone()] {
        store.set_release_metadata(&files, &entry("release.publish", "releases")).await.unwrap();
        assert_eq!(store.release_metadata().await.unwrap(), files);
    }
    assert_eq!(store.release_metadata_file("1.targets.json").await.unwrap(), None);
    assert_eq!(store.release_metadata_file("timestamp.json").await.unwrap(), second.get("timestamp.json").cloned());
    assert_eq!(logged(store).await, 2);
}
