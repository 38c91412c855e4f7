//! Check-ups against the simulated exchange, over real TLS.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flota_exchange_sim::{Account, Config, ExchangeSim, Mode as Behave, Order};
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::*;

const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

fn wanted(checks: &[CheckName]) -> Vec<WantedCheck> {
    checks.iter().copied().map(WantedCheck::from).collect()
}

struct Bench {
    exchange: ExchangeSim,
    folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(adjust: impl FnOnce(Config) -> Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account = Account::new(KEY, SECRET).with_balance("USDT", "1000.50000000").with_balance("BTC", "0.00000000");
        let config = Config::new(folder.path().join("ca.pem")).with_account(account);
        Self { exchange: ExchangeSim::start(adjust(config)).await.unwrap(), folder }
    }

    fn settings(&self) -> HealthSettings {
        HealthSettings {
            base_url: Some(self.exchange.base_url().parse().unwrap()),
            ca_file: Some(self.exchange.ca_file().to_owned()),
            ..Default::default()
        }
    }

    /// Quick pauses: what is tested is that there are any, not how long they are.
    fn limits() -> Limits {
        Limits { base_delay: Duration::from_millis(1), ..Limits::default() }
    }

    async fn check(&self, only: &[CheckName], settings: HealthSettings, secret: &str) -> HealthReport {
        self.check_at(only, settings, secret, SignedDuration::ZERO).await
    }

    async fn check_at(
        &self,
        only: &[CheckName],
        settings: HealthSettings,
        secret: &str,
        clock_off: SignedDuration,
    ) -> HealthReport {
        let request = HealthRequest::new("binance_spot".parse().unwrap(), &wanted(only), settings).unwrap();
        let credentials = Credentials::new(KEY, Secret::decode(secret, "test").unwrap()).unwrap();
        let clock = || Timestamp::now() + clock_off;
        check(&request.with_limits(Self::limits()), Some(&credentials), &clock).await.unwrap()
    }

    async fn one(&self, name: CheckName) -> CheckResult {
        self.check(&[name], self.settings(), SECRET).await.result(name).unwrap().clone()
    }
}

fn attempts(result: &CheckResult) -> u64 {
    result.details.get("attempts").and_then(Json::as_u64).unwrap()
}

#[tokio::test]
async fn a_healthy_exchange_passes_every_check() {
    let bench = Bench::new().await;
    let settings = HealthSettings {
        public_symbol: Some("BTC/USDT".parse().unwrap()),
        private_asset: Some("USDT".parse().unwrap()),
        private_min_balance: Some("1000.5".parse().unwrap()),
        ..bench.settings()
    };
    let report = bench.check(&[], settings, SECRET).await;
    assert_eq!(report.overall(), Status::Healthy, "{}", report.to_text());
    assert_eq!(report.overall().exit_code(), 0);
    assert_eq!(report.results().len(), CheckName::ALL.len());

    let text = report.to_text();
    assert!(text.contains("public_api: healthy (latency=0."), "{text}");
    assert!(text.ends_with("Overall status: healthy\n"), "{text}");
    let json = report.to_json();
    assert_eq!(json.member("exchange").and_then(Json::as_str), Some("binance_spot"));
    assert_eq!(json.member("testnet").and_then(Json::as_bool), Some(false));
    let private = &json.member("results").and_then(Json::as_array).unwrap()[3];
    assert_eq!(private.member("name").and_then(Json::as_str), Some("private_api"));
    assert_eq!(private.member("details").and_then(|d| d.member("free")).and_then(Json::as_f64), Some(1000.5));
}

#[tokio::test]
async fn markets_are_asked_for_without_a_symbol() {
    let bench = Bench::new().await;
    assert_eq!(bench.one(CheckName::PublicApi).await.message(), "market BTCUSDT is TRADING");
    let settings = HealthSettings { public_symbol: Some("NOPE".parse().unwrap()), ..bench.settings() };
    let report = bench.check(&[CheckName::PublicApi], settings, SECRET).await;
    assert_eq!(report.overall().exit_code(), 2);
    assert!(report.to_text().contains("correct public_symbol"), "{}", report.to_text());
}

#[tokio::test]
async fn a_wrong_secret_is_told_apart_from_a_wrong_key() {
    let bench = Bench::new().await;
    let report = bench.check(&[CheckName::PrivateApi], bench.settings(), "not-the-secret").await;
    let text = report.to_text();
    assert!(text.contains("the secret does not belong to the key_id"), "{text}");
    assert!(text.contains("; put the HMAC secret"), "{text}");

    let request =
        HealthRequest::new("binance".parse().unwrap(), &wanted(&[CheckName::PrivateApi]), bench.settings()).unwrap();
    let stranger = Credentials::new("stranger", Secret::decode(SECRET, "test").unwrap()).unwrap();
    let report = check(&request, Some(&stranger), &Timestamp::now).await.unwrap();
    assert!(report.to_text().contains("not allowed from this address"), "{}", report.to_text());
    assert_eq!(bench.exchange.served("/api/v3/account"), 2, "a refusal is not worth another attempt");
}

