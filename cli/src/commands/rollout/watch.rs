//! Following a rollout until it ends, waits for a person, or one of us loses patience: four endings, four sentences,
//! four exit codes.

use std::time::Duration;

use flota_model::RolloutId;
use flota_proto::v1::Rollout;
use futures_util::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::feed::{self, Update};
use super::screen::Screen;
use crate::client::Session;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::view::rollout_words::{Verdict, is_over, verdict};
use crate::wait::{GIVE_UP_AFTER, interrupted, until};

/// Who started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// This command; that it is still a draft means that the controller has not planned it yet.
    ByUs,
    /// Whoever; a draft waits for a person.
    Elsewhere,
}

/// What to do when a person must decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decisions {
    /// End with 9.
    End,
    /// Go on following.
    FollowThrough,
}

/// Five redraws a second at most; more is flicker.
const REDRAW: Duration = Duration::from_millis(200);

/// Follows the rollout and ends with what it came to.
pub(crate) async fn watch(
    invocation: &Invocation,
    session: Session,
    id: RolloutId,
    begun: Begun,
    decisions: Decisions,
) -> Result<Exit, Failure> {
    let deadline = invocation.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut updates = std::pin::pin!(feed::open(session, id).await?);
    let mut screen = Screen::new(&invocation.out);
    let mut latest: Option<Rollout> = None;
    let mut lost: Option<Instant> = None;
    let mut ticks = interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupt = std::pin::pin!(interrupted());
    let ending = loop {
        tokio::select! {
            update = updates.next() => match update {
                Some(Update::Rollout(rollout)) => {
                    lost = None;
                    screen.show(&rollout, invocation.now())?;
                    let rollout = latest.insert(*rollout);
                    if is_ended(&rollout.state, begun, decisions) {
                        break verdict(rollout, invocation.now());
                    }
                }
                Some(Update::Lost { attempts }) => {
                    let since = *lost.get_or_insert_with(Instant::now);
                    screen.lose(since, attempts);
                    if invocation.timeout.is_none() && since.elapsed() >= GIVE_UP_AFTER {
                        break gone(id, since);
                    }
                }
                Some(Update::Failed(failure)) => return Err(failure),
                None => break gone(id, lost.unwrap_or_else(Instant::now)),
            },
            _ = ticks.tick() => screen.tick(invocation.now())?,
            () = &mut interrupt => break detached(id),
            () = until(deadline) => break match lost {
                Some(since) => gone(id, since),
                None => timed_out(id, invocation.timeout.unwrap_or_default()),
            },
        }
    };
    screen.close(latest.as_ref(), &ending, invocation.now())?;
    Ok(ending.exit)
}

fn is_ended(state: &str, begun: Begun, decisions: Decisions) -> bool {
    match (state, decisions) {
        (state, _) if is_over(state) => true,
        ("draft", Decisions::End) => begun == Begun::Elsewhere,
        ("paused" | "halted" | "inconclusive" | "awaiting_approval", Decisions::End) => true,
        _ => false,
    }
}

fn timed_out(id: RolloutId, timeout: Duration) -> Verdict {
    let sentence = format!(
        "{id} goes on; --timeout of {} s reached here. Follow: flota rollout status {id} --watch",
        timeout.as_secs()
    );
    Verdict { exit: Exit::TimedOut, sign: Sign::Working, sentence }
}

fn detached(id: RolloutId) -> Verdict {
    let sentence = format!("{id} goes on without us. Follow: flota rollout status {id} --watch");
    Verdict { exit: Exit::Interrupted, sign: Sign::Working, sentence }
}

fn gone(id: RolloutId, since: Instant) -> Verdict {
    let sentence = format!(
        "the controller has not answered for {} s; what {id} does is not known here. Look again: flota rollout status {id}",
        since.elapsed().as_secs()
    );
    Verdict { exit: Exit::Unreachable, sign: Sign::Silent, sentence }
}
