//! Follows a rollout for one who watches it.

use std::sync::Arc;

use flota_model::RolloutId;
use flota_proto::v1;
use tokio::sync::mpsc;
use tonic::Status;

use super::{record, shown};
use crate::core::Core;

/// Tells `sender` of every change until it leaves.
pub(super) async fn follow(
    core: Arc<Core>,
    id: RolloutId,
    first: v1::Rollout,
    sender: mpsc::Sender<Result<v1::Rollout, Status>>,
) {
    let mut changes = core.rollouts_changed.subscribe();
    let mut last = (first.revision, first.state.clone());
    if sender.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = sender.closed() => return,
            told = changes.changed() => if told.is_err() { return },
        }
        let update = match record(&core, id).await {
            Ok(record) => shown(&core, &record),
            Err(fault) => {
                // The watcher learns why; that it has gone meanwhile does not matter.
                drop(sender.send(Err(fault.into())).await);
                return;
            }
        };
        let now = (update.revision, update.state.clone());
        if now != last && sender.send(Ok(update)).await.is_err() {
            return;
        }
        last = now;
    }
}
