//! When to ask again, and after which pause. Pure: chance comes in as a number.

use std::time::Duration;

use super::request::Limits;

/// Why an attempt brought no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// The network or the exchange stumbled; the next attempt may succeed.
    Transient,
    /// The exchange asks for patience, perhaps for how long.
    Throttled { retry_after: Option<Duration> },
    /// Most likely final, but known to be wrong now and then: one more attempt decides.
    Unsure,
    /// Asking again gives the same answer, or makes things worse.
    Final,
}

impl Setback {
    /// What the HTTP status alone says.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Throttled { retry_after: None },
            500.. => Self::Transient,
            _ => Self::Final,
        }
    }
}

/// A number from 0 to 1 that spreads the attempts of many hosts over time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jitter(f64);

impl Jitter {
    /// From any random number.
    pub(super) fn from_random(random: u32) -> Self {
        Self(f64::from(random) / f64::from(u32::MAX))
    }
}

/// The pause before the attempt that follows the `failed`-th, or `None` if there shall be none.
///
/// Between half and all of an exponentially growing delay; a `Retry-After` is kept to the letter and a little over,
/// never undercut.
pub(super) fn pause(limits: &Limits, failed: u32, setback: Setback, jitter: Jitter) -> Option<Duration> {
    if failed >= limits.attempts {
        return None;
    }
    let doubled = limits.base_delay.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)));
    let own = doubled.min(limits.max_delay);
    match setback {
        Setback::Final => None,
        Setback::Unsure if failed > 1 => None,
        Setback::Transient | Setback::Unsure | Setback::Throttled { retry_after: None } => {
            Some(own.mul_f64(0.5 + jitter.0 / 2.0))
        }
        Setback::Throttled { retry_after: Some(asked) } if asked > limits.max_retry_after => None,
        Setback::Throttled { retry_after: Some(asked) } => Some(asked + limits.base_delay.mul_f64(jitter.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Jitter = Jitter(0.0);
    const MOST: Jitter = Jitter(1.0);

    fn ms(pause: Option<Duration>) -> Option<u128> {
        pause.map(|pause| pause.as_millis())
    }

    #[test]
    fn pauses_double_up_to_the_cap_with_half_of_them_left_to_chance() {
        let limits = Limits { attempts: 10, ..Limits::default() };
        let most: Vec<_> =
            (1..=6).map(|failed| ms(pause(&limits, failed, Setback::Transient, MOST)).unwrap()).collect();
        assert_eq!(most, [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(ms(pause(&limits, 1, Setback::Transient, LEAST)), Some(125));
        assert_eq!(ms(pause(&Limits { attempts: 100, ..limits }, 90, Setback::Transient, MOST)), Some(2000));
    }

    #[test]
    fn attempts_end() {
        let limits = Limits::default();
        assert!(pause(&limits, 2, Setback::Transient, MOST).is_some());
        assert_eq!(pause(&limits, 3, Setback::Transient, MOST), None);
        assert_eq!(pause(&limits, 1, Setback::Final, MOST), None);
        assert!(pause(&limits, 1, Setback::Unsure, MOST).is_some());
        assert_eq!(pause(&limits, 2, Setback::Unsure, MOST), None);
    }

    #[test]
    fn retry_after_is_never_undercut_and_never_waited_for_too_long() {
        let limits = Limits::default();
        let throttled = |seconds| Setback::Throttled { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(ms(pause(&limits, 1, throttled(5), LEAST)), Some(5000));
        assert_eq!(ms(pause(&limits, 1, throttled(5), MOST)), Some(5250));
        assert_eq!(pause(&limits, 1, throttled(11), LEAST), None);
    }
}
