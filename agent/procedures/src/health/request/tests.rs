use super::*;
use crate::health::exchange;
use crate::health::settings::Region;

fn request(only: &[CheckName], settings: HealthSettings) -> Result<HealthRequest, RequestError> {
    let only: Vec<_> = only.iter().copied().map(WantedCheck::from).collect();
    HealthRequest::new("binance_spot".parse()?, &only, settings)
}

#[test]
fn unknown_exchanges_and_checks_name_the_known_ones() {
    let error = "mtgox".parse::<ExchangeId>().unwrap_err().to_string();
    assert!(error.starts_with("exchange 'mtgox' is not supported yet: known are binance, binance_spot, "), "{error}");
    let error = "balance".parse::<CheckName>().unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no check 'balance': there are dns_tls, public_api, time_skew, private_api, withdrawal, rate_limit"
    );
}

fn own(name: &str) -> CustomCheck {
    CustomCheck::command(name, vec!["true".to_owned()], None).unwrap()
}

#[test]
fn the_operators_own_checks_are_chosen_by_name_like_the_built_in_ones() {
    let settled = |only: &[&str]| {
        let settings =
            HealthSettings { custom: vec![own("disk"), own("feed")], skip_public: true, ..Default::default() };
        let only: Vec<_> = only.iter().copied().map(WantedCheck::from).collect();
        HealthRequest::new("binance_spot".parse()?, &only, settings).map(|settled| {
            let built_in = settled.checks().iter().map(|check| check.name());
            let all = built_in.chain(settled.custom().iter().map(CustomCheck::name));
            all.map(str::to_owned).collect::<Vec<_>>()
        })
    };
    assert_eq!(settled(&["feed"]).unwrap(), ["feed"]);
    assert_eq!(settled(&["feed", "time_skew", "disk", "feed"]).unwrap(), ["time_skew", "disk", "feed"]);
    assert_eq!(settled(&["time_skew"]).unwrap(), ["time_skew"]);
    assert_eq!(settled(&["public_api"]).unwrap_err(), RequestError::NothingToCheck);
    let all = ["dns_tls", "time_skew", "private_api", "withdrawal", "rate_limit", "disk", "feed"];
    assert_eq!(settled(&[]).unwrap(), all);
    assert_eq!(
        settled(&["disk", "Feed"]).unwrap_err().to_string(),
        "there is no check 'Feed': there are dns_tls, public_api, time_skew, private_api, withdrawal, rate_limit, disk, feed"
    );
}

#[test]
fn what_is_skipped_is_not_run_and_noted() {
    let settings = HealthSettings { skip_private: true, ..Default::default() };
    let settled = request(&[CheckName::PrivateApi, CheckName::TimeSkew], settings.clone()).unwrap();
    assert_eq!(settled.checks(), [CheckName::TimeSkew]);
    assert_eq!(settled.notes(), ["private_api was skipped as asked"]);
    assert_eq!(request(&[CheckName::PrivateApi], settings).unwrap_err(), RequestError::NothingToCheck);
}

#[test]
fn another_mode_is_refused_rather_than_checked_as_spot() {
    let settings = HealthSettings { mode: Some(Mode::Futures), ..Default::default() };
    let error = request(&[], settings).unwrap_err().to_string();
    assert_eq!(error, "binance_spot is not supported yet in mode futures: it is in mode spot");
}

#[test]
fn every_adapter_has_names_and_hosts() {
    for adapter in exchange::REGISTRY {
        for root in [Network::Live, Network::Testnet].map(|network| adapter.root(network)).into_iter().flatten() {
            assert!(!BaseUrl::known(root).host().is_empty());
        }
        assert!(adapter.root(Network::Live).is_some());
        for name in adapter.names() {
            assert_eq!(name.parse::<ExchangeId>().unwrap().name(), *name);
        }
    }
}

#[test]
fn a_bare_name_stands_for_every_mode() {
    let settings = |mode| HealthSettings { mode: Some(mode), ..Default::default() };
    for name in ["binance", "kraken"] {
        let settled = HealthRequest::new(name.parse().unwrap(), &[], settings(Mode::Futures)).unwrap();
        assert_eq!((settled.mode(), settled.exchange().name()), (Mode::Futures, format!("{name}_futures").as_str()));
    }
    assert!(HealthRequest::new("okx".parse().unwrap(), &[], settings(Mode::Futures)).is_err());
    let kraken = HealthRequest::new("kraken_futures".parse().unwrap(), &[], HealthSettings::default()).unwrap();
    assert!(kraken.notes()[0].contains("1 March 2027"), "{:?}", kraken.notes());
}

#[test]
fn what_has_shut_down_is_not_called_down() {
    for name in ["zonda", "Zondacrypto", "zonda_spot", "bitbay"] {
        let error = name.parse::<ExchangeId>().unwrap_err().to_string();
        assert!(error.contains("discontinued"), "{error}");
    }
}

#[test]
fn regions_and_test_networks_are_those_that_there_are() {
    let settle = |name: &str, network, region| {
        let settings = HealthSettings { network, region, ..Default::default() };
        HealthRequest::new(name.parse().unwrap(), &[], settings).map(|settled| settled.base_url().to_string())
    };
    assert_eq!(settle("okx", None, Some(Region::Eea)).unwrap(), "https://eea.okx.com");
    assert_eq!(settle("okx", None, None).unwrap(), "https://openapi.okx.com");
    assert_eq!(settle("kucoin", None, Some(Region::Us)), Err(RequestError::NoRegions { exchange: "kucoin" }));
    for name in ["kraken", "kraken_futures", "kucoin"] {
        assert_eq!(settle(name, Some(Network::Testnet), None), Err(RequestError::NoTestnet { exchange: name }));
    }
}

#[test]
fn the_testnet_has_its_own_host() {
    let settings = HealthSettings { network: Some(Network::Testnet), ..Default::default() };
    assert_eq!(request(&[], settings).unwrap().base_url().to_string(), "https://testnet.binance.vision");
    assert_eq!(request(&[], HealthSettings::default()).unwrap().base_url().to_string(), "https://api.binance.com");
}
