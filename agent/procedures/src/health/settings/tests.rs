use super::*;

#[test]
fn values_are_checked_where_they_come_in() {
    assert_eq!("btc/usdt".parse::<Symbol>().unwrap().joined(), "BTCUSDT");
    for notation in ["BTCUSDT", "btc/usdt", "BTC_USDT", "btc-usdt"] {
        assert_eq!(notation.parse::<Symbol>().unwrap().dashed(), "BTC-USDT", "{notation}");
    }
    assert_eq!("BTC-USDT-SWAP".parse::<Symbol>().unwrap().dashed(), "BTC-USDT-SWAP");
    assert_eq!("../x".parse::<Symbol>().unwrap().dashed(), "X");
    assert_eq!("BTC&side=BUY".parse::<Symbol>(), Err(ValueError::Name));
    assert_eq!("///".parse::<Symbol>(), Err(ValueError::Name));
    assert_eq!("usdt".parse::<Asset>().unwrap().as_str(), "USDT");
    assert_eq!("".parse::<Asset>(), Err(ValueError::Name));
    for amount in ["-1", "nan", "inf", "ten"] {
        assert_eq!(amount.parse::<Amount>(), Err(ValueError::Amount), "{amount}");
    }
    for url in ["http://api.binance.com", "https://user:pw@x", "https://x/?a=b", "api.binance.com", "https://"] {
        assert_eq!(url.parse::<BaseUrl>(), Err(ValueError::BaseUrl), "{url}");
    }
}

#[test]
fn endpoints_keep_the_base_path_and_the_signed_query() {
    let base: BaseUrl = "https://testnet.binance.vision/api/".parse().unwrap();
    assert_eq!(base.endpoint("/v3/time", "a=1&b=%EF").as_str(), "https://testnet.binance.vision/api/v3/time?a=1&b=%EF");
    let local: BaseUrl = "https://[::1]:8443".parse().unwrap();
    assert_eq!((local.host(), local.port()), ("::1", 8443));
}

#[test]
fn flags_go_before_the_file() {
    let flags = HealthSettings { mode: Some(Mode::Spot), skip_private: true, ..Default::default() };
    let file = HealthSettings { mode: Some(Mode::Paper), private_min_balance: Some(Amount(5.0)), ..Default::default() };
    let both = flags.or(file);
    assert_eq!((both.mode, both.private_min_balance), (Some(Mode::Spot), Some(Amount(5.0))));
    assert!(both.skip_private && !both.skip_public);
}
