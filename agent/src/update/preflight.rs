//! Whether the host can take a release now: looked at before anything is fetched, and before anything is stopped.

use std::path::Path;

use flota_daemon::error_chain::chain;
use flota_engine::BotBefore;
use flota_model::Timestamp;
use flota_model::release::ReleaseRef;

use super::effects::Host;
use crate::identity::{Identity, IdentityError, Validity};
use crate::settings::SickStart;

/// Free space that an update needs, in sizes of the package: the package, what it unpacks to, and as much again.
const SPACE_FACTOR: u64 = 4;
/// Free space that must be left to the bot and its logs, in bytes.
const SPACE_RESERVE: u64 = 64 << 20;
/// Files that an update may make: a package has 20,000 at most in practice, and the bot must be left some.
const FILE_RESERVE: u64 = 50_000;
/// Seconds by which a certificate must outlive the update: the controller asks for a quote at its end, and the host must be
/// able to answer.
const CERTIFICATE_MARGIN: u64 = 10 * 60;

/// Finds what speaks against an update of this host.
pub(super) async fn preflight(host: &Host, release: &ReleaseRef, bot: BotBefore) -> Result<(), String> {
    let (slots, settings, size) = (host.slots.clone(), host.settings.clone(), release.size);
    let now = Timestamp::from_micros(flota_daemon::present());
    let current = host
        .on_disk(move || {
            volume_for(&settings.root, size)?;
            match Identity::load(&settings.state_dir) {
                Ok(identity) => certificate_for(identity.validity(), now, settings.update.probation.as_secs())?,
                // A host of no fleet has no certificate to lose.
                Err(IdentityError::NotEnrolled) => {}
                Err(error) => return Err(chain(&error)),
            }
            slots.current().map_err(|error| chain(&error))
        })
        .await?;
    let update = &host.settings.update;
    if current.is_none() || bot == BotBefore::Held || update.sick_start == SickStart::Allowed {
        return Ok(());
    }
    let healthy = host.bot.health().await;
    healthy.map_err(|error| format!("the bot is not healthy before its update: {}", chain(&error)))?;
    host.exchange(update.exchange_check).await.map_err(|why| format!("before the update, {why}"))
}

/// Room for the package, what it unpacks to, and the bot's own needs.
fn volume_for(root: &Path, size: u64) -> Result<(), String> {
    let shown = root.display();
    let volume = rustix::fs::statvfs(root).map_err(|errno| format!("asking for free space on {shown}: {errno}"))?;
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    let needed = size.saturating_mul(SPACE_FACTOR).saturating_add(SPACE_RESERVE);
    if free < needed {
        return Err(format!("not enough free space on {shown}: {} MiB needed, {} MiB free", needed >> 20, free >> 20));
    }
    // Some file systems make inodes as they need them, and say that they have none.
    if volume.f_files != 0 && volume.f_favail < FILE_RESERVE {
        let left = volume.f_favail;
        return Err(format!("not enough inodes on {shown}: {FILE_RESERVE} needed, {left} free; remove small files"));
    }
    Ok(())
}

/// A certificate that is valid now, and when the update is to be confirmed.
fn certificate_for(validity: Option<Validity>, now: Timestamp, probation: u64) -> Result<(), String> {
    let Some(Validity { from, until }) = validity else {
        return Err("the host's certificate cannot be read: enrol it again".to_owned());
    };
    if now < from {
        return Err(format!(
            "the clock shows {now}, and the host's certificate holds from {from}: set the clock right"
        ));
    }
    let needed = now.plus(std::time::Duration::from_secs(probation.saturating_add(CERTIFICATE_MARGIN)));
    if until < needed {
        let renew = "it renews itself while the host is connected and trusted";
        return Err(format!("the host's certificate ends at {until}, before the update could be confirmed; {renew}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_asked_of_the_volume() {
        assert_eq!(volume_for(Path::new("/"), 0), Ok(()));
        let why = volume_for(Path::new("/"), u64::MAX).unwrap_err();
        assert!(why.starts_with("not enough free space on /"), "{why}");
    }

    #[test]
    fn a_certificate_must_outlive_the_update_and_have_begun() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let check = |from, until| certificate_for(Some(Validity { from: at(from), until: at(until) }), at(1000), 120);
        assert_eq!(check(0, 1000 + 120 + 600), Ok(()));
        assert!(check(0, 1000 + 120 + 599).unwrap_err().contains("before the update could be confirmed"));
        assert!(check(1001, 100_000).unwrap_err().contains("set the clock right"));
        assert!(certificate_for(None, at(1000), 120).is_err());
    }
}
