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

/// The path to an exchange is part of what is checked, and a variable must not send signed requests to somebody else.
#[test]
fn proxy_variables_change_no_path() {
    use std::io::ErrorKind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let root = installation();
    let exchange = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("https://{}", exchange.local_addr().unwrap());
    let entries = serde_json::json!({"binance": {"health_check": {"base_url": base_url}}});
    fs::write(root.path().join("config/exchanges.json"), entries.to_string()).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let variables = names.map(|name| (name, address.as_str()));
    // The exchange is reached, and hangs up; the proxy is not.
    let reached = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&reached);
    drop(std::thread::spawn(move || {
        exchange.incoming().for_each(|connection| {
            drop(connection);
            count.fetch_add(1, Ordering::Relaxed);
        });
    }));
    let ran = run(root.path(), &variables, &[&CHECK[..], &["--check", "public_api"]].concat());
    assert_eq!(ran.code, 2, "{} {}", ran.stdout, ran.stderr);
    assert!(reached.load(Ordering::Relaxed) > 0, "{} {}", ran.stdout, ran.stderr);
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came to the proxy");
}
