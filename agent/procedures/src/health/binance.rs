//! Binance spot (binance-spot-api-docs: rest-api.md, errors.md).

use flota_seal::secret::Secret;
use flota_seal::signature::{Algorithm, Signer};
use jiff::Timestamp;
use reqwest::header::HeaderName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::credentials::Credentials;
use super::exchange::{Answer, Ask, Balance, ClockTolerance, Exchange, Refusal, Usage, quote};
use super::settings::{BaseUrl, Mode, Network, Symbol};

/// How long a signed request stays valid, in milliseconds; Binance's own default (rest-api.md, Timing security).
const RECV_WINDOW_MS: u16 = 5000;
/// The market asked about where none is configured. The whole list is megabytes, and one market proves as much.
const ANY_SYMBOL: &str = "BTCUSDT";
const API_KEY: HeaderName = HeaderName::from_static("x-mbx-apikey");
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// The adapter.
pub(super) struct Spot;

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["binance", "binance_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn base_url(&self, network: Network) -> BaseUrl {
        BaseUrl::known(match network {
            Network::Live => "https://api.binance.com",
            Network::Testnet => "https://testnet.binance.vision",
        })
    }

    fn clock_tolerance(&self) -> ClockTolerance {
        // "timestamp < serverTime + 1000 && serverTime - timestamp <= recvWindow" (rest-api.md, Timing security).
        ClockTolerance { ahead_ms: 1000, behind_ms: RECV_WINDOW_MS.into() }
    }

    fn time(&self) -> Ask {
        Ask::open("/api/v3/time", String::new())
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        match symbol {
            Some(symbol) => Ask::open("/api/v3/ticker/price", format!("symbol={}", symbol.joined())),
            None => self.usage(),
        }
    }

    fn private(&self, credentials: &Credentials, now: Timestamp) -> Ask {
        let query = format!("recvWindow={RECV_WINDOW_MS}&timestamp={}", now.as_millisecond());
        let signature = sign(&query, credentials.secret());
        Ask {
            path: "/api/v3/account",
            query: format!("{query}&signature={signature}"),
            headers: vec![(API_KEY, credentials.key_id().clone())],
        }
    }

    fn usage(&self) -> Ask {
        Ask::open("/api/v3/exchangeInfo", format!("symbol={ANY_SYMBOL}"))
    }

    fn read_time(&self, answer: &Answer) -> Result<Timestamp, Refusal> {
        let Time { server_time } = read(answer)?;
        Timestamp::from_millisecond(server_time).map_err(|_| Refusal::nonsense("its clock shows no possible time"))
    }

    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        if symbol.is_some() {
            let Ticker { symbol, price } = read(answer)?;
            return Ok(format!("{} trades at {}", quote(&symbol), quote(&price)));
        }
        let Info { symbols, .. } = read(answer)?;
        match symbols.first() {
            Some(Market { symbol, status }) => Ok(format!("market {} is {}", quote(symbol), quote(status))),
            None => Err(Refusal::nonsense("it lists no markets")),
        }
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let Account { balances } = read(answer)?;
        let balance = |AccountBalance { asset, free }| {
            let free = free.parse().map_err(|_| Refusal::nonsense("a balance is not a number"))?;
            Ok(Balance { asset, free })
        };
        balances.into_iter().map(balance).collect()
    }

    fn read_usage(&self, answer: &Answer) -> Result<Usage, Refusal> {
        let used = answer.header(USED_WEIGHT).and_then(|value| value.parse().ok());
        let used = used.ok_or_else(|| Refusal::nonsense("it does not say how much request weight was used"))?;
        let Info { rate_limits, .. } = read(answer)?;
        let per_minute = |limit: &&RateLimit| {
            limit.kind == "REQUEST_WEIGHT" && limit.interval == "MINUTE" && limit.interval_num == 1 && limit.limit > 0
        };
        let limit = rate_limits.iter().find(per_minute);
        let limit = limit.ok_or_else(|| Refusal::nonsense("it names no request weight limit a minute"))?.limit;
        Ok(Usage { used, limit })
    }

    fn read_refusal(&self, answer: &Answer) -> Refusal {
        match read::<ErrorBody>(answer) {
            Ok(ErrorBody { code, msg }) => explain(answer.status, Some(code), &msg),
            Err(_) => explain(answer.status, None, ""),
        }
    }
}

/// The signature of a query: HMAC-SHA256 under the secret's text, in hex.
fn sign(query: &str, secret: &Secret) -> String {
    let mut signer = Signer::new(Algorithm::HmacSha256, secret);
    signer.update(query.as_bytes());
    hex::encode(signer.finish(None).value())
}

