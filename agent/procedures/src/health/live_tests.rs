//! Every adapter against the simulated exchanges, which check signatures on their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_exchange_sim::{Account, Config, ExchangeId as Simulated, ExchangeSim, Mode as Behave, Order};
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use jiff::{SignedDuration, Timestamp};

use super::*;

const KEY: &str = "test-key";
const PASSPHRASE: &str = "test-pass";
const TEXT_SECRET: &str = "test-secret";
const BASE64_SECRET: &str = "a3Jha2VuLXNwb3QtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZg==";
/// The key pair of Coinbase's own library's tests (golden/exchanges.json).
const ED25519_SECRET: &str = "k0BUni0p0vZG1BdpVjS6ogBJ7kxm630AJ2dN+tuputDOKsRAwgyrpEQLeBtS1znTmzPX6Xr2eOWpzx6nW8knkA==";
const P256_SECRET: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIKwf3Uox30cRWzRBOPoPOH5p0Gpb0Dt8zUKXUEM5fMkGoAoGCCqGSM49\nAwEHoUQDQgAEbAtpLlSZYVOwYICz+uEyxcS29vRIujiES/gQ1DC7FV4zK4JuYE9v\nqDyGZQYjdXHLM7I6f/QnnOITL+dXYWBHRA==\n-----END EC PRIVATE KEY-----";
const P256_POINT: &str = "046c0b692e54996153b06080b3fae132c5c4b6f6f448ba38844bf810d430bb155e332b826e604f6fa83c866506237571cb33b23a7ff4279ce2132fe75761604744";

/// An exchange, what signs for it, and whether it tells what a key may do and how much of its limit is used.
const EXCHANGES: [(&str, Simulated, &str, bool, bool); 11] = [
    ("binance_spot", Simulated::BinanceSpot, TEXT_SECRET, true, true),
    ("binance_futures", Simulated::BinanceFutures, TEXT_SECRET, true, true),
    ("kraken_spot", Simulated::KrakenSpot, BASE64_SECRET, true, false),
    ("kraken_futures", Simulated::KrakenFutures, BASE64_SECRET, true, false),
    ("coinbase_advanced", Simulated::CoinbaseAdvanced, ED25519_SECRET, true, true),
    ("coinbase_advanced", Simulated::CoinbaseAdvanced, P256_SECRET, true, true),
    ("coinbase_exchange", Simulated::CoinbaseExchange, BASE64_SECRET, false, false),
    ("bybit_spot", Simulated::Bybit, TEXT_SECRET, true, true),
    ("okx_spot", Simulated::Okx, TEXT_SECRET, true, false),
    ("kucoin_spot", Simulated::Kucoin, TEXT_SECRET, true, true),
    ("bitstamp_spot", Simulated::Bitstamp, TEXT_SECRET, false, false),
];

struct Bench {
    sim: ExchangeSim,
    name: &'static str,
    on: Simulated,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new(name: &'static str, on: Simulated, secret: &'static str, adjust: fn(Account) -> Account) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plain = if secret == ED25519_SECRET || secret == P256_SECRET { "" } else { secret };
        let mut account = Account::new(KEY, plain).with_balance("BTC", "2.5").with_balance("USD", "7").on(on);
        if let Some(pem) = public_key(secret) {
            account = account.with_public_key(pem);
        }
        if matches!(on, Simulated::CoinbaseExchange | Simulated::Okx | Simulated::Kucoin) {
            account = account.with_passphrase(PASSPHRASE);
        }
        let config = Config::new(folder.path().join("ca.pem")).with_account(adjust(account));
        Self { sim: ExchangeSim::start(config).await.unwrap(), name, on, _folder: folder }
    }

    async fn check(&self, only: &[CheckName], secret: &str, clock_off: SignedDuration) -> HealthReport {
        let only: Vec<_> = only.iter().copied().map(WantedCheck::from).collect();
        let settings = HealthSettings {
            base_url: Some(self.sim.base_url_of(self.on).parse().unwrap()),
            ca_file: Some(self.sim.ca_file().to_owned()),
            private_asset: Some("BTC".parse().unwrap()),
            ..Default::default()
        };
        let limits = Limits { base_delay: std::time::Duration::from_millis(1), ..Limits::default() };
        let request = HealthRequest::new(self.name.parse().unwrap(), &only, settings).unwrap().with_limits(limits);
        let secret = Secret::decode(secret, "test").unwrap();
        let passphrase = Secret::decode(PASSPHRASE, "test").unwrap();
        let credentials = Credentials::new(KEY, secret).unwrap().with_passphrase(Some(passphrase));
        let clock = || Timestamp::now() + clock_off;
        check(&request, Some(&credentials), &clock).await.unwrap()
    }
}

