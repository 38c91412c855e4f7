use std::time::Duration;

use flota_model::alert::Silence;

use super::*;
use crate::life::Observed;
use crate::rules::testing::{answer, at, fleet, found, host, report};

const DOWN: (&str, &str, &str) = ("public_api", "unavailable", "no answer in 10.0 s");
const WELL: (&str, &str, &str) = ("public_api", "healthy", "");
const REFUSED: (&str, &str, &str) = ("private_api", "unavailable", "401 from api.binance.com");
const LET_IN: (&str, &str, &str) = ("private_api", "healthy", "");

fn summaries(rule: &str, facts: &FleetFacts) -> Vec<String> {
    found(rule, facts, at(0)).into_iter().map(|(_, finding)| finding.summary).collect()
}

/// What the three rules say together.
fn told(facts: &FleetFacts) -> [Vec<String>; 3] {
    ["FlotaExchangeUnavailable", "FlotaSharedFailure", "FlotaHostUnhealthy"].map(|rule| summaries(rule, facts))
}

#[test]
fn forty_hosts_whose_exchange_is_down_are_one_alert() {
    let mut hosts: Vec<_> =
        (1..=40).map(|n| host(&format!("bot-{n:02}"), "").with(report(at(0), "kraken", [DOWN]))).collect();
    hosts.push(host("bot-41", "").with(report(at(0), "binance", [WELL])));
    let [exchange, shared, single] = told(&fleet(hosts));
    assert_eq!(exchange, ["kraken is unavailable to 40 of 40 hosts"]);
    assert_eq!((shared.len(), single.len()), (0, 0));
}

#[test]
fn a_key_that_is_refused_everywhere_it_is_used_is_the_key_and_not_the_exchange() {
    let account = |name: &str, account: &str, result| {
        host(name, &format!("account={account},env=prod")).with(report(at(0), "binance", [WELL, result]))
    };
    let hosts = vec![
        account("a", "main-2", REFUSED),
        account("b", "main-2", REFUSED),
        account("c", "main-2", REFUSED),
        account("d", "main-1", LET_IN),
    ];
    let [exchange, shared, single] = told(&fleet(hosts));
    assert_eq!(shared, ["3 of 4 hosts at binance fail private_api (account=main-2)"]);
    assert_eq!((exchange.len(), single.len()), (0, 0));
}

#[test]
fn what_one_or_two_hosts_have_is_told_of_each() {
    let mut hosts: Vec<_> =
        (1..=8).map(|n| host(&format!("bot-{n}"), "").with(report(at(0), "binance", [LET_IN]))).collect();
    hosts[0] = host("bot-1", "").with(report(at(0), "binance", [WELL, REFUSED]));
    hosts[1] = host("bot-2", "").with(report(at(0), "binance", [WELL, REFUSED]));
    let [exchange, shared, single] = told(&fleet(hosts.clone()));
    assert_eq!(single, ["bot-1 fails private_api at binance", "bot-2 fails private_api at binance"]);
    assert_eq!((exchange.len(), shared.len()), (0, 0));
    hosts[2] = host("bot-3", "").with(report(at(0), "binance", [WELL, REFUSED]));
    let [exchange, shared, single] = told(&fleet(hosts));
    assert_eq!(shared, ["3 of 8 hosts at binance fail private_api"]);
    assert_eq!((exchange.len(), single.len()), (0, 0));
}

#[test]
fn every_failing_check_is_told_by_exactly_one_rule() {
    let hosts = vec![
        host("a", "").with(report(at(0), "kraken", [DOWN])),
        host("b", "").with(report(at(0), "kraken", [DOWN, ("private_api", "unavailable", "balance below minimum")])),
        host("c", "").with(HealthFact {
            checks: [report(at(0), "kraken", [WELL]).checks, report(at(0), "binance", [REFUSED]).checks].concat(),
            ..report(at(0), "", [])
        }),
    ];
    let [exchange, shared, single] = told(&fleet(hosts));
    assert_eq!(exchange, ["kraken is unavailable to 2 of 3 hosts"]);
    assert_eq!(single, ["c fails private_api at binance"]);
    assert!(shared.is_empty());
}

#[test]
fn an_old_report_is_no_news_and_keeps_an_alert_as_it_is() {
    let facts = fleet(vec![
        host("a", "").with(report(at(0), "kraken", [DOWN])),
        host("b", "").with(report(at(0), "kraken", [DOWN])),
    ]);
    let later = at(3 * 3600);
    assert!(found("FlotaExchangeUnavailable", &facts, later).is_empty());
    let exchange = answer("FlotaExchangeUnavailable", &[("exchange", "kraken")], &facts, later);
    assert_eq!(exchange, Observed::Unknown);
    assert_eq!(answer("FlotaHostUnhealthy", &[("host", "a")], &facts, later), Observed::Unknown);
    let key = [("exchange", "kraken"), ("check", "public_api"), ("label", "")];
    assert_eq!(answer("FlotaSharedFailure", &key, &facts, later), Observed::Unknown);
    // Nor is the exchange well because somebody whose news is fresh finds it so.
    let mut facts = facts;
    facts.hosts.push(host("c", "").with(report(later, "kraken", [WELL])));
    let exchange = answer("FlotaExchangeUnavailable", &[("exchange", "kraken")], &facts, later);
    assert_eq!(exchange, Observed::Unknown);
    // Who has left the fleet has nothing any more.
    assert_eq!(answer("FlotaHostUnhealthy", &[("host", "gone")], &facts, later), Observed::Absent);
}

