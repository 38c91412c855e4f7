use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Json, JsonProblem> {
    Json::parse(text.as_bytes()).map_err(|e| e.problem())
}

fn canonical(text: &str) -> String {
    String::from_utf8(parse(text).unwrap().canonical()).unwrap()
}

#[test]
fn integers_keep_every_digit() {
    let digits = "9".repeat(10_000);
    assert_eq!(canonical(&digits), digits);
    assert_eq!(canonical("[-0,0,18446744073709551616]"), "[0,0,18446744073709551616]");
    assert_eq!(parse("18446744073709551615").unwrap().as_u64(), Some(u64::MAX));
    assert_eq!(parse("18446744073709551616").unwrap().as_u64(), None);
    assert_eq!(parse("-9223372036854775808").unwrap().as_i64(), Some(i64::MIN));
    assert_eq!(parse("1.0").unwrap().as_u64(), None);
    assert_eq!(parse("12").unwrap().as_f64(), Some(12.0));
}

#[test]
fn floats_print_as_pythons_repr() {
    for (value, repr) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-10.5, "-10.5"),
        (0.0001, "0.0001"),
        (0.000_015, "1.5e-05"),
        (1e-7, "1e-07"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e100, "1.5e+100"),
        (5e-324, "5e-324"),
        (123_456_789.0, "123456789.0"),
        (2_726_664_409_079_813.0 / 4.0, "681666102269953.2"),
        (-2_726_664_409_079_815.0 / 4.0, "-681666102269953.8"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(Json::from(value).canonical(), repr.as_bytes());
    }
}

#[test]
fn of_members_that_share_a_name_the_last_wins() {
    assert_eq!(canonical(r#"{"b":1,"a":{"x":1},"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
}

#[test]
fn everything_that_python_refuses_is_refused() {
    use JsonProblem as P;
    for (text, problem) in [
        ("", P::ValueExpected),
        ("  ", P::ValueExpected),
        ("\u{feff}{}", P::ByteOrderMark),
        ("[1,]", P::ValueExpected),
        ("[,1]", P::ValueExpected),
        ("[1 2]", P::SeparatorExpected),
        ("[1}", P::SeparatorExpected),
        ("{\"a\":1]", P::SeparatorExpected),
        ("[", P::ValueExpected),
        ("{", P::NameExpected),
        ("{1:2}", P::NameExpected),
        ("{\"a\":1,}", P::NameExpected),
        ("{\"a\" 1}", P::ColonExpected),
        ("01", P::TrailingData),
        ("1.", P::TrailingData),
        ("1e", P::TrailingData),
        ("1e+", P::TrailingData),
        (".5", P::ValueExpected),
        ("+1", P::ValueExpected),
        ("-", P::ValueExpected),
        ("-NaN", P::ValueExpected),
        ("nan", P::ValueExpected),
        ("nulll", P::TrailingData),
        ("\"a", P::UnterminatedString),
        ("\"a\\", P::UnknownEscape),
        ("\"\\x41\"", P::UnknownEscape),
        ("\"\\u12\"", P::UnknownEscape),
        ("\"\\u12g4\"", P::UnknownEscape),
        ("\"\\u+123\"", P::UnknownEscape),
        ("\"a\nb\"", P::ControlCharacter),
        ("\"\\ud83d\"", P::LoneSurrogate),
        ("\"\\ud83d\\u0041\"", P::LoneSurrogate),
        ("\"\\ud83dx\\ude00\"", P::LoneSurrogate),
        ("\"\\ude00\\ud83d\"", P::LoneSurrogate),
        ("[1,\u{b}2]", P::ValueExpected),
    ] {
        assert_eq!(parse(text), Err(problem), "{text:?}");
    }
    assert_eq!(Json::parse(b"\"\xff\"").unwrap_err().problem(), P::NotUtf8);
}

#[test]
fn errors_name_the_place_and_never_quote_the_text() {
    let error = Json::parse("{\n \"żółw\": secret\n}".as_bytes()).unwrap_err();
    assert_eq!((error.offset(), error.line()), (14, 2));
    assert_eq!(error.to_string(), "value expected at line 2 (byte 14)");
}

#[test]
fn nesting_stops_at_the_limit_on_a_worker_threads_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let deepest = parse(&nested(MAX_DEPTH)).unwrap();
        assert_eq!(deepest.clone(), deepest);
        assert_eq!(deepest.canonical(), nested(MAX_DEPTH).into_bytes());
        assert!(deepest.pretty().lines().count() >= MAX_DEPTH);
        assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(JsonProblem::TooDeep));
        assert_eq!(parse(&"[".repeat(1 << 20)), Err(JsonProblem::TooDeep));
        assert_eq!(parse(&"{\"a\":".repeat(1 << 18)), Err(JsonProblem::TooDeep));
    });
    worker.unwrap().join().unwrap();
}

#[test]
fn the_form_for_people_is_pythons() {
    let document = parse(r#"{"b":[],"a":[1,{"ż":{}, "x":"\u0001\n"}],"c":1e22}"#).unwrap();
    let expected = "{\n  \"a\": [\n    1,\n    {\n      \"x\": \"\\u0001\\n\",\n      \"ż\": {}\n    }\n  ],\n  \
                    \"b\": [],\n  \"c\": 1e+22\n}";
    assert_eq!(document.pretty(), expected);

    let mut nested = Vec::new();
    document.member("a").unwrap().write_pretty(&mut nested, 1).unwrap();
    assert!(expected.contains(std::str::from_utf8(&nested).unwrap()));
}

#[test]
fn members_and_conversions() {
    let document = Json::object([
        ("text", "x".into()),
        ("yes", true.into()),
        ("count", 3_usize.into()),
        ("none", None::<bool>.into()),
        ("list", vec![1.into(), 2.5.into()].into()),
    ]);
    assert_eq!(document.canonical(), br#"{"count":3,"list":[1,2.5],"none":null,"text":"x","yes":true}"#);
    assert_eq!(document.member("text").and_then(Json::as_str), Some("x"));
    assert_eq!(document.member("yes").and_then(Json::as_bool), Some(true));
    assert_eq!(document.member("list").and_then(Json::as_array).map(<[Json]>::len), Some(2));
    assert_eq!(document.member("absent"), None);
    assert_eq!(Json::Null.member("text"), None);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "-?[1-9][0-9]{20,60}".prop_map(|digits| Json::Integer(Integer::from_token(&digits))),
        any::<f64>().prop_filter("NaN is unequal to itself", |f| !f.is_nan()).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(Json::from),
        ]
    })
}

proptest! {
    #[test]
    fn both_forms_read_back_as_the_same_document(document in any_json()) {
        prop_assert_eq!(Json::parse(&document.canonical()), Ok(document.clone()));
        prop_assert_eq!(Json::parse(document.pretty().as_bytes()), Ok(document));
    }

    #[test]
    fn what_is_written_in_pieces_is_what_is_written_at_once(document in any_json()) {
        let mut pieces = Vec::new();
        document.write_canonical(&mut pieces)?;
        prop_assert_eq!(pieces, document.canonical());
        let mut pieces = Vec::new();
        document.write_pretty(&mut pieces, 0)?;
        prop_assert_eq!(pieces, document.pretty().into_bytes());
    }

    #[test]
    fn no_input_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:\\\\u0-9eE.+dDNaI \\-]{0,40}") {
        let _ = Json::parse(&bytes);
        if let Ok(document) = Json::parse(text.as_bytes()) {
            prop_assert_eq!(Json::parse(&document.canonical()).map(|again| again.canonical()), Ok(document.canonical()));
        }
    }
}