/// Puts an error code into words. The code goes before the HTTP status, which the documents do not promise for the codes
/// that matter most.
fn explain(status: u16, code: Option<i64>, msg: &str) -> Refusal {
    let (meaning, remedy) = match (code, status) {
        (Some(-1021), _) => (
            "it refused the timestamp of the signed request: this host's clock and the exchange's disagree",
            Some("synchronise this host's clock (timedatectl, chronyc) and see the time_skew check"),
        ),
        (Some(-1022), _) => (
            "it refused the signature: the secret does not belong to the key_id",
            Some("put the HMAC secret that was issued together with this key_id into the credentials file"),
        ),
        (Some(-2014 | -2008), _) => (
            "it does not take the key_id for an API key",
            Some("copy the API key anew, without spaces or quotation marks, as key_id into the credentials file"),
        ),
        (Some(-2015), _) => (
            "it refused the key: unknown on this network, not allowed from this address, or without reading permission",
            Some("check in the exchange's API management that the key exists, lists this host's address and may read"),
        ),
        (Some(-1002), _) => ("the key may not read this account", Some("give the key the reading permission")),
        (Some(-1121), _) => ("it does not know the symbol", Some("correct public_symbol, for example BTCUSDT")),
        (_, 418) => (
            "it has banned this host's address for asking too often; further requests lengthen the ban",
            Some("stop every program that asks from this address and wait as long as Retry-After says"),
        ),
        (Some(-1003), _) | (_, 429) => (
            "it throttles this host's address: too many requests",
            Some("find out which program asks so often from this address, and run the check again later"),
        ),
        (_, 403) => (
            "its firewall refused the request",
            Some("check whether this host's country and address may use the exchange"),
        ),
        (_, 500..) => ("it is failing on its side", Some("look at the exchange's status page and wait")),
        (_, 300..400) => {
            ("it redirects to another address", Some("set base_url to the address that the exchange uses now"))
        }
        _ => ("it refused the request", None),
    };
    // Where we know better, the exchange's own words only lengthen the line.
    let meaning = match remedy {
        None if !msg.is_empty() => format!("{meaning}: {}", quote(msg)),
        _ => meaning.to_owned(),
    };
    Refusal { code, meaning, remedy }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Refusal> {
    serde_json::from_value(answer.json()?).map_err(|_| Refusal::nonsense("its answer lacks what Binance documents"))
}

#[derive(Deserialize)]
struct ErrorBody {
    code: i64,
    #[serde(default)]
    msg: String,
}

#[derive(Deserialize)]
struct Time {
    #[serde(rename = "serverTime")]
    server_time: i64,
}

#[derive(Deserialize)]
struct Ticker {
    symbol: String,
    price: String,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "rateLimits")]
    rate_limits: Vec<RateLimit>,
    symbols: Vec<Market>,
}

#[derive(Deserialize)]
struct Market {
    symbol: String,
    status: String,
}

#[derive(Deserialize)]
struct RateLimit {
    #[serde(rename = "rateLimitType")]
    kind: String,
    interval: String,
    #[serde(rename = "intervalNum")]
    interval_num: u64,
    limit: u64,
}

#[derive(Deserialize)]
struct Account {
    balances: Vec<AccountBalance>,
}

#[derive(Deserialize)]
struct AccountBalance {
    asset: String,
    free: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/exchanges.json"));

    fn hmac_vectors() -> Vec<serde_json::Value> {
        let vectors: Vec<serde_json::Value> = serde_json::from_str(VECTORS).unwrap();
        let ours = |vector: &serde_json::Value| {
            vector["exchange"] == "binance-spot" && vector["inputs"]["hash"] == "HMAC-SHA256"
        };
        vectors.into_iter().filter(ours).collect()
    }

    #[test]
    fn published_signatures_are_reproduced() {
        let vectors = hmac_vectors();
        assert!(vectors.len() >= 3);
        for vector in vectors {
            let secret = Secret::decode(vector["inputs"]["secret"].as_str().unwrap(), "vector").unwrap();
            let signature = sign(vector["string_to_sign"].as_str().unwrap(), &secret);
            assert_eq!(signature, vector["expected_signature"].as_str().unwrap(), "{}", vector["name"]);
        }
    }

    #[test]
    fn the_account_request_is_the_published_one() {
        let vector = hmac_vectors().into_iter().find(|vector| vector["name"] == "account-balance").unwrap();
        let credentials = Credentials::new("test-key", Secret::decode("test-secret", "vector").unwrap()).unwrap();
        let ask = Spot.private(&credentials, Timestamp::from_millisecond(1_700_000_000_000).unwrap());
        let url = Spot.base_url(Network::Live).endpoint(ask.path, &ask.query);
        assert_eq!(url.as_str(), vector["inputs"]["url"].as_str().unwrap());
        assert_eq!(ask.headers[0].1, "test-key");
        assert!(ask.headers[0].1.is_sensitive());
    }

    #[test]
    fn the_exchange_is_quoted_only_where_we_do_not_know_better_and_never_raw() {
        let unknown = explain(400, Some(-9999), "odd\u{1b}[31m thing");
        assert_eq!(unknown.meaning, "it refused the request: odd [31m thing");
        assert_eq!(explain(400, Some(-1022), "x").meaning.find('x'), None);
        assert!(explain(418, Some(-1003), "banned until 1").meaning.contains("banned"));
    }
}
