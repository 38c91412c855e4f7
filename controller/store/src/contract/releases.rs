//! Releases.

use flota_model::release::Release;

use super::fixtures::{entry, logged, release, second};
use crate::{Publish, Store};

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
