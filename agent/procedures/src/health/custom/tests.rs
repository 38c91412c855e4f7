use tokio::io::AsyncWriteExt;

use super::*;
use crate::health::{CredentialsError, ExchangeEntry, FileFormat};

fn shell(script: &str, timeout_s: u64) -> CustomCheck {
    let words = ["sh", "-c", script].map(str::to_owned).to_vec();
    CustomCheck::command("mine", words, Some(timeout_s)).unwrap()
}

async fn run(check: &CustomCheck) -> (Status, String) {
    let result = check.run(Duration::from_secs(20)).await;
    (result.status(), result.message().to_owned())
}

#[tokio::test]
async fn exit_codes_are_the_manuals() {
    for (script, status) in [
        ("echo fine", Status::Healthy),
        ("echo slow; exit 1", Status::Degraded),
        ("exit 2", Status::Unavailable),
        ("kill -9 $$", Status::Unavailable),
    ] {
        assert_eq!(run(&shell(script, 10)).await.0, status, "{script}");
    }
    assert!(run(&shell("echo fine; echo more", 10)).await.1.ends_with(": fine"));
}

#[tokio::test]
async fn much_output_and_no_end_are_survived() {
    let (status, message) = run(&shell("head -c 1000000 /dev/zero; exit 1", 10)).await;
    assert_eq!(status, Status::Degraded, "{message}");
    assert!(message.len() < 400, "{}", message.len());
    let (status, message) = run(&shell("exec sleep 600", 1)).await;
    assert_eq!((status, message.as_str()), (Status::Unavailable, "it did not end within 1.0 s"));
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let check = CustomCheck::command("mine", vec!["/nonexistent/probe".to_owned()], None).unwrap();
    assert!(run(&check).await.1.contains("/nonexistent/probe"));
}

#[tokio::test]
async fn addresses_are_held_against_the_expected_status() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health?token=hidden", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        }
    });
    let check = |expected| CustomCheck::http("mine", &url, expected, None, None).unwrap();
    assert_eq!(run(&check(Some(204))).await, (Status::Healthy, "it answered 204".to_owned()));
    let wrong = run(&check(None)).await;
    assert_eq!(wrong, (Status::Unavailable, "it answered 204 instead of 200".to_owned()));
    server.await.unwrap();
    let gone = run(&check(None)).await;
    assert_eq!(gone.0, Status::Unavailable);
    assert!(!gone.1.contains("hidden"), "{}", gone.1);
}

#[test]
fn configuration_is_read_and_held_against_its_bounds() {
    let read = |checks: &str| {
        let text = format!(r#"{{"binance": {{"checks": {checks}}}}}"#);
        let lookup = |name: &str| (name == "TOKEN").then(|| "t0ken".to_owned());
        ExchangeEntry::parse(&text, FileFormat::Json, "exchanges.json", "binance".parse().unwrap(), &lookup)
            .map(|entry| entry.settings.custom)
    };
    let good = r#"[{"name": "disk", "command": ["df", "-h"], "timeout_seconds": 5},
                   {"name": "feed", "url": "https://feed/?t=${TOKEN}", "expect_status": 204, "ca_file": "ca.pem"}]"#;
    let both = read(good).unwrap();
    let both: Vec<_> = both.iter().map(|check| (check.name(), check.kind())).collect();
    assert_eq!(both, [("disk", CustomKind::Command("df")), ("feed", CustomKind::Http(204))]);
    for (bad, why) in [
        (r#"[{"name": "private_api", "command": ["x"]}]"#, CustomCheckError::Name),
        (r#"[{"command": ["x"]}]"#, CustomCheckError::Name),
        (r#"[{"name": "a", "command": ["x"], "url": "https://x"}]"#, CustomCheckError::CommandOrUrl),
        (r#"[{"name": "a"}]"#, CustomCheckError::CommandOrUrl),
        (r#"[{"name": "a", "command": []}]"#, CustomCheckError::NoProgram),
        (r#"[{"name": "a", "command": ["x", "${TOKEN}"]}]"#, CustomCheckError::Placeholder),
        (r#"[{"name": "a", "command": ["x"], "timeout_seconds": 0}]"#, CustomCheckError::Timeout),
        (r#"[{"name": "a", "url": "ftp://x"}]"#, CustomCheckError::Url),
        (r#"[{"name": "a", "url": "https://u:p@x"}]"#, CustomCheckError::Url),
        (r#"[{"name": "a", "url": "https://x", "expect_status": 999}]"#, CustomCheckError::Status),
    ] {
        let error = read(bad).unwrap_err();
        assert!(matches!(&error, CredentialsError::Check { source, .. } if *source == why), "{bad}: {error:?}");
        assert!(error.to_string().contains("binance.checks[0]"), "{error}");
    }
    assert!(matches!(read(r#"[{"name": "a", "cmd": []}]"#), Err(CredentialsError::UnknownField { .. })));
    assert!(matches!(read(r#"{"name": "a"}"#), Err(CredentialsError::WrongType { .. })));
}
