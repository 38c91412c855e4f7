//! What a release must pass beside its signatures: what it holds, its own test, its soak.

use super::*;

#[tokio::test]
async fn a_release_must_stay_healthy_for_its_soak() {
    let mut ground = Ground::new();
    ground.settings.update.soak = Some(Duration::from_secs(2));
    let agent = ground.spawn(ground.outside());
    let (old, new) = (ground.good("1.0"), ground.good("2.0"));
    let began = std::time::Instant::now();
    assert_eq!(agent.install(1, &old).await.phase, UpdatePhase::Committed);
    assert!(began.elapsed() >= Duration::from_secs(2));
    agent.handle.want(install(2, &new)).await.unwrap();
    let soaking = |report: &UpdateReport| report.detail == "healthy; it must stay so";
    let report = agent.until(soaking).await;
    assert_eq!((report.phase, report.running), (UpdatePhase::Probation, Some(new.digest)));
    fs::write(ground.root().join("running"), "sick\n").unwrap();
    let report = agent.ends(2).await;
    assert_eq!((report.phase, report.running), (UpdatePhase::RolledBack, Some(old.digest)), "{}", report.detail);
    assert!(report.detail.contains("did not stay healthy for 2 s"), "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}

#[tokio::test]
async fn a_release_tests_itself_without_a_network_before_anything_is_stopped() {
    let mut ground = Ground::new();
    // Nothing but the loopback, and that is down: no route leads anywhere.
    let script = "test -e bot && ! grep -q ^sick bot && test \"$FLOTA_RELEASE\" = \"$PWD\" \
                  && test $(tail -n +3 /proc/net/dev | grep -cv 'lo:') = 0 && test -z \"$HOME\"";
    ground.settings.update.self_test = Some(crate::settings::ServiceCommand {
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        timeout: Duration::from_secs(10),
    });
    let agent = ground.spawn(ground.outside());
    let (old, sick) = (ground.good("1.0"), ground.publish("2.0", Some("sick"), KEY));
    let report = agent.install(1, &old).await;
    assert_eq!(report.phase, UpdatePhase::Committed, "{}", report.detail);
    let report = agent.install(2, &sick).await;
    assert_eq!((report.phase, report.running), (UpdatePhase::Refused, Some(old.digest)), "{}", report.detail);
    assert!(report.detail.contains("does not pass its own test"), "{}", report.detail);
}

#[tokio::test]
async fn a_package_of_another_thing_is_not_installed() {
    let mut ground = Ground::new();
    let bot = ground.good("1.0");
    ground.settings.package.component = crate::settings::Component::Supervisor;
    let agent = ground.spawn(ground.outside());
    let report = agent.install(1, &bot).await;
    assert!(report.phase == UpdatePhase::Refused && report.detail.contains("is no supervisor"), "{}", report.detail);
    drop(agent);
    // Nor one of our programs as a bot.
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("bot"), "healthy 2.0\n").unwrap();
    let (key, archive) = (Secret::decode(KEY, "the test").unwrap(), ground.folder.path().join("agent.tar.gz"));
    PackageBuilder::new("flota-agent", "2.0", "linux", "native").build(source.path(), &key, &archive).unwrap();
    let mut desk = ground.desk();
    let entry = desk.add(&archive, &Addition::default(), jiff::Timestamp::now()).unwrap();
    ground.sign(&desk, jiff::Timestamp::now());
    fs::copy(&archive, ground.folder.path().join("packages").join(entry.digest.to_string())).unwrap();
    ground.settings.package.component = crate::settings::Component::Bot;
    let release = ReleaseRef { digest: entry.digest, version: "2.0".into(), size: entry.size };
    let (updater, handle) = ground.open().await;
    let wish = async {
        handle.want(install(2, &release)).await.unwrap();
        let mut reports = handle.reports();
        let is_end = |report: &UpdateReport| report.generation == Generation::new(2) && report.phase.is_terminal();
        let ended = reports.wait_for(is_end).await.unwrap().clone();
        drop(handle);
        ended
    };
    let (report, ()) = tokio::join!(wish, updater.run());
    assert!(report.phase == UpdatePhase::Refused && report.detail.contains("is no bot"), "{}", report.detail);
}

#[tokio::test]
async fn a_difference_is_not_taken_for_a_file() {
    use flota_seal::json::Json;
    use flota_seal::signature::{Algorithm, Signature};

    let ground = Ground::new();
    let agent = ground.spawn(ground.outside());
    agent.install(1, &ground.good("1.0")).await;
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("bot"), "a patch\n").unwrap();
    let sha256 = Digest::of(b"a patch\n");
    let manifest = format!(
        "{{\"id\": \"bot\", \"version\": \"2.0\", \"platform\": \"linux\", \"runtime\": \"python\", \"artifacts\": \
         [{{\"path\": \"bot\", \"sha256\": \"{sha256}\", \"type\": \"diff\", \"base_id\": \"bot@1.0\"}}]}}"
    );
    let payload = Json::parse(manifest.as_bytes()).unwrap();
    let signature = Signature::sign(&payload, &Secret::decode(KEY, "the test").unwrap(), Algorithm::HmacSha384, None);
    fs::write(source.path().join("manifest.json"), manifest).unwrap();
    fs::write(source.path().join("manifest.sig"), signature.to_json().pretty()).unwrap();
    let archive = ground.folder.path().join("bot-2.0.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(source.path()).args(["manifest.json", "manifest.sig", "bot"]);
    assert!(tar.status().unwrap().success());
    let mut desk = ground.desk();
    let entry = desk.add(&archive, &Addition::default(), jiff::Timestamp::now()).unwrap();
    ground.sign(&desk, jiff::Timestamp::now());
    fs::copy(&archive, ground.folder.path().join("packages").join(entry.digest.to_string())).unwrap();
    let release = ReleaseRef { digest: entry.digest, version: "2.0".into(), size: entry.size };
    let report = agent.install(2, &release).await;
    assert!(report.phase == UpdatePhase::Refused, "{}", report.detail);
    assert!(report.detail.contains("differences to bot@1.0"), "{}", report.detail);
}
