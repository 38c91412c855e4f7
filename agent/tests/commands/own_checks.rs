//! The operator's own checks, named and listed like the built-in ones.

use super::*;

/// An installation with two checks of its own for binance, one for kraken, and keys that come from the environment.
fn ground() -> tempfile::TempDir {
    let root = installation();
    let entries = serde_json::json!({
        "binance": {
            "key_id": "k", "secret": "hex:${SECRET}",
            "checks": [
                {"name": "disk", "command": ["sh", "-c", "echo 93 % used; exit 1"]},
                {"name": "feed", "url": "https://127.0.0.1:1/?t=${TOKEN}", "expect_status": 204},
            ],
        },
        "kraken": {"checks": [{"name": "vpn", "command": ["true"]}]},
    });
    fs::write(root.path().join("config/exchanges.json"), entries.to_string()).unwrap();
    root
}

const SET: [(&str, &str); 2] = [("SECRET", "00"), ("TOKEN", "t0ken")];
const CHECK: [&str; 3] = ["check-runtime-health", "--exchange", "binance"];

#[test]
fn one_of_them_runs_alone_by_its_name() {
    let root = ground();
    let ran =
        run(root.path(), &[("PATH", "/usr/bin:/bin"), SET[0], SET[1]], &[&CHECK[..], &["--check", "disk"]].concat());
    assert_eq!(ran.code, 1, "{} {}", ran.stdout, ran.stderr);
    let lines: Vec<_> = ran.stdout.lines().filter(|line| line.contains(": ") && !line.starts_with(' ')).collect();
    assert!(lines[0].starts_with("disk: degraded"), "{}", ran.stdout);
    assert!(ran.stdout.contains("93 % used") && ran.stdout.contains("Overall status: degraded"), "{}", ran.stdout);

    let flags = ["--check", "feed", "--check", "disk", "--output", "json"];
    let ran = run(root.path(), &[("PATH", "/usr/bin:/bin"), SET[0], SET[1]], &[&CHECK[..], &flags].concat());
    let report = ran.json();
    let names: Vec<_> =
        report["results"].as_array().unwrap().iter().map(|result| result["name"].as_str().unwrap()).collect();
    assert_eq!((ran.code, names), (2, vec!["disk", "feed"]), "in the order of the file");
    assert!(!ran.stdout.contains("t0ken"), "{}", ran.stdout);
}

#[test]
fn a_name_that_nobody_has_is_refused_with_those_there_are() {
    let root = ground();
    let ran = run(root.path(), &SET, &[&CHECK[..], &["--check", "vpn"]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "vpn is kraken's");
    let known = "there is no check 'vpn': there are dns_tls, public_api, time_skew, private_api, withdrawal, rate_limit, \
                 disk, feed";
    assert!(ran.stderr.contains(known), "{}", ran.stderr);
}

#[test]
fn they_are_listed_with_their_exchange_and_without_any_secret() {
    let root = ground();
    let listed = |variables: &[(&str, &str)], flags: &[&str]| {
        let ran = run(root.path(), variables, &[&["check-runtime-health", "--list-checks"], flags].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(!ran.stdout.contains("t0ken") && !ran.stdout.contains("used"), "{}", ran.stdout);
        ran.stdout.lines().skip(6).map(str::to_owned).collect::<Vec<_>>()
    };
    let binance = ["disk: your own, for binance: runs sh", "feed: your own, for binance: an address must answer 204"];
    assert_eq!(listed(&[], &["--exchange", "binance"]), binance);
    assert_eq!(listed(&SET, &["--exchange", "binance"]), binance);
    assert_eq!(listed(&[], &["--exchange", "okx"]), [""; 0]);
    assert_eq!(listed(&[], &[]), [binance[0], binance[1], "vpn: your own, for kraken: runs true"]);
    assert_eq!(listed(&[], &["--lang", "pl"])[2], "vpn: własny, dla kraken: uruchamia true");

    fs::write(root.path().join("config/exchanges.json"), r#"{"okx": {"checks": [{"name": "x"}]}}"#).unwrap();
    let broken = run(root.path(), &[], &["check-runtime-health", "--list-checks"]);
    assert_eq!((broken.code, broken.stdout.as_str()), (2, ""));
    assert!(broken.stderr.contains("okx.checks[0]"), "{}", broken.stderr);
}
