//! The attacks that TUF names (specification §1.5.2), and Uptane's, each tried by somebody who has the controller, the
//! mirror and the network, and not the keys. What a host believed before, it believes afterwards.

use std::sync::Arc;

use flota_release::{
    Addition, DeskError, Floors, Lifetimes, MAX_METADATA_BYTES, Memory, NotAdmitted, RefreshError, Refusal, Role,
    RootChange, Situation, Trust, TrustError, admit,
};
use jiff::Timestamp;

use super::ground::{Ground, Tar, day, reference};

fn code(error: &RefreshError) -> &'static str {
    error.refusal().map_or("none", Refusal::code)
}

#[tokio::test]
async fn arbitrary_software_is_not_installed_without_the_signatures() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let trust = ground.trust();
    let before = trust.refresh(ground.mirror()).await.unwrap();
    // The attacker has keys as well, only not ours.
    let theirs = Ground::new();
    theirs.release("6.6.6", &Addition::default());
    let error = trust.refresh(theirs.mirror()).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Signatures(Role::Timestamp)), "{error}");
    // With the online keys of ours in their hands, it is the list of releases that they cannot sign.
    let mirror = ground.mirror();
    for (name, bytes) in ground.forged_list(&theirs.keys_of(Role::Targets)) {
        mirror.set(&name, Some(bytes));
    }
    let error = trust.refresh(mirror).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Signatures(Role::Targets)), "{error}");
    // The thief of the online keys cannot even keep ours away for long.
    ground.release("1.1", &Addition::default());
    let after = trust.refresh(ground.mirror()).await.unwrap();
    assert_eq!(after.entries[..1], before.entries);
    assert_eq!(after.entries.len(), 2);
}

#[tokio::test]
async fn a_package_that_nobody_signed_is_not_admitted() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let catalogue = ground.trust().refresh(ground.mirror()).await.unwrap();
    let mut wanted = reference(&catalogue.entries[0]);
    let situation = Situation { host: "h", running: None, running_version: "", now: Timestamp::now() };
    assert!(admit(&catalogue, &mut Floors::default(), &wanted, &situation).is_ok());
    wanted.digest = flota_model::Digest::of(b"malware");
    let refused = admit(&catalogue, &mut Floors::default(), &wanted, &situation).unwrap_err();
    assert!(matches!(refused, NotAdmitted::NotSigned(_)));
}

#[tokio::test]
async fn rollback_to_older_metadata_is_refused() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let old = ground.mirror();
    ground.release("1.1", &Addition::default());
    let trust = ground.trust();
    trust.refresh(ground.mirror()).await.unwrap();
    let error = trust.refresh(old.clone()).await.unwrap_err();
    assert_eq!(code(&error), "metadata_rollback", "{error}");
    // Nor after a restart: what is believed is on disk.
    let error = ground.trust().refresh(old).await.unwrap_err();
    assert_eq!(code(&error), "metadata_rollback", "{error}");
}

#[tokio::test]
async fn an_older_list_under_a_newer_timestamp_is_refused() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let first = ground.files();
    ground.release("1.1", &Addition::default());
    let trust = ground.trust();
    let mirror = ground.mirror();
    // Mix and match: the newest timestamp and snapshot, and the list of yesterday in the place of today's.
    mirror.set("3.targets.json", first.get("2.targets.json").cloned());
    let error = trust.refresh(mirror.clone()).await.unwrap_err();
    assert_eq!(code(&error), "metadata_mixed", "{error}");
    mirror.set("3.targets.json", ground.files().get("3.targets.json").cloned());
    mirror.set("3.snapshot.json", first.get("2.snapshot.json").cloned());
    let error = trust.refresh(mirror).await.unwrap_err();
    assert_eq!(code(&error), "metadata_mixed", "{error}");
}

