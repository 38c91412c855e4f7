//! A rollout's changes as they come, over as many connections as it takes.

use std::time::Duration;

use flota_model::RolloutId;
use flota_proto::v1::{Rollout, ShowRolloutRequest};
use futures_util::stream::{self, Stream};
use tonic::{Request, Streaming};

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake, is_transport};

/// One thing learnt.
pub(crate) enum Update {
    /// The rollout now.
    Rollout(Box<Rollout>),
    /// The connection is lost; this many attempts to get it back have failed.
    Lost {
        /// Attempts.
        attempts: u32,
    },
    /// It will not come back by itself.
    Failed(Failure),
}

/// Wait before the first new attempt; doubled after each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait: a person looks at the screen.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

struct Feed {
    session: Session,
    id: RolloutId,
    messages: Option<Streaming<Rollout>>,
    attempts: u32,
}

/// Starts watching. That the first attempt fails is told at once; later losses are updates.
pub(crate) async fn open(session: Session, id: RolloutId) -> Result<impl Stream<Item = Update>, Failure> {
    let mut feed = Feed { session, id, messages: None, attempts: 0 };
    feed.watch().await?;
    Ok(stream::unfold(feed, |mut feed| async move { Some((feed.next().await, feed)) }))
}

impl Feed {
    async fn watch(&mut self) -> Result<(), Failure> {
        // No time limit: the stream lasts as long as the rollout.
        let request = Request::new(ShowRolloutRequest { id: self.id.to_string() });
        let answer = self.session.rollouts().watch(request).await;
        self.messages = Some(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner());
        Ok(())
    }

    async fn next(&mut self) -> Update {
        if self.messages.is_none()
            && let Err(update) = self.again().await
        {
            return update;
        }
        let Some(messages) = &mut self.messages else { return self.lost() };
        match messages.message().await {
            Ok(Some(rollout)) => {
                self.attempts = 0;
                Update::Rollout(Box::new(rollout))
            }
            // A controller that stops ends its streams.
            Ok(None) => self.lost(),
            Err(status) if is_transport(&status) => self.lost(),
            Err(status) => Update::Failed(Failure::of_status(&status, Stake::Reads)),
        }
    }

    async fn again(&mut self) -> Result<(), Update> {
        tokio::time::sleep(wait_before(self.attempts)).await;
        let connected = match self.session.reopen().await {
            Ok(()) => self.watch().await,
            Err(failure) => Err(failure),
        };
        connected.map_err(|failure| match failure.exit() {
            Exit::Unreachable => self.lost(),
            _ => Update::Failed(failure),
        })
    }

    fn lost(&mut self) -> Update {
        self.messages = None;
        let attempts = self.attempts;
        self.attempts = attempts.saturating_add(1);
        Update::Lost { attempts }
    }
}

fn wait_before(attempts: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_short() {
        assert_eq!(wait_before(1), FIRST_WAIT);
        assert_eq!(wait_before(2), FIRST_WAIT * 2);
        assert_eq!(wait_before(u32::MAX), LONGEST_WAIT);
    }
}
