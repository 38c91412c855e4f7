//! Releases that are not signed as they should be, and what an outage of the signatures keeps and does not keep.

use flota_release::Wave;

use super::*;

fn back(generation: u64, release: &ReleaseRef) -> DesiredState {
    want(generation, Goal::Install { release: release.clone(), intent: Direction::Back })
}

fn remove_metadata(ground: &Ground) {
    fs::remove_dir_all(ground.folder.path().join("packages/metadata")).unwrap();
}

#[tokio::test]
async fn a_release_that_nobody_signed_is_not_installed_whatever_the_controller_says() {
    let ground = Ground::new();
    let agent = ground.spawn(ground.outside());
    agent.install(1, &ground.good("1.0")).await;
    // A package with the right key of packages, offered without a signature: what a stolen controller can do.
    let signed = ground.good("2.0");
    ground.desk().withdraw("2.0", jiff::Timestamp::now()).unwrap();
    ground.sign(&ground.desk(), jiff::Timestamp::now());
    let report = agent.install(2, &signed).await;
    assert_eq!(report.phase, UpdatePhase::Refused);
    assert!(report.detail.contains("[release_not_signed]"), "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}

#[tokio::test]
async fn without_a_root_of_trust_nothing_is_installed() {
    let ground = Ground::new();
    let release = ground.good("1.0");
    fs::remove_file(&ground.settings.package.release_root).unwrap();
    let report = ground.spawn(ground.outside()).install(1, &release).await;
    assert!(report.phase == UpdatePhase::Refused && report.detail.contains("release root"), "{}", report.detail);
}

#[tokio::test]
async fn expired_signatures_keep_new_releases_away_and_no_fleet_from_going_back() {
    let ground = Ground::new();
    let (old, new, newer) = (ground.good("1.0"), ground.good("2.0"), ground.good("3.0"));
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    agent.install(2, &new).await;
    // Everybody with a key is away, and what they signed has expired.
    let elsewhere = tempfile::tempdir().unwrap();
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * 400);
    let expired = Ground::desk_in(elsewhere.path(), Lifetimes::default(), long_ago);
    let root = fs::read(expired.metadata_folder().join("1.root.json")).unwrap();
    drop(agent);
    let state = ground.settings.state_dir.join("release-trust.json");
    let kept = fs::read_to_string(&state).unwrap();
    fs::write(&ground.settings.package.release_root, root).unwrap();
    for (name, bytes) in expired.files().unwrap() {
        fs::write(ground.folder.path().join("packages/metadata").join(name), bytes).unwrap();
    }
    assert_eq!(fs::read_to_string(&state).unwrap(), kept);
    let (updater, handle) = ground.open().await;
    let lives = async {
        handle.want(install(3, &newer)).await.unwrap();
        let ended = |report: &UpdateReport, generation| {
            report.generation == Generation::new(generation) && report.phase.is_terminal()
        };
        let refused = handle.reports().wait_for(|report| ended(report, 3)).await.unwrap().clone();
        handle.want(back(4, &old)).await.unwrap();
        let gone_back = handle.reports().wait_for(|report| ended(report, 4)).await.unwrap().clone();
        drop(handle);
        (refused, gone_back)
    };
    let ((refused, gone_back), ()) = tokio::join!(lives, updater.run());
    assert_eq!(refused.phase, UpdatePhase::Refused, "{}", refused.detail);
    assert_eq!(gone_back.phase, UpdatePhase::Committed, "{}", gone_back.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}

#[tokio::test]
async fn metadata_that_cannot_be_had_are_asked_for_again() {
    let ground = Ground::new();
    let release = ground.good("1.0");
    let metadata = ground.desk().files().unwrap();
    remove_metadata(&ground);
    let agent = ground.spawn(ground.outside());
    agent.handle.want(install(1, &release)).await.unwrap();
    agent.until(|report| report.detail.contains("could not be fetched")).await;
    let folder = ground.folder.path().join("packages/metadata");
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in metadata {
        fs::write(folder.join(name), bytes).unwrap();
    }
    assert_eq!(agent.ends(1).await.phase, UpdatePhase::Committed);
}

#[tokio::test]
async fn the_releases_own_terms_are_kept() {
    let ground = Ground::new();
    let old = ground.good("1.0");
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    let cases = [
        ("3.0", Addition { upgrades_from: vec!["2.0".into()], ..Addition::default() }, "no_upgrade_path"),
        (
            "4.0",
            Addition { waves: vec![Wave { after_seconds: 3600, permille: 1000 }], ..Addition::default() },
            "signed_waves",
        ),
    ];
    for (generation, (version, addition, code)) in (2..).zip(cases) {
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("bot"), format!("healthy {version}\n")).unwrap();
        let archive = ground.folder.path().join(format!("bot-{version}.tar.gz"));
        let key = Secret::decode(KEY, "the test").unwrap();
        PackageBuilder::new("bot", version, "linux", "python").build(source.path(), &key, &archive).unwrap();
        let mut desk = ground.desk();
        let entry = desk.add(&archive, &addition, jiff::Timestamp::now()).unwrap();
        ground.sign(&desk, jiff::Timestamp::now());
        let release = ReleaseRef { digest: entry.digest, version: version.into(), size: entry.size };
        let report = agent.install(generation, &release).await;
        assert_eq!(report.phase, UpdatePhase::Refused);
        assert!(report.detail.contains(code), "{}", report.detail);
    }
    // A security floor holds from when it is known, installed or not.
    let mut desk = ground.desk();
    let source = ground.folder.path().join("bot-1.0.tar.gz");
    assert!(!source.exists(), "moved to where it is offered");
    let floor = Addition { security_floor: Some("4.0".into()), ..Addition::default() };
    let contents = tempfile::tempdir().unwrap();
    fs::write(contents.path().join("bot"), "healthy 5.0\n").unwrap();
    let archive = ground.folder.path().join("bot-5.0.tar.gz");
    let key = Secret::decode(KEY, "the test").unwrap();
    PackageBuilder::new("bot", "5.0", "linux", "python").build(contents.path(), &key, &archive).unwrap();
    let entry = desk.add(&archive, &floor, jiff::Timestamp::now()).unwrap();
    ground.sign(&desk, jiff::Timestamp::now());
    fs::copy(&archive, ground.folder.path().join("packages").join(entry.digest.to_string())).unwrap();
    let newest = ReleaseRef { digest: entry.digest, version: "5.0".into(), size: entry.size };
    assert_eq!(agent.install(9, &newest).await.phase, UpdatePhase::Committed);
    agent.handle.want(back(10, &old)).await.unwrap();
    let report = agent.ends(10).await;
    assert!(report.phase == UpdatePhase::Refused && report.detail.contains("security_floor"), "{}", report.detail);
}