#[tokio::test]
async fn without_credentials_the_private_check_says_so_and_asks_nothing() {
    let bench = Bench::new().await;
    let request =
        HealthRequest::new("binance".parse().unwrap(), &wanted(&[CheckName::PrivateApi]), bench.settings()).unwrap();
    let report = check(&request, None, &Timestamp::now).await.unwrap();
    assert_eq!(report.overall(), Status::Unavailable);
    assert!(report.to_text().starts_with("private_api: unavailable: there are no credentials"), "{}", report.to_text());
    assert_eq!(bench.exchange.served("/api/v3/account"), 0);
}

#[tokio::test]
async fn balances_are_held_against_the_minimum() {
    let bench = Bench::new().await;
    for (asset, minimum, status, said) in [
        ("USDT", None, Status::Healthy, "1000.5 USDT are free"),
        ("USDT", Some("1000.51"), Status::Unavailable, "below the minimum of 1000.51"),
        ("BTC", None, Status::Healthy, "0 BTC are free"),
        ("ETH", None, Status::Unavailable, "the account has no ETH"),
    ] {
        let settings = HealthSettings {
            private_asset: Some(asset.parse().unwrap()),
            private_min_balance: minimum.map(|minimum| minimum.parse().unwrap()),
            ..bench.settings()
        };
        let report = bench.check(&[CheckName::PrivateApi], settings, SECRET).await;
        let result = report.result(CheckName::PrivateApi).unwrap();
        assert_eq!(result.status(), status, "{asset}: {}", result.message());
        assert!(result.message().contains(said), "{}", result.message());
    }
    bench.exchange.obey(Order::everyone(Behave::BadBalance { free: "1.00000000".to_owned() }).for_key(KEY));
    let settings = HealthSettings {
        private_asset: Some("USDT".parse().unwrap()),
        private_min_balance: Some("10".parse().unwrap()),
        ..bench.settings()
    };
    let report = bench.check(&[CheckName::PrivateApi], settings, SECRET).await;
    assert!(report.to_text().contains("1 USDT are free, below the minimum of 10"), "{}", report.to_text());
}

#[tokio::test]
async fn a_stumbling_exchange_is_asked_three_times() {
    let bench = Bench::new().await;
    bench.exchange.obey(Order::everyone(Behave::Fail).times(2));
    let result = bench.one(CheckName::PublicApi).await;
    assert_eq!((result.status(), attempts(&result)), (Status::Healthy, 3));

    bench.exchange.obey(Order::everyone(Behave::Fail));
    let result = bench.one(CheckName::PublicApi).await;
    assert_eq!((result.status(), attempts(&result)), (Status::Unavailable, 3));
    assert!(result.message().contains("500"), "{}", result.message());
}

#[tokio::test]
async fn retry_after_is_kept_up_to_a_bound() {
    let bench = Bench::new().await;
    bench.exchange.obey(Order::everyone(Behave::Throttle { retry_after_s: 1 }).times(1));
    let began = std::time::Instant::now();
    let result = bench.one(CheckName::PublicApi).await;
    assert_eq!((result.status(), attempts(&result)), (Status::Healthy, 2));
    assert!(began.elapsed() >= Duration::from_secs(1));

    bench.exchange.obey(Order::everyone(Behave::Throttle { retry_after_s: 120 }));
    let result = bench.one(CheckName::PublicApi).await;
    assert_eq!((result.status(), attempts(&result)), (Status::Unavailable, 1));
    assert_eq!(result.details.get("retry_after_s").and_then(Json::as_u64), Some(120));
}

#[tokio::test]
async fn wrong_clocks_are_found_on_either_side() {
    let bench = Bench::new().await;
    bench.exchange.obey(Order::everyone(Behave::Skew { skew_ms: 20_000 }));
    let checks = [CheckName::TimeSkew, CheckName::PrivateApi];
    let report = bench.check(&checks, bench.settings(), SECRET).await;
    let text = report.to_text();
    assert!(text.contains("behind the exchange's: it refuses signed requests"), "{text}");
    let private = report.result(CheckName::PrivateApi).unwrap();
    assert_eq!(private.status(), Status::Healthy, "the key is judged by a corrected clock: {text}");
    assert!(private.message().contains("signed with this host's clock corrected by "), "{}", private.message());

    // Beyond a minute nothing is corrected.
    bench.exchange.obey(Order::everyone(Behave::Skew { skew_ms: 90_000 }));
    let text = bench.check(&checks, bench.settings(), SECRET).await.to_text();
    assert!(text.contains("this host's clock and the exchange's disagree"), "{text}");

    bench.exchange.obey(Order::everyone(Behave::Normal));
    let report = bench.check_at(&checks, bench.settings(), SECRET, SignedDuration::from_secs(3)).await;
    assert!(report.to_text().contains("ahead of the exchange's"), "{}", report.to_text());
    assert_eq!(report.overall(), Status::Unavailable);
}

