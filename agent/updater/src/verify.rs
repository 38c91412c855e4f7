//! Whether a release may be installed here: signed by those who may, now, and allowed by its own terms.
//!
//! What the controller says of a release counts for nothing in this.

use flota_daemon::error_chain::chain;
use flota_engine::Cause;
use flota_model::release::ReleaseRef;
use flota_model::update::Direction;
use flota_release::{RefreshError, Situation, Trust, admit};

use crate::effects::Host;
use crate::files::present;
use crate::outside::Outside;

/// What is believed of releases, in the agent's state folder.
pub(crate) const TRUST: &str = "release-trust.json";

/// Refreshes what is believed, and asks it about the release.
pub(crate) async fn verify(
    host: &Host,
    outside: &dyn Outside,
    release: &ReleaseRef,
    intent: Direction,
) -> Result<(), (String, Cause)> {
    let settings = &host.settings;
    let permanent = |why: String| (why, Cause::Permanent);
    let trust = Trust::open(&settings.package.release_root, &settings.state_dir.join(TRUST));
    let trust = trust.map_err(|error| permanent(chain(&error)))?;
    let running = host.slots.current().map_err(|error| permanent(chain(&error)))?;
    let refreshed = trust.refresh(outside.metadata()).await;
    let mut floors = trust.floors();
    let outcome = match refreshed {
        Ok(catalogue) => {
            // A host that is not in a fleet has no id; its waves are those of every such host.
            let id = outside.host_id();
            let situation = Situation {
                host: id.as_deref().unwrap_or_default(),
                running: running.as_ref().map(|running| running.digest),
                running_version: running.as_ref().map(|running| running.version.as_str()).unwrap_or_default(),
                now: present(),
            };
            admit(&catalogue, &mut floors, release, &situation)
                .map(drop)
                .map_err(|error| permanent(format!("{error} [{}]", error.code())))
        }
        Err(error) => match floors.admit_again(&release.digest).filter(|_| intent == Direction::Back) {
            Some(again) => {
                tracing::warn!(error = chain(&error), "going back to a release that was verified here before");
                again.map_err(|error| permanent(format!("{error} [{}]", error.code())))
            }
            None => Err(unbelieved(&error)),
        },
    };
    trust.keep_floors(floors).map_err(|error| (chain(&error), Cause::Transient))?;
    outcome
}

fn unbelieved(error: &RefreshError) -> (String, Cause) {
    match error {
        RefreshError::Refused { .. } => (error.to_string(), Cause::Permanent),
        _ => (chain(error), if error.is_transient() { Cause::Transient } else { Cause::Permanent }),
    }
}
