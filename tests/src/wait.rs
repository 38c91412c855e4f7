//! Waiting for a condition, with a bound. The only place that sleeps.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(25);

/// Asks again and again until there is an answer; fails with `what` after `bound`.
pub fn until<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if started.elapsed() > bound {
            bail!("waited {} s in vain for: {what}", bound.as_secs());
        }
        pause();
    }
}

/// The same, without holding up what runs beside it.
pub async fn until_async<T>(
    what: &str,
    bound: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = tokio::task::block_in_place(&mut ask)? {
            return Ok(answer);
        }
        if started.elapsed() > bound {
            bail!("waited {} s in vain for: {what}", bound.as_secs());
        }
        tokio::time::sleep(PACE).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pace of polling a condition that another process changes; bounded above"
)]
fn pause() {
    std::thread::sleep(PACE);
}
