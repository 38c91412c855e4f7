//! What the exchange was told to do wrong, and to whom.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How requests are answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// As the real exchange would.
    #[default]
    Normal,
    /// The exchange's own words for a fault of its own; HTTP 500 with error -1000 on Binance.
    Fail,
    /// Its own words for too many requests; HTTP 429 with error -1003 and `Retry-After` on Binance.
    Throttle {
        /// The `Retry-After` header, or what the exchange has in its place, in seconds.
        retry_after_s: u64,
    },
    /// Right answers, late.
    Lag {
        /// How late, in milliseconds.
        delay_ms: u64,
    },
    /// The exchange's clock is wrong.
    Skew {
        /// Added to its clock, in milliseconds; negative runs slow.
        skew_ms: i64,
    },
    /// Every asset of the account shows this balance.
    BadBalance {
        /// The free amount, as the exchange prints it.
        free: String,
    },
    /// Every request is sent on to the same path of another host, as a captive portal or a thief of names would.
    Redirect {
        /// That host's base URL.
        to: String,
    },
    /// The headroom header counts this as used instead of the connection's own; nothing where there is no header.
    Crowded {
        /// Weight used in the current minute.
        used_weight: u32,
    },
}

/// One order to the exchange; as JSON the body of `POST /control`.
///
/// `{"mode": "throttle", "retry_after_s": 2, "for_key": "key-7", "times": 1}`: `mode` is one of `normal`, `fail`,
/// `throttle` (`retry_after_s`, 1 if absent), `lag` (`delay_ms`), `skew` (`skew_ms`), `bad_balance` (`free`,
/// `0.00000000` if absent), `redirect` (`to`), `crowded` (`used_weight`). `for_key` limits it to requests that carry that API key, `times`
/// to so many requests. `normal` without `for_key` forgets every order. Unknown fields are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "OrderFields")]
pub struct Order {
    mode: Mode,
    for_key: Option<String>,
    times: Option<u32>,
}

impl Order {
    /// Everybody is answered like this until the next order.
    pub fn everyone(mode: Mode) -> Self {
        Self { mode, for_key: None, times: None }
    }

    /// Only requests that carry this API key are answered like this.
    #[must_use]
    pub fn for_key(mut self, key_id: impl Into<String>) -> Self {
        self.for_key = Some(key_id.into());
        self
    }

    /// Only so many requests are answered like this, the rest normally.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// Why a body of `POST /control` is no order.
#[derive(Debug, thiserror::Error)]
pub enum UnusableOrder {
    /// The mode cannot be followed without this field.
    #[error("mode {mode} needs the field {field}")]
    Missing {
        /// The mode asked for.
        mode: &'static str,
        /// What it lacks.
        field: &'static str,
    },
    /// A field that the mode does not know: most likely meant for another one.
    #[error("the mode takes none of the other modes' fields")]
    Surplus,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    Normal,
    Fail,
    Throttle,
    Lag,
    Skew,
    BadBalance,
    Redirect,
    Crowded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderFields {
    mode: ModeName,
    for_key: Option<String>,
    times: Option<u32>,
    retry_after_s: Option<u64>,
    delay_ms: Option<u64>,
    skew_ms: Option<i64>,
    free: Option<String>,
    to: Option<String>,
    used_weight: Option<u32>,
}

impl TryFrom<OrderFields> for Order {
    type Error = UnusableOrder;

    fn try_from(fields: OrderFields) -> Result<Self, UnusableOrder> {
        let OrderFields { mode, for_key, times, retry_after_s, delay_ms, skew_ms, free, to, used_weight } = fields;
        let given = [
            retry_after_s.is_some(),
            delay_ms.is_some(),
            skew_ms.is_some(),
            free.is_some(),
            used_weight.is_some(),
            to.is_some(),
        ];
        let (mode, takes) = match mode {
            ModeName::Normal => (Mode::Normal, [false; 6]),
            ModeName::Fail => (Mode::Fail, [false; 6]),
            ModeName::Throttle => {
                let retry_after_s = retry_after_s.unwrap_or(1);
                (Mode::Throttle { retry_after_s }, [true, false, false, false, false, false])
            }
            ModeName::Lag => {
                let delay_ms = delay_ms.ok_or(UnusableOrder::Missing { mode: "lag", field: "delay_ms" })?;
                (Mode::Lag { delay_ms }, [false, true, false, false, false, false])
            }
            ModeName::Skew => {
                let skew_ms = skew_ms.ok_or(UnusableOrder::Missing { mode: "skew", field: "skew_ms" })?;
                (Mode::Skew { skew_ms }, [false, false, true, false, false, false])
            }
            ModeName::BadBalance => {
                let free = free.unwrap_or_else(|| "0.00000000".to_owned());
                (Mode::BadBalance { free }, [false, false, false, true, false, false])
            }
            ModeName::Redirect => {
                let to = to.ok_or(UnusableOrder::Missing { mode: "redirect", field: "to" })?;
                (Mode::Redirect { to }, [false, false, false, false, false, true])
            }
            ModeName::Crowded => {
                let missing = UnusableOrder::Missing { mode: "crowded", field: "used_weight" };
                (Mode::Crowded { used_weight: used_weight.ok_or(missing)? }, [false, false, false, false, true, false])
            }
        };
        if given.into_iter().zip(takes).any(|(given, takes)| given && !takes) {
            return Err(UnusableOrder::Surplus);
        }
        Ok(Self { mode, for_key, times })
    }
}

/// The orders in force, and what was served.
#[derive(Default)]
pub(crate) struct Behaviours(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    everyone: Standing,
    by_key: HashMap<String, Standing>,
    served: BTreeMap<String, u64>,
}

/// A mode and how many requests it is still good for; `None` is without end.
#[derive(Default)]
struct Standing {
    mode: Mode,
    left: Option<u32>,
}

/// What `GET /control` answers.
#[derive(Serialize)]
pub(crate) struct Overview {
    everyone: Mode,
    by_key: BTreeMap<String, Mode>,
    served: BTreeMap<String, u64>,
}

impl Behaviours {
    pub(crate) fn obey(&self, order: Order) {
        let Order { mode, for_key, times } = order;
        let mut inner = self.lock();
        let standing = Standing { mode, left: times };
        if let Some(key) = for_key {
            inner.by_key.insert(key, standing);
            return;
        }
        if standing.mode == Mode::Normal {
            inner.by_key.clear();
        }
        inner.everyone = standing;
    }