#[tokio::test]
async fn slow_answers_are_degraded_and_too_slow_ones_are_none() {
    let bench = Bench::new().await;
    bench.exchange.obey(Order::everyone(Behave::Lag { delay_ms: 150 }));
    let request = |limits| {
        let only = wanted(&[CheckName::PublicApi]);
        HealthRequest::new("binance".parse().unwrap(), &only, bench.settings()).unwrap().with_limits(limits)
    };
    let slow = Limits { slow_after: Duration::from_millis(100), ..Bench::limits() };
    let report = check(&request(slow), None, &Timestamp::now).await.unwrap();
    assert_eq!(report.overall().exit_code(), 1, "{}", report.to_text());

    let impatient = Limits { attempt: Duration::from_millis(50), total: Duration::from_millis(120), ..Bench::limits() };
    let report = check(&request(impatient), None, &Timestamp::now).await.unwrap();
    assert_eq!(report.overall(), Status::Unavailable);
    assert!(
        report.to_text().contains("no answer within") || report.to_text().contains("used up"),
        "{}",
        report.to_text()
    );
}

#[tokio::test]
async fn a_crowded_address_is_degraded() {
    let bench = Bench::new().await;
    assert_eq!(bench.one(CheckName::RateLimit).await.message(), "20 of 6000 request weight a minute are used (0%)");
    bench.exchange.obey(Order::everyone(Behave::Crowded { used_weight: 5400 }));
    let result = bench.one(CheckName::RateLimit).await;
    assert_eq!(result.status(), Status::Degraded);
    assert!(result.message().contains("(90%)"), "{}", result.message());
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_degraded() {
    let bench = Bench::with(|mut config| {
        config.certificate_lifetime = Duration::from_hours(5 * 24 + 1);
        config
    })
    .await;
    let result = bench.one(CheckName::DnsTls).await;
    assert_eq!((result.status(), result.message()), (Status::Degraded, "the exchange's certificate ends in 5 days"));
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let settings = HealthSettings { ca_file: Some(other.folder.path().join("ca.pem")), ..bench.settings() };
    let report = bench.check(&[CheckName::DnsTls, CheckName::PrivateApi], settings, SECRET).await;
    let result = report.result(CheckName::DnsTls).unwrap();
    assert_eq!((result.status(), attempts(result)), (Status::Unavailable, 1));
    assert!(result.remedy().unwrap().contains("ca_file is not its authority"), "{}", report.to_text());
    assert_eq!(bench.exchange.served("/api/v3/account"), 0);
}

#[tokio::test]
async fn an_unusable_ca_file_is_said_before_anything_is_asked() {
    let bench = Bench::new().await;
    let empty = bench.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for path in [empty, bench.folder.path().join("missing.pem")] {
        let settings = HealthSettings { ca_file: Some(path.clone()), ..bench.settings() };
        let request = HealthRequest::new("binance".parse().unwrap(), &[], settings).unwrap();
        let error = check(&request, None, &Timestamp::now).await.err().unwrap();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn nothing_printable_holds_key_or_signature() {
    let bench = Bench::new().await;
    let settings = bench.settings();
    let broken = AtomicBool::new(false);
    for port_closed in [false, true] {
        let settings = if port_closed {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            HealthSettings { base_url: Some(format!("https://{free}").parse().unwrap()), ..settings.clone() }
        } else {
            settings.clone()
        };
        let report = bench.check(&[CheckName::PrivateApi], settings, "not-the-secret").await;
        let shown = format!("{report:?} {} {}", report.to_text(), report.to_json().pretty());
        broken.fetch_or(shown.contains("no connection"), Ordering::Relaxed);
        for secret in [KEY, "not-the-secret", "signature=", "timestamp="] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
    assert!(broken.into_inner(), "the closed port was reached");
}

#[tokio::test]
async fn without_a_ca_file_the_systems_authorities_decide() {
    let bench = Bench::new().await;
    let settings = HealthSettings { ca_file: None, ..bench.settings() };
    let request = HealthRequest::new("binance".parse().unwrap(), &wanted(&[CheckName::DnsTls]), settings).unwrap();
    match check(&request, None, &Timestamp::now).await {
        Ok(report) => assert!(report.to_text().contains("invalid peer certificate"), "{}", report.to_text()),
        // A machine without a store of authorities trusts nobody.
        Err(error) => assert!(matches!(error, HealthError::Tls(_)), "{error}"),
    }
}

#[test]
fn a_check_up_can_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let request = HealthRequest::new("binance".parse().unwrap(), &[], HealthSettings::default()).unwrap();
    is_send(&check(&request, None, &Timestamp::now));
}
