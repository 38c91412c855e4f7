//! What credentials files may say, and how their mistakes are told.

use std::error::Error;
use std::fs::Permissions;

use super::*;
use crate::health::Mode;

fn parse(text: &str, format: FileFormat) -> Result<ExchangeEntry, CredentialsError> {
    let variables = |name: &str| match name {
        "BINANCE_SECRET" => Some("s3cret-from-env".to_owned()),
        "PREFIX" => Some("key".to_owned()),
        _ => None,
    };
    ExchangeEntry::parse(text, format, "exchanges", "binance_spot".parse().unwrap(), &variables)
}

fn message(text: &str, format: FileFormat) -> String {
    let error = parse(text, format).err().unwrap();
    error.source().map_or(error.to_string(), |source| format!("{error}: {source}"))
}

fn json_message(text: &str) -> String {
    message(text, FileFormat::Json)
}

#[test]
fn json_and_toml_say_the_same() {
    let json = r#"{"binance": {"key_id": "${PREFIX}-1", "secret": "${BINANCE_SECRET}", "mode": "spot", "testnet": true,
        "health_check": {"public_symbol": "BTC/USDT", "private_asset": "usdt", "private_min_balance": 12.5,
        "skip_public": true}}, "kraken": {"secret": "${UNSET}"}}"#;
    let toml = r#"
        [binance]
        key_id = "${PREFIX}-1"
        secret = "${BINANCE_SECRET}"
        mode = "spot"
        testnet = true
        health_check = { public_symbol = "BTC/USDT", private_asset = "usdt", private_min_balance = "12.5", skip_public = true }
        [kraken]
        secret = "${UNSET}"
    "#;
    for (text, format) in [(json, FileFormat::Json), (toml, FileFormat::Toml)] {
        let ExchangeEntry { credentials, settings, notes } = parse(text, format).unwrap();
        let credentials = credentials.unwrap();
        assert_eq!(credentials.key_text(), "key-1");
        assert_eq!(credentials.secret().expose(), b"s3cret-from-env");
        assert_eq!((settings.mode, settings.network), (Some(Mode::Spot), Some(Network::Testnet)));
        assert_eq!(settings.private_asset.unwrap().as_str(), "USDT");
        assert_eq!(settings.private_min_balance, Some(12.5.try_into().unwrap()));
        assert!(settings.skip_public && !settings.skip_private && notes.is_empty());
    }
}

#[test]
fn the_exact_name_goes_before_the_family() {
    let text = r#"{"binance": {"key_id": "a", "secret": "b"}, "binance_spot": {"key_id": "c", "secret": "d"}}"#;
    assert_eq!(parse(text, FileFormat::Json).unwrap().credentials.unwrap().key_text(), "c");
}

#[test]
fn a_missing_table_is_a_note() {
    let entry = parse("{}", FileFormat::Json).unwrap();
    assert!(entry.credentials.is_none());
    assert_eq!(entry.notes, ["exchanges has no table for binance_spot: no key, no settings from there"]);
}

#[test]
fn wrong_names_are_refused_with_the_right_ones() {
    assert_eq!(
        json_message(r#"{"binance": {"api_key": "a", "secret": "b"}}"#),
        "exchanges: binance.api_key: this field is called 'key_id' here: rename it"
    );
    assert_eq!(
        json_message(r#"{"binance": {"key_id": "a", "apiSecret": "b"}}"#),
        "exchanges: binance.apiSecret: this field is called 'secret' here: rename it"
    );
    assert!(json_message(r#"{"binance": {"keyId": "a"}}"#).contains("'key_id', spelt so"));
    assert!(json_message(r#"{"binance": {"colour": "red"}}"#).contains("it has key_id, secret, passphrase"));
    assert!(
        json_message(r#"{"binance": {"health_check": {"symbol": "X"}}}"#)
            .contains("health_check.symbol: this field is called 'public_symbol'")
    );
}

#[test]
fn every_mistake_names_its_place() {
    for (text, said) in [
        (r#"{"binance": {"key_id": "a"}}"#, "exchanges: binance has a key_id and no secret: a key needs both"),
        (r#"{"binance": {"key_id": "a", "secret": 7}}"#, "exchanges: binance.secret must be a text"),
        (r#"{"binance": {"testnet": "yes"}}"#, "exchanges: binance.testnet must be true or false"),
        (r#"{"binance": {"mode": "swap"}}"#, "reading exchanges: binance.mode: the mode must be"),
        (
            r#"{"binance": {"key_id": "a", "secret": "${NOWHERE}"}}"#,
            "exchanges: binance.secret needs the environment variable NOWHERE, which is not set",
        ),
        (r#"{"binance": {"key_id": "${", "secret": "b"}}"#, "exchanges: binance.key_id has a placeholder"),
        (r#"{"binance": {"key_id": "a b", "secret": "b"}}"#, "reading exchanges: binance.key_id: the key_id must be"),
        (r#"{"binance": 1}"#, "exchanges: binance must be a table"),
        (r#"{"binance": {"health_check": {"base_url": "http://x"}}}"#, "the base URL must be https"),
    ] {
        let message = json_message(text);
        assert!(message.contains(said), "{text}: {message}");
    }
}

#[test]
fn syntax_errors_name_the_line_and_quote_nothing() {
    let toml = "[binance]\nkey_id = \"a\"\nsecret = s3cret\n";
    assert_eq!(message(toml, FileFormat::Toml), "exchanges: line 3 is not valid Toml: correct it");
    let json = "{\"binance\": {\n\"secret\": s3cret}}";
    assert_eq!(json_message(json), "exchanges: line 2 is not valid Json: correct it");
    let undecodable = r#"{"binance": {"key_id": "a", "secret": "hex:s3cret"}}"#;
    let message = json_message(undecodable);
    assert!(message.contains("exchanges: binance.secret") && !message.contains("s3cret"), "{message}");
}

#[test]
fn a_file_that_others_can_read_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchanges.toml");
    std::fs::write(&path, "[binance]\nkey_id = \"a\"\nsecret = \"b\"\n").unwrap();
    let read = || ExchangeEntry::read(&path, "binance".parse().unwrap(), &|_| None).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(read().notes[0].contains("(mode 640)"));
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(read().notes.is_empty() && read().credentials.is_some());
}

#[test]
fn the_operators_own_checks_are_told_without_looking_at_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchanges.json");
    let text = r#"{"binance": {"secret": "${UNSET}", "checks": [{"name": "disk", "command": ["df"]}]}, "comment": "x",
        "kraken": {}, "okx": {"checks": [{"name": "feed", "url": "https://feed"}]}}"#;
    std::fs::write(&path, text).unwrap();
    let told = own_checks(&path, &|_| None).unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|(exchange, checks)| (exchange.as_str(), checks.iter().map(CustomCheck::name).collect::<Vec<_>>()))
        .collect();
    assert_eq!(told, [("binance", vec!["disk"]), ("kraken", vec![]), ("okx", vec!["feed"])]);
    std::fs::write(&path, r#"{"okx": {"checks": [{"name": "feed"}]}}"#).unwrap();
    let error = own_checks(&path, &|_| None).unwrap_err().to_string();
    assert!(error.ends_with("exchanges.json: okx.checks[0]"), "{error}");
}
