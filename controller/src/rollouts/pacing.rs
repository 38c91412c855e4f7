//! The pace of a rollout as it was asked for, checked: budgets, windows, markets, gates, times.

use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::Timestamp;
use flota_model::budget::{Budget, BudgetWish, MAX_BUDGETS};
use flota_model::host::{Host, Trust};
use flota_model::market::{MAX_MARKET_RULES, MarketRule, MarketWish};
use flota_model::rollout::{Gates, HealthGate, Percent};
use flota_model::window::{MAX_WINDOWS, Window};
use flota_planner::is_zone;
use flota_proto::v1;

use crate::core::Core;
use crate::fault::{Code, Fault};

/// Longest bake time: a week.
const MAX_BAKE_SECONDS: u32 = 7 * 24 * 60 * 60;
/// Longest ticket reference, in bytes.
const MAX_TICKET_BYTES: usize = 100;
/// Share of a wave's ended hosts that must have succeeded when nothing was said: one of fifty may fail.
const DEFAULT_MIN_SUCCESS: u32 = 98;
/// Share of a wave that must have ended when nothing was said: a wave of which half is away proves nothing.
const DEFAULT_MIN_COVERAGE: u32 = 50;

/// The budgets that were asked for, with their limits in the fleet of now.
pub(super) async fn budgets(core: &Core, asked: &[String]) -> Result<Vec<Budget>, Fault> {
    if asked.len() > MAX_BUDGETS {
        return Err(Fault::new(Code::BadRequest, format!("a rollout has {MAX_BUDGETS} budgets at most")));
    }
    let wishes = asked.iter().map(|text| text.parse::<BudgetWish>()).collect::<Result<Vec<_>, _>>();
    let wishes = wishes.map_err(Fault::bad)?;
    let hosts = core.store.hosts().await?;
    let hosts: Vec<&Host> = hosts.iter().filter(|host| host.trust != Trust::Retired).collect();
    let budget = |wish: BudgetWish| {
        if !hosts.iter().any(|host| host.labels.value(&wish.label).is_some()) {
            let sentence = format!("no host has the label `{}`: the budget would bind nobody by it", wish.label);
            return Err(Fault::new(Code::BadRequest, sentence).fix("flota host list -o wide"));
        }
        let values: Vec<&str> = hosts.iter().map(|host| host.labels.value(&wish.label).unwrap_or_default()).collect();
        Ok(Budget::new(wish, values))
    };
    wishes.into_iter().map(budget).collect()
}

/// The windows that were asked for.
pub(super) fn windows(asked: &[String]) -> Result<Vec<Window>, Fault> {
    if asked.len() > MAX_WINDOWS {
        return Err(Fault::new(Code::BadRequest, format!("a rollout has {MAX_WINDOWS} windows at most")));
    }
    let window = |text: &String| {
        let window: Window = text.parse().map_err(Fault::bad)?;
        if is_zone(&window.zone) {
            return Ok(window);
        }
        let sentence = format!("`{}` is no time zone: expected a name as in Europe/Warsaw, or UTC", window.zone);
        Err(Fault::new(Code::BadRequest, sentence))
    };
    asked.iter().map(window).collect()
}

/// The market rules that were asked for, with the calendars of now.
pub(super) fn markets(core: &Core, asked: &[String]) -> Result<Vec<MarketRule>, Fault> {
    if asked.len() > MAX_MARKET_RULES {
        return Err(Fault::new(Code::BadRequest, format!("a rollout has {MAX_MARKET_RULES} market rules at most")));
    }
    let rule = |text: &String| {
        let wish: MarketWish = text.parse().map_err(Fault::bad)?;
        let known = core.settings.markets.get(&wish.market).cloned();
        let market = known.ok_or_else(|| {
            let names: Vec<&str> = core.settings.markets.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Fault::new(Code::BadRequest, format!("this controller knows no market `{}`; it knows {names}", wish.market))
                .fix("write its calendar into controller.toml: [markets.NAME]")
        })?;
        Ok(MarketRule { wish, market })
    };
    asked.iter().map(rule).collect()
}

/// The gates that were asked for; zero means the default.
pub(super) fn gates(request: &v1::CreateRolloutRequest) -> Result<Gates, Fault> {
    let or = |number: u32, default: u32| if number == 0 { default } else { number };
    let rate = Some(request.max_failure_rate).filter(|rate| *rate > 0).map(percent).transpose()?;
    Ok(Gates {
        max_failure_rate: rate,
        min_success: percent(or(request.min_success, DEFAULT_MIN_SUCCESS))?,
        min_sample: NonZeroU32::new(request.min_sample).unwrap_or(NonZeroU32::MIN),
        min_coverage: percent(or(request.min_coverage, DEFAULT_MIN_COVERAGE))?,
        health: if request.no_health_check { HealthGate::NotAsked } else { HealthGate::Asked },
    })
}

pub(super) fn percent(number: u32) -> Result<Percent, Fault> {
    number.try_into().map_err(Fault::bad)
}

pub(super) fn bake(seconds: u32) -> Result<Duration, Fault> {
    if seconds > MAX_BAKE_SECONDS {
        return Err(Fault::new(Code::BadRequest, "a wave bakes 7 days at most"));
    }
    Ok(Duration::from_secs(u64::from(seconds)))
}

pub(super) fn ticket(text: &str) -> Result<String, Fault> {
    if text.len() > MAX_TICKET_BYTES {
        return Err(Fault::new(Code::BadRequest, "the ticket is longer than 100 bytes"));
    }
    Ok(text.to_owned())
}

/// A deadline, which lies ahead.
pub(super) fn deadline(core: &Core, text: &str) -> Result<Option<Timestamp>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let deadline: Timestamp = text.parse().map_err(Fault::bad)?;
    if deadline <= core.now() {
        return Err(Fault::new(Code::BadRequest, format!("the deadline {deadline} has passed")));
    }
    Ok(Some(deadline))
}
