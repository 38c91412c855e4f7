//! Signing, by several people and in several goes.

use flota_release::{Addition, Desk, DeskError, Lifetimes, Progress, Role, RootChange, Wave};
use jiff::Timestamp;

use super::ground::{Ground, day};

#[tokio::test]
async fn two_holders_sign_one_after_the_other() {
    let ground = Ground::with_two_targets_keys();
    let mut desk = ground.desk();
    desk.add(&ground.package("1.0"), &Addition::default(), Timestamp::now()).unwrap();
    let mut holders = ground.keys_of(Role::Targets);
    let second = holders.split_off(1);

    let waiting = desk.sign(&holders, false, Timestamp::now()).unwrap().unsigned.unwrap();
    assert_eq!((waiting.role, waiting.have, waiting.need), (Role::Targets, 1, 2));
    assert_eq!(waiting.may_sign, [second[0].public().unwrap().id()]);
    // Signing twice is signing once.
    let again = desk.sign(&holders, false, Timestamp::now()).unwrap().unsigned.unwrap();
    assert_eq!(again.have, 1);
    assert_eq!(desk.releases().unwrap().len(), 0, "nothing is out yet");
    assert_eq!(desk.drafted().unwrap().len(), 1);

    let waiting = desk.sign(&second, false, Timestamp::now()).unwrap();
    assert_eq!(waiting.signed, [(Role::Targets, 2)]);
    assert_eq!(waiting.unsigned.unwrap().role, Role::Snapshot, "the online keys are missing");
    drop(desk);
    ground.extend(&[Role::Snapshot, Role::Timestamp]);
    let catalogue = ground.trust().refresh(ground.mirror()).await.unwrap();
    assert_eq!(catalogue.entries.len(), 1);
}

#[tokio::test]
async fn a_change_of_a_draft_takes_its_signatures_away() {
    let ground = Ground::with_two_targets_keys();
    let mut desk = ground.desk();
    desk.add(&ground.package("1.0"), &Addition::default(), Timestamp::now()).unwrap();
    let mut holders = ground.keys_of(Role::Targets);
    let second = holders.split_off(1);
    desk.sign(&holders, false, Timestamp::now()).unwrap();
    desk.add(&ground.package("1.1"), &Addition::default(), Timestamp::now()).unwrap();
    let waiting = desk.sign(&second, false, Timestamp::now()).unwrap().unsigned.unwrap();
    assert_eq!(waiting.have, 1, "the first holder signed something else");
}

#[tokio::test]
async fn extending_touches_the_roles_whose_keys_are_there() {
    let ground = Ground::founded(Lifetimes::default(), day(-20));
    ground.release_at("1.0", &Addition::default(), day(-20));
    let before: Vec<u64> = Role::ALL.iter().map(|role| role_version(&ground, *role)).collect();
    ground.extend(&[Role::Timestamp]);
    let after: Vec<u64> = Role::ALL.iter().map(|role| role_version(&ground, *role)).collect();
    assert_eq!(before[..3], after[..3]);
    assert_eq!(before[3] + 1, after[3]);
    let catalogue = ground.trust().refresh(ground.mirror()).await.unwrap();
    assert_eq!(catalogue.first_expiry().unwrap().role, Role::Snapshot);
}

fn role_version(ground: &Ground, role: Role) -> u64 {
    if role != Role::Timestamp {
        return ground.version_of(role);
    }
    let timestamp: serde_json::Value = serde_json::from_slice(&ground.files()["timestamp.json"]).unwrap();
    timestamp["signed"]["version"].as_u64().unwrap()
}

#[tokio::test]
async fn a_root_goes_on_when_a_key_is_added_and_the_threshold_raised() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let second = ground.new_key(Role::Root).public().unwrap();
    ground.rotate(&[RootChange { role: Role::Root, add: vec![second], remove: Vec::new(), threshold: Some(2) }]);
    let trust = ground.trust();
    trust.refresh(ground.mirror()).await.unwrap();
    // From now on one of them is not enough.
    let desk = ground.desk();
    desk.change_root(&[], Timestamp::now()).unwrap();
    let one = ground.keys_of(Role::Root).split_off(1);
    let progress = desk.sign(&one, false, Timestamp::now()).unwrap();
    assert_eq!(progress.unsigned.unwrap().have, 1);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let ground = Ground::new();
    ground.release("1.0", &Addition::default());
    let before = ground.files();
    let mut desk = ground.desk();
    let now = Timestamp::now();
    let again = desk.add(&ground.package("1.0"), &Addition::default(), now);
    assert!(matches!(again, Err(DeskError::VersionTaken(_))));
    let floor = Addition { security_floor: Some("0.9".into()), ..Addition::default() };
    assert!(matches!(desk.add(&ground.package("1.1"), &floor, now), Err(DeskError::NoSuchVersion(_))));
    let wave = |after_seconds, permille| Wave { after_seconds, permille };
    for waves in [vec![wave(0, 0)], vec![wave(0, 1001)], vec![wave(9, 10), wave(9, 20)], vec![wave(1, 20), wave(2, 10)]]
    {
        let addition = Addition { waves, ..Addition::default() };
        assert!(matches!(desk.add(&ground.package("1.1"), &addition, now), Err(DeskError::Terms(_))));
    }
    let threshold = RootChange { role: Role::Targets, add: Vec::new(), remove: Vec::new(), threshold: Some(2) };
    assert!(matches!(desk.change_root(&[threshold], now), Err(DeskError::Threshold { .. })));
    assert!(matches!(desk.withdraw("9.9", now), Err(DeskError::NoSuchVersion(_))));
    let text = ground.package("1.1").with_file_name("a package.tar");
    std::fs::copy(ground.package("1.1"), &text).unwrap();
    assert!(matches!(desk.add(&text, &Addition::default(), now), Err(DeskError::Package { .. })));
    std::fs::write(&text, "no package").unwrap();
    assert!(desk.add(&text, &Addition::default(), now).is_err());
    assert!(matches!(Desk::open(desk.folder()), Err(DeskError::Busy(_))));
    assert_eq!(desk.sign(&[], false, now).unwrap(), Progress::default());
    drop(desk);
    assert_eq!(ground.files(), before);
}
