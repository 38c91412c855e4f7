//! Agreement with Python's own `json` on generated documents, valid and broken.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flota_seal::json::Json;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Generated documents that are put to Python, in batches that keep the memory small; a third are single numbers.
/// `FLOTA_DIFFERENTIAL` names another count.
const DOCUMENTS: usize = 100_000;

/// Documents in one `python3` process, generated from the number of the batch, which a failure names.
const BATCH: usize = 5_000;

/// Batches at a time.
const THREADS: usize = 2;

/// A document in hexadecimal a line in; its two written forms out, or nothing where Python refuses it. Lone surrogates
/// count even in members that a later one of the same name replaces: that difference is documented.
const JUDGE: &str = r#"
import json, sys

def members(pairs):
    document = dict(pairs)
    if len(document) < len(pairs):
        json.dumps(pairs, ensure_ascii=False).encode("utf-8")
    return document

for line in sys.stdin:
    try:
        document = json.loads(bytes.fromhex(line).decode("utf-8"), object_pairs_hook=members)
        canonical = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        pretty = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=2)
        print(canonical.encode("utf-8").hex(), pretty.encode("utf-8").hex())
    except (ValueError, RecursionError):
        print()
"#;

#[test]
fn python_accepts_the_same_documents_and_writes_the_same_bytes() {
    let wanted = std::env::var("FLOTA_DIFFERENTIAL").map_or(DOCUMENTS, |count| count.parse().unwrap());
    let batches = AtomicUsize::new(0);
    let compare_batches = || {
        let mut accepted = 0;
        loop {
            let batch = batches.fetch_add(1, Ordering::Relaxed);
            let count = BATCH.min(wanted.saturating_sub(batch * BATCH));
            if count == 0 {
                return Some(accepted);
            }
            accepted += compare(batch, count)?;
        }
    };
    let accepted: Option<usize> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(compare_batches)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let Some(accepted) = accepted else {
        eprintln!("SKIPPED: no python3 on this machine, so nothing was compared with it");
        return;
    };
    eprintln!("{wanted} documents compared, of which Python accepts {accepted}");
    let both_sides = wanted / 4..wanted * 9 / 10;
    assert!(both_sides.contains(&accepted), "{accepted} of {wanted} accepted: the mix tests one side only");
}

/// Puts a batch to Python and compares; returns how many documents it accepts, `None` without a Python.
fn compare(batch: usize, count: usize) -> Option<usize> {
    let documents = generate(batch, count);
    let verdicts = ask_python(&documents).unwrap()?;
    assert_eq!(verdicts.len(), documents.len());
    for (document, verdict) in documents.iter().zip(&verdicts) {
        let ours = Json::parse(document).map_or_else(
            |_| String::new(),
            |json| format!("{} {}", hex::encode(json.canonical()), hex::encode(json.pretty())),
        );
        assert_eq!(&ours, verdict, "batch {batch}: {:?}", String::from_utf8_lossy(document));
    }
    Some(verdicts.iter().filter(|verdict| !verdict.is_empty()).count())
}

/// The documents of a batch, always the same ones.
fn generate(batch: usize, count: usize) -> Vec<Vec<u8>> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&batch.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = prop_oneof![1 => any_number().prop_map(String::into_bytes), 2 => any_document()].boxed();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
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
    let feeder = thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes())));
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
        any_number(),
        any_number(),
        any_string(),
    ]
}

/// Numbers in every notation, above all where printing and reading them goes wrong.
fn any_number() -> impl Strategy<Value = String> {
    let float = || {
        prop_oneof![
            // Every exponent alike: most of all doubles are far too large or too small for ordinary amounts.
            any::<u64>().prop_map(f64::from_bits),
            // Amounts and prices, and the sums of them that are no short decimals.
            (any::<i32>(), 0..9_i32).prop_map(|(digits, places)| f64::from(digits) / 10_f64.powi(places)),
            (any::<i32>(), any::<i32>()).prop_map(|(left, right)| f64::from(left) * 1e-4 + f64::from(right) * 1e-7),
            // Whole numbers around 2^53, where they stop being exact, and 1e16, where the notation changes.
            (0..60_u32, 0..64_u64).prop_map(|(shift, low)| rounded((1_u64 << shift) + low)),
            (9_999_999_999_999_900_u64..10_000_000_000_000_100).prop_map(rounded),
            // Subnormal numbers and the edge to them.
            (0..1_u64 << 53).prop_map(f64::from_bits),
        ]
        .prop_filter("has a JSON form", |float| float.is_finite())
    };
    let notation = (float(), 0..24_usize).prop_flat_map(|(float, digits)| {
        prop::sample::select(vec![
            format!("{float:e}"),
            format!("{float:?}"),
            format!("{float:.digits$e}"),
            // Enough digits to stand exactly on the double, then between it and its neighbour.
            format!("{float:.60e}"),
            format!("{:.60e}", f64::midpoint(float, float.next_up())).replace("inf", "1e999"),
            format!("{float:.1}"),
        ])
    });
    prop_oneof![
        2 => "-?(0|[1-9][0-9]{0,40})",
        // Python refuses more than 4300 digits; that difference is documented.
        1 => "-?[1-9][0-9]{200,900}",
        1 => (any::<i128>(), -2..3_i8).prop_map(|(number, by)| number.saturating_add(by.into()).to_string()),
        1 => (0..127_u32, -2..3_i128).prop_map(|(shift, by)| ((1_i128 << shift) + by).to_string()),
        3 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        1 => "-?(0|[1-9][0-9]{0,320})\\.[0-9]{1,800}([eE][+-]?[0-9]{1,5})?",
        6 => notation,
    ]
}

#[expect(clippy::cast_precision_loss, reason = "the loss is what is tested")]
fn rounded(number: u64) -> f64 {
    number as f64
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
