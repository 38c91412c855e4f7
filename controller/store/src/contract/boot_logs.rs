//! What firmware measured.

use flota_model::Digest;
use flota_model::host::VerdictKind;

use super::fixtures::{enrolled, judged, logged, measurements, verdict};
use crate::{BootLog, HostMeasurements, Store, VerdictRecord};

fn log(content: &str) -> BootLog {
    BootLog { digest: Digest::of(content.as_bytes()), bytes: content.as_bytes().to_vec() }
}

fn measured(baseline: &BootLog, quoted: &BootLog) -> HostMeasurements {
    let (baseline_log, quoted_log) = (Some(baseline.digest), Some(quoted.digest));
    HostMeasurements { baseline_log, quoted_log, ..measurements("a quote") }
}

/// With the digests that say whose they are; hosts of one model have the same.
pub async fn a_boot_log_is_stored_once_under_its_digest(store: &dyn Store) {
    let log = log("a log");
    assert_eq!(store.boot_log(&log.digest).await.unwrap(), None);
    for number in [1, 2] {
        let id = enrolled(store, number).await;
        let measurements = Some(measured(&log, &log));
        let record = VerdictRecord {
            boot_log: Some(log.clone()),
            measurements: measurements.clone(),
            ..verdict(&id, 5, VerdictKind::Pass)
        };
        judged(store, record).await;
        assert_eq!(store.measurements(&id).await.unwrap(), measurements);
    }
    assert_eq!(store.boot_log(&log.digest).await.unwrap(), Some(log));
}

/// A host that was updated leaves one behind. Nobody asked for it, so it is not logged.
pub async fn a_boot_log_that_nothing_names_is_swept(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    let [first, second, third, stray] = ["first", "second", "third", "stray"].map(log);
    for (host, boot_log, measurements) in [
        (&one, &first, Some(measured(&first, &first))),
        (&one, &second, Some(measured(&first, &second))),
        (&one, &third, Some(measured(&first, &third))),
        (&two, &stray, None),
    ] {
        let boot_log = Some(boot_log.clone());
        judged(store, VerdictRecord { measurements, boot_log, ..verdict(host, 5, VerdictKind::Pass) }).await;
    }
    let before = logged(store).await;
    assert_eq!(store.sweep_boot_logs().await.unwrap(), 2);
    assert_eq!(store.sweep_boot_logs().await.unwrap(), 0);
    assert_eq!(logged(store).await, before);
    for (log, kept) in [(first, true), (second, false), (third, true), (stray, false)] {
        assert_eq!(store.boot_log(&log.digest).await.unwrap().is_some(), kept);
    }
}
