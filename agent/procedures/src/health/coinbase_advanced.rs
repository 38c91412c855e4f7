//! Coinbase Advanced Trade with a CDP key (docs.cdp.coinbase.com; coinbase-advanced-py: jwt_generator.py).

use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, Usage, list, missing, number, text,
};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::{PrivateKey, base64url};

const LIVE: &str = "https://api.coinbase.com";
const SANDBOX: &str = "https://api-sandbox.coinbase.com";
/// Part of what is signed: a proxy in between does not change it.
const HOST: &str = "api.coinbase.com";
/// How long a token is valid, in seconds; what Coinbase's own library takes.
const LIFETIME_S: i64 = 120;
/// The largest page of accounts; the smallest number of pages.
const PAGE: &str = "limit=250";
const ANY_PRODUCT: &str = "BTC-USD";

/// The adapter.
pub(super) struct Advanced;

impl Exchange for Advanced {
    fn names(&self) -> &'static [&'static str] {
        &["coinbase", "coinbase_advanced", "coinbase_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        Some(match network {
            Network::Live => LIVE,
            Network::Testnet => SANDBOX,
        })
    }

    fn note(&self, network: Network) -> Option<&'static str> {
        (network == Network::Testnet)
            .then_some("Coinbase's sandbox gives fixed answers to everyone: it proves nothing about the key")
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        // A token is valid from nbf, now, to exp, 120 s later. How far nbf may lie ahead is documented nowhere; a token
        // "from the future" is commonly allowed half a minute.
        Some(ClockTolerance { ahead_ms: 30_000, behind_ms: LIFETIME_S * 1000 })
    }

    fn time(&self) -> Ask {
        Ask::open("/api/v3/brokerage/time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let product = symbol.map_or_else(|| ANY_PRODUCT.to_owned(), Symbol::dashed);
        Ask::open(format!("/api/v3/brokerage/market/products/{product}"), "")
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        let ask = signed("/api/v3/brokerage/accounts", credentials, moment)?;
        Ok(Ask { query: PAGE.to_owned(), ..ask })
    }

    fn gauge(&self) -> Gauge {
        Gauge::Signed
    }

    fn tells_rights(&self, network: Network) -> bool {
        network == Network::Live
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/v3/brokerage/key_permissions", credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_millis(text(&answer.json()?, "/epochMillis")?.parse().ok())
    }

    fn read_public(&self, _symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        Ok(format!("{} trades at {}", quote(&text(&json, "/product_id")?), quote(&text(&json, "/price")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance =
            |entry: &Value| Balance::read(&text(entry, "/currency")?, number(entry, "/available_balance/value")?);
        list(&answer.json()?, "/accounts")?.iter().map(balance).collect()
    }

    fn read_usage(&self, answer: &Answer) -> Result<Option<Usage>, Refusal> {
        let (limit, left) = (answer.count("x-ratelimit-limit"), answer.count("x-ratelimit-remaining"));
        Ok(Usage::from_remaining(limit, left, "requests of the current window"))
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        match answer.json()?["can_transfer"].as_bool() {
            Some(true) => Ok(Rights::Withdrawal),
            Some(false) => Ok(Rights::NoWithdrawal),
            None => Err(missing()),
        }
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        if answer.is_success() {
            return None;
        }
        // The body of a 401 is plain text, and no two causes differ in it.
        let body = answer.json().unwrap_or_default();
        let (code, message) =
            (body["error"].as_str().unwrap_or_default(), body["message"].as_str().unwrap_or_default());
        let cause = match answer.status {
            401 => Cause::Authentication,
            403 => Cause::Permission,
            404 => Cause::Symbol,
            429 => Cause::Rate,
            status => return Some(Refusal::unknown(status, quote(code), message).after(answer.retry_after())),
        };
        let refusal = Refusal::of(cause, quote(code)).after(answer.retry_after());
        // Users report a 401 now and then with a good key.
        Some(if cause == Cause::Authentication { refusal.unsure() } else { refusal })
    }
}

fn signed(path: &'static str, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
    let key = PrivateKey::read(credentials.secret())?;
    let (now, nonce) = (moment.now.as_second(), hex::encode(moment.random));
    let token = token(&key, credentials.key_text(), &format!("GET {HOST}{path}"), now, &nonce)?;
    Ask::open(path, "").header("authorization", &format!("Bearer {token}"))
}

/// A token for one request. `uri` is method, host and path, without the query.
pub(super) fn token(key: &PrivateKey, name: &str, uri: &str, now: i64, nonce: &str) -> Result<String, Unusable> {
    let (alg, exp) = (key.jwt_name(), now.saturating_add(LIFETIME_S));
    // The members stand in the order in which Coinbase's own library writes them.
    let quoted = |text: &str| Value::from(text).to_string();
    let (name, nonce, uri) = (quoted(name), quoted(nonce), quoted(uri));
    let header = format!(r#"{{"alg":"{alg}","kid":{name},"nonce":{nonce},"typ":"JWT"}}"#);
    let claims = format!(r#"{{"sub":{name},"iss":"cdp","nbf":{now},"exp":{exp},"uri":{uri}}}"#);
    let signed = format!("{}.{}", base64url(header), base64url(claims));
    let signature = base64url(key.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}