#[tokio::test]
async fn an_indefinite_freeze_ends_with_the_timestamps_life() {
    for role in Role::ALL {
        let days = |this: Role, long: u16| if this == role { 1 } else { long };
        let lifetimes = Lifetimes {
            root_days: days(Role::Root, 365),
            targets_days: days(Role::Targets, 90),
            snapshot_days: days(Role::Snapshot, 30),
            timestamp_days: days(Role::Timestamp, 30),
        };
        let ground = Ground::founded(lifetimes, day(-3));
        ground.release_at("1.0", &Addition::default(), day(-3));
        let error = ground.trust().refresh(ground.mirror()).await.unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::Expired { role }), "{error}");
    }
    // Extended by those who may, it is believed again.
    let lifetimes = Lifetimes { timestamp_days: 1, ..Lifetimes::default() };
    let ground = Ground::founded(lifetimes, day(-3));
    ground.release_at("1.0", &Addition::default(), day(-3));
    ground.extend(&[Role::Timestamp]);
    ground.trust().refresh(ground.mirror()).await.unwrap();
}

#[tokio::test]
async fn endless_data_is_not_read_to_its_end() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let endless = vec![b' '; usize::try_from(MAX_METADATA_BYTES).unwrap() + 1];
    for name in ["timestamp.json", "2.snapshot.json", "2.targets.json", "2.root.json"] {
        let mirror = ground.mirror();
        mirror.set(name, Some(endless.clone()));
        let error = ground.trust().refresh(mirror).await.unwrap_err();
        assert_eq!(code(&error), "metadata_too_large", "{name}: {error}");
    }
}

#[tokio::test]
async fn endlessly_many_roots_are_not_followed() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    for _ in 0..70 {
        ground.rotate(&[]);
    }
    let trust = ground.trust();
    let error = trust.refresh(ground.mirror()).await.unwrap_err();
    assert_eq!(code(&error), "metadata_too_large", "{error}");
}

#[tokio::test]
async fn a_fast_forward_is_undone_by_new_keys() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let trust = ground.trust();
    // The thief of the online keys makes a timestamp of a version that nobody can ever follow.
    let mirror = ground.mirror();
    mirror.set("timestamp.json", Some(ground.forged_timestamp(1_000_000)));
    trust.refresh(mirror).await.unwrap();
    ground.release("1.1", &Addition::default());
    let error = trust.refresh(ground.mirror()).await.unwrap_err();
    assert_eq!(code(&error), "metadata_rollback", "{error}");
    ground.replace_keys(&[Role::Snapshot, Role::Timestamp]);
    let catalogue = trust.refresh(ground.mirror()).await.unwrap();
    assert_eq!(catalogue.entries.len(), 2);
}

#[tokio::test]
async fn a_stolen_key_below_the_threshold_signs_nothing() {
    let ground = Ground::with_two_targets_keys();
    ground.release("1.0", &Addition::default());
    let trust = ground.trust();
    trust.refresh(ground.mirror()).await.unwrap();
    let mirror = ground.mirror();
    // One of the two keys, and the online keys: enough to make a list that nobody believes.
    for (name, bytes) in ground.forged_list(&ground.keys_of(Role::Targets)[..1]) {
        mirror.set(&name, Some(bytes));
    }
    let error = trust.refresh(mirror).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Signatures(Role::Targets)), "{error}");
}

#[tokio::test]
async fn a_root_is_followed_only_when_the_old_and_the_new_keys_signed_it() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let trust = ground.trust();
    trust.refresh(ground.mirror()).await.unwrap();
    let theirs = Ground::new();
    theirs.rotate(&[]);
    let mirror = ground.mirror();
    mirror.set("2.root.json", theirs.files().get("2.root.json").cloned());
    let error = trust.refresh(mirror).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Signatures(Role::Root)), "{error}");

    // Ours goes on to new keys, and the old ones are worth nothing from then on.
    let old = ground.files();
    ground.replace_keys(&[Role::Targets]);
    let catalogue = trust.refresh(ground.mirror()).await.unwrap();
    assert_eq!(catalogue.entries.len(), 1);
    let error = trust.refresh(Arc::new(Memory::new(old))).await.unwrap_err();
    assert!(error.refusal().is_some(), "{error}");
}