#[test]
fn a_silenced_host_is_looked_at_by_no_rule_that_is_silenced() {
    let mut facts = fleet(vec![
        host("a", "").with(report(at(0), "kraken", [DOWN])),
        host("b", "").with(report(at(0), "kraken", [DOWN])),
        host("c", "").with(report(at(0), "kraken", [WELL])),
    ]);
    let silence = |rule: Option<&str>| Silence {
        id: 1,
        selector: "host=a".parse().unwrap(),
        rule: rule.map(ToOwned::to_owned),
        from: at(0),
        until: at(3600),
        reason: "disk".into(),
        created_by: "anna".into(),
    };
    facts.silences = vec![silence(None)];
    assert_eq!(told(&facts), [vec![], vec![], vec!["b fails public_api at kraken".to_owned()]]);
    assert_eq!(answer("FlotaHostUnhealthy", &[("host", "a")], &facts, at(0)), Observed::Unknown);
    facts.off = ["FlotaExchangeUnavailable".to_owned()].into();
    facts.silences = Vec::new();
    assert_eq!(summaries("FlotaHostUnhealthy", &facts).len(), 2, "what a rule that is off would say, another says");
    facts.off.clear();
    facts.silences = vec![silence(Some("FlotaHostSilent"))];
    assert_eq!(told(&facts)[0], ["kraken is unavailable to 2 of 3 hosts"]);
}

#[test]
fn a_check_without_a_result_is_told_of_hosts_that_could_have_answered() {
    let failed = |silent| HostFact {
        check_failed: Some("no result in time".into()),
        silent_for: silent,
        ..host("a", "").with(report(at(0), "kraken", [WELL]))
    };
    let summaries = |host| summaries("FlotaHealthOverdue", &fleet(vec![host]));
    assert_eq!(summaries(failed(None)), ["a has no result of its last health check"]);
    assert!(summaries(failed(Some(Duration::from_mins(1)))).is_empty());
    assert!(summaries(HostFact { health: None, ..failed(None) }).is_empty(), "it may have no exchange");
}

#[test]
fn one_host_that_died_ill_does_not_keep_the_exchange_down_for_ever() {
    let later = at(3 * 3600);
    let mut hosts = vec![host("dead", "").with(report(at(0), "kraken", [DOWN]))];
    hosts.extend((0..5).map(|n| host(&format!("bot-{n}"), "").with(report(later, "kraken", [WELL]))));
    let facts = fleet(hosts);
    assert_eq!(answer("FlotaExchangeUnavailable", &[("exchange", "kraken")], &facts, later), Observed::Absent);
    assert_eq!(answer("FlotaHostUnhealthy", &[("host", "dead")], &facts, later), Observed::Unknown);
    let shared = [("exchange", "kraken"), ("check", "public_api"), ("label", "")];
    assert_eq!(answer("FlotaSharedFailure", &shared, &facts, later), Observed::Absent);
    let days_later = at(4 * 24 * 3600);
    assert_eq!(answer("FlotaHostUnhealthy", &[("host", "dead")], &facts, days_later), Observed::Absent);
}

#[test]
fn two_reasons_for_one_check_are_one_alert_with_all_hosts() {
    let timeout = ("private_api", "unavailable", "no answer");
    let ill = |n: usize, result| host(&format!("bot-{n:02}"), "").with(report(at(0), "binance", [result]));
    let mut hosts: Vec<_> = (0..5).map(|n| ill(n, REFUSED)).collect();
    hosts.extend((5..8).map(|n| ill(n, timeout)));
    hosts.extend((8..20).map(|n| ill(n, LET_IN)));
    let [(_, finding)] = found("FlotaSharedFailure", &fleet(hosts), at(0)).try_into().unwrap();
    assert_eq!((finding.host_count, finding.hosts.len()), (8, 8));
    assert!(finding.description.ends_with("3 more fail it for another reason."), "{}", finding.description);
}

#[test]
fn a_report_that_does_not_say_of_what_is_told_too() {
    let says = HealthFact { overall: "unavailable".into(), ..report(at(0), "kraken", [WELL]) };
    assert_eq!(
        summaries("FlotaHostUnhealthy", &fleet(vec![host("a", "").with(says)])),
        ["a says that it is unavailable"]
    );
}

#[test]
fn what_an_exchange_says_stays_on_a_line() {
    assert_eq!(one_line("no\nanswer."), "no answer");
    assert_eq!(one_line("\n"), "nothing");
    assert_eq!(one_line(&"x".repeat(1000)).len(), SAID);
}
