//! Who may do what. Pure, but for the look into the list of users at the start.

use std::io;

use flota_model::RolloutId;
use rustix::process::geteuid;

use super::message::Call;
use crate::outside::Origin;
use crate::settings::{Component, Home};

/// Where Linux lists its users. Names that only a directory service knows are given as numbers.
const USERS: &str = "/etc/passwd";

/// What the user at the other end of a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Is the agent: brings goals of a controller and does what takes a network.
    agent: bool,
    /// Could stop the updater anyway, so may ask for anything.
    operator: bool,
}

/// The user that the settings name does not exist.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The list of users cannot be read.
    #[error("reading {USERS}")]
    Read(#[source] io::Error),
    /// No such user.
    #[error(
        "`supervisor.agent_user` names the user {0}, which {USERS} does not know: make it, or name it by its number"
    )]
    Unknown(String),
}

/// The number of the agent's user. Blocks.
pub(super) fn agent_user(home: &Home) -> Result<u32, RightsError> {
    let name = match home {
        Home::Agent => return Ok(geteuid().as_raw()),
        Home::Supervisor { agent_user } => agent_user,
    };
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let users = std::fs::read_to_string(USERS).map_err(RightsError::Read)?;
    number_in(&users, name).ok_or_else(|| RightsError::Unknown(name.clone()))
}

/// passwd(5): name, password, number, and what does not matter here.
fn number_in(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

impl Rights {
    /// Those of a user, as the kernel names it.
    pub(super) fn of(user: u32, agent: u32) -> Self {
        let operator = user == geteuid().as_raw() || user == 0;
        Self { agent: user == agent, operator }
    }

    /// Whether they may ask for anything.
    pub(super) fn is_operator(self) -> bool {
        self.operator
    }

    /// Whether they may connect at all.
    pub(super) fn any(self) -> bool {
        self.agent || self.operator
    }

    /// Whether they may be the outside of such goals.
    pub(super) fn serve(self, origin: Origin) -> bool {
        match origin {
            Origin::Controller => self.agent || self.operator,
            Origin::Host => self.operator,
        }
    }

    /// Whether they may ask for that.
    pub(super) fn call(self, of: Component, call: &Call) -> bool {
        match call {
            Call::State | Call::History => self.any(),
            // The agent speaks for a controller, and for nobody else; a controller speaks of bots.
            Call::Want { desired } => of == Component::Bot && desired.rollout != RolloutId::ON_THE_HOST && self.any(),
            Call::Apply { .. } | Call::Cancel | Call::RollBack { .. } => self.operator,
        }
    }
}

#[cfg(test)]
mod tests {
    use flota_model::Generation;
    use flota_model::update::{DesiredState, Goal};

    use super::*;

    fn wish(rollout: RolloutId) -> Call {
        Call::Want { desired: DesiredState { generation: Generation::FIRST, goal: Goal::Stay, rollout } }
    }

    #[test]
    fn the_agent_speaks_for_a_controller_alone_and_a_stranger_for_nobody() {
        let own = geteuid().as_raw();
        let (agent, stranger) = (own + 1, own + 2);
        let rights = |user| Rights::of(user, agent);
        let calls = [wish(RolloutId::new(1)), wish(RolloutId::ON_THE_HOST), Call::Cancel, Call::State];
        let may = |user| calls.each_ref().map(|call| rights(user).call(Component::Bot, call));
        assert_eq!(may(own), [true, false, true, true]);
        assert_eq!(may(0), [true, false, true, true]);
        assert_eq!(may(agent), [true, false, false, true]);
        assert_eq!(may(stranger), [false; 4]);
        assert!(!rights(own).call(Component::Agent, &wish(RolloutId::new(1))));
        let serves = |user| [Origin::Controller, Origin::Host].map(|origin| rights(user).serve(origin));
        assert_eq!((serves(own), serves(agent), serves(stranger)), ([true; 2], [true, false], [false; 2]));
    }

    #[test]
    fn users_are_found_by_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nflota:x:998:997::/:/usr/sbin/nologin\nbad:x\n";
        assert_eq!(number_in(users, "flota"), Some(998));
        assert_eq!((number_in(users, "flo"), number_in(users, "bad")), (None, None));
    }
}