#[tokio::test]
async fn a_malicious_mirror_that_drops_files_is_no_answer() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let trust = ground.trust();
    trust.refresh(ground.mirror()).await.unwrap();
    for name in ["timestamp.json", "2.snapshot.json", "2.targets.json"] {
        let mirror = ground.mirror();
        mirror.set(name, None);
        let error = trust.refresh(mirror).await.unwrap_err();
        assert!(error.is_transient(), "{name}: {error}");
    }
    trust.refresh(ground.mirror()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_retrieval_is_given_up() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let error = ground.trust().refresh(Arc::new(Tar)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn bytes_that_are_no_metadata_are_refused() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    for (name, bytes) in [("timestamp.json", &b"{}"[..]), ("timestamp.json", b"\xff"), ("2.root.json", b"[]")] {
        let mirror = ground.mirror();
        mirror.set(name, Some(bytes.to_vec()));
        let error = ground.trust().refresh(mirror).await.unwrap_err();
        assert_eq!(code(&error), "metadata_unreadable", "{name}: {error}");
    }
}

#[tokio::test]
async fn a_withdrawn_release_is_not_admitted_any_more() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    ground.release("1.1", &Addition::default());
    let trust = ground.trust();
    let before = trust.refresh(ground.mirror()).await.unwrap();
    ground.withdraw("1.0");
    let after = trust.refresh(ground.mirror()).await.unwrap();
    assert_eq!((before.entries.len(), after.entries.len()), (2, 1));
    // Its number is not given again.
    ground.release("1.2", &Addition::default());
    let last = trust.refresh(ground.mirror()).await.unwrap();
    let sequences: Vec<u64> = last.entries.iter().map(|entry| entry.terms.sequence).collect();
    assert_eq!(sequences, [2, 3]);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_taken_away() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let change = RootChange { role: Role::Targets, add: Vec::new(), remove: vec!["00".into()], threshold: None };
    assert!(matches!(ground.desk().change_root(&[change], Timestamp::now()), Err(DeskError::NoSuchKey(..))));
}

#[tokio::test]
async fn a_foreign_root_in_the_place_of_the_installed_one_is_not_believed() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    ground.trust().refresh(ground.mirror()).await.unwrap();
    // Whoever can write the file, by the bot's account say, makes a root of a higher version with keys of their own.
    let theirs = Ground::new();
    theirs.release("6.6.6", &Addition::default());
    theirs.replace_keys(&[Role::Timestamp]);
    std::fs::write(ground.first_root(), &theirs.files()["2.root.json"]).unwrap();
    let error = ground.trust().refresh(theirs.mirror()).await.unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::Signatures(_))), "{error}");
    let catalogue = ground.trust().refresh(ground.mirror()).await.unwrap();
    assert_eq!(catalogue.entries[0].terms.version, "1.0");
}

#[tokio::test]
async fn a_newer_root_in_the_place_of_the_installed_one_counts_when_the_known_keys_signed_it() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    ground.trust().refresh(ground.mirror()).await.unwrap();
    ground.replace_keys(&[Role::Root, Role::Timestamp]);
    let files = ground.files();
    std::fs::write(ground.first_root(), &files["2.root.json"]).unwrap();
    // The mirror withholds the rotation; the people have brought it by hand.
    let mirror = ground.mirror();
    mirror.set("2.root.json", None);
    ground.trust().refresh(mirror).await.unwrap();
}

#[tokio::test]
async fn a_root_that_everybody_can_write_is_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let ground = Ground::new();
    for mode in [0o664, 0o646] {
        std::fs::set_permissions(ground.first_root(), std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = Trust::open(&ground.first_root(), &ground.first_root().with_extension("state")).unwrap_err();
        assert!(matches!(refused, TrustError::Writable(_)), "{refused}");
    }
}
