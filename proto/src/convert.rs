//! Conversions between wire messages and the model. What does not convert is refused with the field's name.

use flota_model::RolloutId;
use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Generation, Goal, UpdateReport};

use crate::v1;

/// A message from the other side that breaks the protocol: the peer is at fault, and repeating it will not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}.{field}: {problem}")]
pub struct InvalidMessage {
    message: &'static str,
    field: &'static str,
    problem: String,
}

impl InvalidMessage {
    fn new(message: &'static str, field: &'static str, problem: String) -> Self {
        Self { message, field, problem }
    }
}

impl From<&DesiredState> for v1::DesiredState {
    fn from(desired: &DesiredState) -> Self {
        let DesiredState { generation, goal, rollout } = desired;
        let message = Self { generation: generation.number(), rollout: rollout.to_string(), ..Self::default() };
        match goal {
            Goal::Stay => message,
            Goal::Install { release: ReleaseRef { digest, version, size }, intent } => Self {
                release: digest.to_string(),
                version: version.clone(),
                size_bytes: *size,
                is_rollback: *intent == Direction::Back,
                ..message
            },
        }
    }
}

impl TryFrom<v1::DesiredState> for DesiredState {
    type Error = InvalidMessage;

    fn try_from(message: v1::DesiredState) -> Result<Self, InvalidMessage> {
        let wrong = |field, problem: &dyn ToString| InvalidMessage::new("DesiredState", field, problem.to_string());
        let v1::DesiredState { generation, release, version, size_bytes, rollout, is_rollback } = message;
        let goal = if release.is_empty() {
            Goal::Stay
        } else {
            let digest = release.parse().map_err(|error| wrong("release", &error))?;
            let intent = if is_rollback { Direction::Back } else { Direction::Forward };
            Goal::Install { release: ReleaseRef { digest, version, size: size_bytes }, intent }
        };
        let generation = Generation::new(generation).ok_or_else(|| wrong("generation", &"must be at least 1"))?;
        let rollout: RolloutId = rollout.parse().map_err(|error| wrong("rollout", &error))?;
        if rollout == RolloutId::ON_THE_HOST {
            return Err(wrong("rollout", &"is none: only a person on the host asks without one"));
        }
        Ok(Self { generation, goal, rollout })
    }
}

impl From<&UpdateReport> for v1::UpdateReport {
    fn from(report: &UpdateReport) -> Self {
        let UpdateReport { generation, sequence, phase, running, version, detail } = report;
        Self {
            generation: generation.map_or(0, Generation::number),
            sequence: *sequence,
            phase: phase.to_string(),
            running: running.map(|digest| digest.to_string()).unwrap_or_default(),
            version: version.clone(),
            detail: detail.clone(),
        }
    }
}

/// Longest sentence accepted from a host, in bytes: it is stored and shown.
const MAX_DETAIL_BYTES: usize = 2048;

impl TryFrom<v1::UpdateReport> for UpdateReport {
    type Error = InvalidMessage;

    fn try_from(message: v1::UpdateReport) -> Result<Self, InvalidMessage> {
        let wrong = |field, problem: &dyn ToString| InvalidMessage::new("UpdateReport", field, problem.to_string());
        let v1::UpdateReport { generation, sequence, phase, running, version, detail } = message;
        if detail.len() > MAX_DETAIL_BYTES || version.len() > MAX_DETAIL_BYTES {
            return Err(wrong("detail", &"is longer than 2,048 bytes"));
        }
        let running = match running.as_str() {
            "" => None,
            digest => Some(digest.parse().map_err(|error| wrong("running", &error))?),
        };
        let phase = phase.parse().map_err(|error| wrong("phase", &error))?;
        Ok(Self { generation: Generation::new(generation), sequence, phase, running, version, detail })
    }
}

#[cfg(test)]
mod tests {
    use flota_model::Digest;
    use flota_model::update::UpdatePhase;

    use super::*;

    #[test]
    fn desired_states_cross_the_wire() {
        let release = ReleaseRef { digest: Digest::of(b"x"), version: "4.12.0".into(), size: 7 };
        for goal in [Goal::Stay, Goal::Install { release, intent: Direction::Back }] {
            let desired = DesiredState { generation: Generation::FIRST, goal, rollout: "R-1".parse().unwrap() };
            assert_eq!(DesiredState::try_from(v1::DesiredState::from(&desired)), Ok(desired));
        }
    }

    #[test]
    fn reports_cross_the_wire() {
        let report = UpdateReport {
            generation: None,
            sequence: 3,
            phase: UpdatePhase::Committed,
            running: Some(Digest::of(b"x")),
            version: "4.12.0".into(),
            detail: String::new(),
        };
        assert_eq!(UpdateReport::try_from(v1::UpdateReport::from(&report)), Ok(report));
    }

    #[test]
    fn a_wrong_field_is_named() {
        let error = DesiredState::try_from(v1::DesiredState::default()).unwrap_err();
        assert_eq!(error.to_string(), "DesiredState.generation: must be at least 1");
        let nobodys = v1::DesiredState { generation: 1, rollout: "R-0".into(), ..v1::DesiredState::default() };
        assert!(DesiredState::try_from(nobodys).unwrap_err().to_string().contains("only a person on the host"));
    }
}