    /// Counts a request and says how to answer it: an order for its key goes before one for everybody.
    pub(crate) fn meet(&self, path: &str, key: Option<&str>) -> Mode {
        let mut inner = self.lock();
        *inner.served.entry(path.to_owned()).or_default() += 1;
        if let Some(standing) = key.and_then(|key| inner.by_key.get_mut(key)) {
            return standing.next();
        }
        inner.everyone.next()
    }

    pub(crate) fn served_in_all(&self) -> u64 {
        self.lock().served.values().sum()
    }

    pub(crate) fn served(&self, path: &str) -> u64 {
        self.lock().served.get(path).copied().unwrap_or_default()
    }

    pub(crate) fn overview(&self) -> Overview {
        let inner = self.lock();
        Overview {
            everyone: inner.everyone.mode.clone(),
            by_key: inner.by_key.iter().map(|(key, standing)| (key.clone(), standing.mode.clone())).collect(),
            served: inner.served.clone(),
        }
    }

    /// Every change is a single assignment, so a panic elsewhere cannot have left half of one.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn next(&mut self) -> Mode {
        match &mut self.left {
            None => self.mode.clone(),
            Some(left) => {
                let mode = if *left == 0 { Mode::Normal } else { self.mode.clone() };
                *left = left.saturating_sub(1);
                if *left == 0 {
                    *self = Self::default();
                }
                mode
            }
        }
    }
}

impl Mode {
    /// How long the answer is held back.
    pub(crate) fn delay(&self) -> Duration {
        match self {
            Self::Lag { delay_ms } => Duration::from_millis(*delay_ms),
            _ => Duration::ZERO,
        }
    }

    /// How far the exchange's clock is off, in milliseconds.
    pub(crate) fn skew_ms(&self) -> i64 {
        match self {
            Self::Skew { skew_ms } => *skew_ms,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(json: &str) -> Result<Order, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_order_for_a_key_leaves_the_others_alone_and_wears_off() {
        let behaviours = Behaviours::default();
        behaviours.obey(order(r#"{"mode":"fail","for_key":"a","times":2}"#).unwrap());
        assert_eq!(behaviours.meet("/x", Some("b")), Mode::Normal);
        assert_eq!(behaviours.meet("/x", Some("a")), Mode::Fail);
        assert_eq!(behaviours.meet("/x", Some("a")), Mode::Fail);
        assert_eq!(behaviours.meet("/x", Some("a")), Mode::Normal);
        assert_eq!(behaviours.served("/x"), 4);
    }

    #[test]
    fn normal_for_everyone_forgets_every_order() {
        let behaviours = Behaviours::default();
        behaviours.obey(Order::everyone(Mode::Fail).for_key("a"));
        behaviours.obey(Order::everyone(Mode::Normal));
        assert_eq!(behaviours.meet("/x", Some("a")), Mode::Normal);
    }

    #[test]
    fn orders_that_cannot_be_meant_are_refused() {
        for body in [
            r#"{"mode":"lag"}"#,
            r#"{"mode":"fail","delay_ms":5}"#,
            r#"{"mode":"fail","for_keys":"a"}"#,
            r#"{"mode":"explode"}"#,
        ] {
            assert!(order(body).is_err(), "{body}");
        }
        assert_eq!(order(r#"{"mode":"throttle"}"#).unwrap().mode, Mode::Throttle { retry_after_s: 1 });
    }
}