fn public_key(secret: &str) -> Option<String> {
    let spki = match secret {
        P256_SECRET => format!("3059301306072a8648ce3d020106082a8648ce3d030107034200{P256_POINT}"),
        ED25519_SECRET => {
            let public = &STANDARD.decode(ED25519_SECRET).unwrap()[32..];
            format!("302a300506032b6570032100{}", hex::encode(public))
        }
        _ => return None,
    };
    let encoded = STANDARD.encode(hex::decode(spki).unwrap());
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    Some(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
}

#[tokio::test]
async fn every_exchange_takes_our_requests_and_is_healthy() {
    for (name, on, secret, tells_rights, tells_usage) in EXCHANGES {
        let bench = Bench::new(name, on, secret, |account| account).await;
        let report = bench.check(&[], secret, SignedDuration::ZERO).await;
        let shown = format!("{name}: {}", report.to_json().pretty());
        assert_eq!(report.overall(), Status::Healthy, "{shown}");
        let private = report.result(CheckName::PrivateApi).unwrap();
        assert_eq!(private.details.get("free").and_then(Json::as_f64), Some(2.5), "{shown}");
        let told = |told| if told { Status::Healthy } else { Status::Unknown };
        assert_eq!(report.result(CheckName::Withdrawal).unwrap().status(), told(tells_rights), "{shown}");
        assert_eq!(report.result(CheckName::RateLimit).unwrap().status(), told(tells_usage), "{shown}");
    }
}

#[tokio::test]
async fn a_key_that_may_withdraw_is_degraded_where_the_exchange_tells() {
    for (name, on, secret, tells, _) in EXCHANGES {
        let bench = Bench::new(name, on, secret, Account::that_may_withdraw).await;
        let report = bench.check(&[CheckName::Withdrawal], secret, SignedDuration::ZERO).await;
        let result = report.result(CheckName::Withdrawal).unwrap();
        let expected = if tells { Status::Degraded } else { Status::Unknown };
        assert_eq!(result.status(), expected, "{name}: {}", report.to_text());
        assert_eq!(report.overall().exit_code(), u8::from(tells), "{name}");
        if tells {
            assert!(result.remedy().unwrap().contains("without withdrawal rights"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_words_that_do_not_hold_it() {
    for (name, on, secret, _, _) in EXCHANGES {
        let bench = Bench::new(name, on, secret, |account| account).await;
        let wrong = match secret {
            TEXT_SECRET => "wrong-secret",
            BASE64_SECRET => "d3Jvbmctc2VjcmV0",
            _ => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        };
        let report = bench.check(&[CheckName::PrivateApi], wrong, SignedDuration::ZERO).await;
        let shown = format!("{report:?} {}", report.to_text());
        assert_eq!(report.overall(), Status::Unavailable, "{name}: {shown}");
        assert!(shown.contains("secret"), "{name}: {shown}");
        for hidden in [KEY, wrong, PASSPHRASE] {
            assert!(!shown.contains(hidden), "{name}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_and_said() {
    for (name, on, secret) in [
        ("binance_spot", Simulated::BinanceSpot, TEXT_SECRET),
        ("bybit_spot", Simulated::Bybit, TEXT_SECRET),
        ("okx_spot", Simulated::Okx, TEXT_SECRET),
        ("kucoin_spot", Simulated::Kucoin, TEXT_SECRET),
    ] {
        let bench = Bench::new(name, on, secret, |account| account).await;
        let report = bench.check(&[CheckName::PrivateApi], secret, SignedDuration::from_secs(45)).await;
        let result = report.result(CheckName::PrivateApi).unwrap();
        assert_eq!(result.status(), Status::Healthy, "{name}: {}", report.to_text());
        assert!(result.message().contains("corrected by -4"), "{name}: {}", result.message());
    }
}

#[tokio::test]
async fn throttling_is_waited_out_in_every_exchanges_words() {
    for (name, on, secret, _, _) in EXCHANGES {
        let bench = Bench::new(name, on, secret, |account| account).await;
        bench.sim.obey(Order::everyone(Behave::Throttle { retry_after_s: 1 }).times(1));
        let report = bench.check(&[CheckName::PublicApi], secret, SignedDuration::ZERO).await;
        assert_eq!(report.overall(), Status::Healthy, "{name}: {}", report.to_text());
        bench.sim.obey(Order::everyone(Behave::Fail));
        let report = bench.check(&[CheckName::PublicApi], secret, SignedDuration::ZERO).await;
        assert!(report.to_text().contains("look at the exchange's status page"), "{name}: {}", report.to_text());
    }
}

#[tokio::test]
async fn a_signed_request_is_not_sent_on_to_another_host() {
    for (name, on, secret, _, _) in EXCHANGES {
        let [bench, elsewhere] = [
            Bench::new(name, on, secret, |account| account).await,
            Bench::new(name, on, secret, |account| account).await,
        ];
        let to = elsewhere.sim.base_url();
        bench.sim.obey(Order::everyone(Behave::Redirect { to }));
        let report = bench.check(&[CheckName::PrivateApi], secret, SignedDuration::ZERO).await;
        assert_eq!(report.overall(), Status::Unavailable, "{name}: {}", report.to_text());
        assert!(report.to_text().contains("307"), "{name}: {}", report.to_text());
        assert_eq!(elsewhere.sim.served_in_all(), 0, "{name}");
        assert!(bench.sim.served_in_all() > 0, "{name}");
    }
}
