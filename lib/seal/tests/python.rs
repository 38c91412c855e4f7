//! Agreement with Python's own `json` on generated documents, valid and broken, in one `python3` process.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use flota_seal::json::Json;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const DOCUMENTS: usize = 20_000;

/// A document in hexadecimal a line in; its two written forms out, or nothing where Python refuses it.
const JUDGE: &str = r#"
import json, sys
for line in sys.stdin:
    try:
        document = json.loads(bytes.fromhex(line).decode("utf-8"))
        canonical = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        pretty = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=2)
        print(canonical.encode("utf-8").hex(), pretty.encode("utf-8").hex())
    except (ValueError, RecursionError):
        print()
"#;

#[test]
fn python_accepts_the_same_documents_and_writes_the_same_bytes() {
    let mut runner = TestRunner::deterministic();
    let documents: Vec<Vec<u8>> = {
        let strategy = any_document();
        (0..DOCUMENTS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
    };
    let Some(verdicts) = ask_python(&documents).unwrap() else {
        eprintln!("SKIPPED: no python3 on this machine, so nothing was compared with it");
        return;
    };

    let mut accepted = 0;
    for (document, verdict) in documents.iter().zip(&verdicts) {
        let ours = Json::parse(document).map_or_else(
            |_| String::new(),
            |json| format!("{} {}", hex::encode(json.canonical()), hex::encode(json.pretty())),
        );
        assert_eq!(&ours, verdict, "{:?}", String::from_utf8_lossy(document));
        accepted += usize::from(!verdict.is_empty());
    }
    assert_eq!(verdicts.len(), DOCUMENTS);
    assert!((DOCUMENTS / 4..DOCUMENTS * 3 / 4).contains(&accepted), "{accepted} accepted: the mix tests one side only");
}

/// Where two shortest forms are equally near, and beside powers of two where rounding up and down reach unequally far,
/// implementations of shortest printing part ways.
#[test]
fn python_prints_the_same_digits_where_shortest_is_ambiguous() {
    let powers = (0..=2046_u64).map(|exponent| exponent << 52);
    let beside = powers.flat_map(|bits| [bits.saturating_sub(1), bits, bits + 1, bits + 2, bits + 3]);
    // From 2^49 to 2^53 the last bits are fractions that end in 5: as many ties as there can be.
    let ties = (0..4_000_u64).map(|n| ((1023 + 49 + n % 4) << 52) | (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12));
    let floats: Vec<f64> = beside.chain(ties).map(f64::from_bits).filter(|f| f.is_finite()).collect();
    let documents: Vec<Vec<u8>> = floats.iter().map(|f| format!("{f:.25e}").into_bytes()).collect();
    let Some(verdicts) = ask_python(&documents).unwrap() else {
        eprintln!("SKIPPED: no python3 on this machine, so nothing was compared with it");
        return;
    };
    assert_eq!(verdicts.len(), floats.len());
    for (float, verdict) in floats.iter().zip(&verdicts) {
        let ours = hex::encode(Json::from(*float).canonical());
        assert_eq!(&format!("{ours} {ours}"), verdict, "{float:?}");
    }
}

fn ask_python(documents: &[Vec<u8>]) -> io::Result<Option<Vec<String>>> {
    let spawned = Command::new("python3").args(["-c", JUDGE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = match spawned {
        Ok(python) => python,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut input = String::new();
    for document in documents {
        let _ = writeln!(input, "{}", hex::encode(document));
    }
    let stdin = python.stdin.take();
    // Python answers while it reads: a writer of its own keeps the two pipes from blocking each other.
    let feeder = std::thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes())));
    let output = python.wait_with_output()?;
    feeder.join().map_err(|_| io::Error::other("the feeder panicked"))??;
    assert!(output.status.success());
    Ok(Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()))
}

/// Valid documents in every notation, the same with a few bytes changed, and tokens in no order at all.
fn any_document() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any_edit()), 1..4);
    let damaged = (any_text(), edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, edit) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + usize::from(edit.is_none())).min(bytes.len());
            bytes.splice(at..end, edit);
        }
        bytes
    });
    let soup = prop::collection::vec(prop_oneof![any_space(), any_leaf(), "[\\[\\]{},:]"], 0..8);
    prop_oneof![
        3 => any_text().prop_map(String::into_bytes),
        2 => damaged,
        1 => soup.prop_map(|tokens| tokens.concat().into_bytes()),
    ]
}

/// A byte to put in, or `None` to take one out.
fn any_edit() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![
        2 => prop::sample::select(br#"[]{}",:\u019eE.+-dD nNaI"#.as_slice()).prop_map(Some),
        1 => any::<u8>().prop_map(Some),
        2 => Just(None),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    any_leaf().prop_recursive(5, 48, 6, |inner| {
        let spaced =
            (any_space(), inner, any_space()).prop_map(|(before, value, after)| before + &value + &after).boxed();
        let member = (any_space(), any_string(), any_space(), spaced.clone())
            .prop_map(|(before, name, after, value)| format!("{before}{name}{after}:{value}"));
        prop_oneof![
            prop::collection::vec(spaced, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

fn any_leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "NaN", "Infinity", "-Infinity", "-0", "0"])
            .prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,40})",
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        any::<f64>().prop_filter("has a JSON form", |f| f.is_finite()).prop_map(|f| format!("{f:e}")),
        any_string(),
    ]
}

fn any_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-c]{1,3}",
        2 => any::<char>().prop_filter("legal unescaped", |c| !matches!(c, '"' | '\\' | '\0'..='\u{1f}')).prop_map(String::from),
        2 => prop::sample::select(br#""\/bfnrt"#.as_slice()).prop_map(|c| format!("\\{}", char::from(c))),
        2 => any::<char>().prop_map(|c| {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().fold(String::new(), |mut text, unit| {
                let _ = write!(text, "\\u{unit:04x}");
                text
            })
        }),
        1 => prop::char::range('\u{7f}', '\u{a0}').prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn any_space() -> impl Strategy<Value = String> {
    "[ \t\n\r]{0,2}"
}
