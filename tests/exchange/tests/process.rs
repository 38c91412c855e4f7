//! The simulator as a process: its ready line, and its end.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn it_announces_itself_and_ends_with_its_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts.json");
    std::fs::write(&accounts, r#"[{"key_id": "a", "secret": "b", "balances": {"USDT": "1.0"}}]"#).unwrap();
    let mut simulator = Command::new(env!("CARGO_BIN_EXE_flota-exchange-sim"))
        .arg("--until-stdin-closes")
        .arg("--ca-file")
        .arg(folder.path().join("ca.pem"))
        .arg("--accounts")
        .arg(&accounts)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let mut line = String::new();
    BufReader::new(simulator.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = ready["base_url"].as_str().unwrap().strip_prefix("https://").unwrap().to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    assert_eq!(ready["pid"], simulator.id());
    let authority = std::fs::read_to_string(ready["ca_file"].as_str().unwrap()).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));

    drop(simulator.stdin.take());
    assert!(simulator.wait().unwrap().success());
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_broken_list_of_accounts_is_refused_without_being_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts.json");
    std::fs::write(&accounts, r#"[{"key_id": "a", "secret": "s3cret", "balances": 7}]"#).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_flota-exchange-sim"))
        .arg("--ca-file")
        .arg(folder.path().join("ca.pem"))
        .arg("--accounts")
        .arg(&accounts)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("accounts.json") && !said.contains("s3cret"), "{said}");
}
