//! Whether the host can take a release now: looked at before anything is fetched, and before anything is stopped.

use std::path::Path;

use flota_daemon::error_chain::chain;
use flota_engine::BotBefore;
use flota_model::release::ReleaseRef;

use crate::effects::Host;
use crate::outside::Outside;
use crate::settings::SickStart;
use crate::watch;

/// Free space that an update needs, in sizes of the package: the package, what it unpacks to, and as much again.
const SPACE_FACTOR: u64 = 4;
/// Free space that must be left to the bot and its logs, in bytes.
const SPACE_RESERVE: u64 = 64 << 20;
/// Files that an update may make: a package has 20,000 at most in practice, and the bot must be left some.
const FILE_RESERVE: u64 = 50_000;

/// Finds what speaks against an update of this host.
pub(crate) async fn preflight(
    host: &Host,
    outside: &dyn Outside,
    release: &ReleaseRef,
    bot: BotBefore,
) -> Result<(), String> {
    let (slots, settings, size) = (host.slots.clone(), host.settings.clone(), release.size);
    let current = host
        .on_disk(move || {
            volume_for(&settings.root, size)?;
            slots.current().map_err(|error| chain(&error))
        })
        .await?;
    let update = &host.settings.update;
    outside.certificate(update.probation.as_secs()).await?;
    if current.is_none() || bot == BotBefore::Held || update.sick_start == SickStart::Allowed {
        return Ok(());
    }
    let healthy = host.bot.health().await;
    healthy.map_err(|error| format!("the bot is not healthy before its update: {}", chain(&error)))?;
    watch::exchange(outside, update.exchange_check).await.map_err(|why| format!("before the update, {why}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_asked_of_the_volume() {
        assert_eq!(volume_for(Path::new("/"), 0), Ok(()));
        let why = volume_for(Path::new("/"), u64::MAX).unwrap_err();
        assert!(why.starts_with("not enough free space on /"), "{why}");
    }
}
