//! The pace of a rollout as it was asked for, checked: budgets, windows, markets, gates, times.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::budget::{Budget, BudgetWish, MAX_BUDGETS};
use flota_model::host::{Host, Trust};
use flota_model::market::{MAX_MARKET_RULES, MarketRule, MarketWish};
use flota_model::rollout::Percent;
use flota_model::window::{MAX_WINDOWS, Window};
use flota_planner::is_zone;

use crate::core::Core;
use crate::fault::{Code, Fault};

/// Longest bake time: a week.
const MAX_BAKE_SECONDS: u32 = 7 * 24 * 60 * 60;
/// Longest ticket reference, in bytes.
const MAX_TICKET_BYTES: usize = 100;
/// The budgets that were asked for, with their limits in the fleet of now.
pub(crate) async fn budgets(core: &Core, asked: &[String]) -> Result<Vec<Budget>, Fault> {
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
pub(crate) fn windows(asked: &[String]) -> Result<Vec<Window>, Fault> {
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
pub(crate) fn markets(core: &Core, asked: &[String]) -> Result<Vec<MarketRule>, Fault> {
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

pub(crate) fn percent(number: u32) -> Result<Percent, Fault> {
    number.try_into().map_err(Fault::bad)
}

pub(crate) fn bake(seconds: u32) -> Result<Duration, Fault> {
    if seconds > MAX_BAKE_SECONDS {
        return Err(Fault::new(Code::BadRequest, "a wave bakes 7 days at most"));
    }
    Ok(Duration::from_secs(u64::from(seconds)))
}

pub(crate) fn ticket(text: &str) -> Result<String, Fault> {
    if text.len() > MAX_TICKET_BYTES {
        return Err(Fault::new(Code::BadRequest, "the ticket is longer than 100 bytes"));
    }
    Ok(text.to_owned())
}

/// A deadline, which lies ahead.
pub(crate) fn deadline(core: &Core, text: &str) -> Result<Option<Timestamp>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let deadline: Timestamp = text.parse().map_err(Fault::bad)?;
    if deadline <= core.now() {
        return Err(Fault::new(Code::BadRequest, format!("the deadline {deadline} has passed")));
    }
    Ok(Some(deadline))
}
