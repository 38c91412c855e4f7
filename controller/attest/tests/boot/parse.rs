//! What is a log, byte by byte.

use flota_attest::event_log::{
    EventKind, EventLog, EventLogError as E, MAX_EVENT_DATA_BYTES, MAX_EVENTS, MAX_LOG_BYTES,
};

use crate::built::{Log, SHA1, SHA256, SHA384, debian, header, header_of};

fn error(bytes: &[u8]) -> E {
    EventLog::parse(bytes).unwrap_err()
}

#[test]
fn a_log_is_read_as_it_was_written() {
    let built = debian();
    let log = built.parse();
    assert_eq!(log.events().len(), built.events.len());
    for (number, (event, built)) in (1..).zip(log.events().iter().zip(&built.events)) {
        assert_eq!((event.number(), u32::from(event.pcr()), event.kind()), (number, built.pcr, built.kind));
        assert_eq!(*event.sha256(), built.digest);
        assert!(event.measured_data().is_none_or(|data| data == built.data));
    }
}

#[test]
fn digests_of_other_banks_are_skipped_and_may_come_in_any_order() {
    for algorithms in [vec![(SHA256, 32)], vec![(SHA384, 48), (SHA256, 32), (SHA1, 20)], vec![(SHA256, 32), (18, 32)]] {
        let built = Log { algorithms, ..debian() };
        assert_eq!(built.parse(), debian().parse());
    }
    // Hyper-V: the header says SHA-1 first, the events have SHA-256 first.
    let mut turned = header(&[(SHA1, 20), (SHA256, 32)]);
    let events = Log { algorithms: vec![(SHA256, 32), (SHA1, 20)], ..debian() }.bytes();
    turned.extend(&events[turned.len()..]);
    assert_eq!(EventLog::parse(&turned).unwrap(), debian().parse());
}

#[test]
fn a_log_without_events_is_one_and_no_bytes_are_none() {
    assert!(Log::empty().parse().events().is_empty());
    assert_eq!(error(&[]), E::Truncated { event: 0, field: "pcrIndex" });
}

#[test]
fn the_format_with_sha1_only_is_refused_for_what_it_is() {
    let old = header_of(b"Spec ID Event02\0\0\0\0\0\x02\x01\x02\x02\0");
    assert_eq!(error(&old), E::OldFormat);
    assert_eq!(error(&header(&[(SHA1, 20)])), E::NoSha256);
    assert_eq!((E::OldFormat.code(), E::NoSha256.code()), ("log_sha1_only", "log_sha1_only"));
    assert_eq!(error(&header_of(b"StartupLocality\0\x03")), E::NoSpecId);
    let mut no_header = header_of(b"Spec ID Event03\0");
    no_header[4] = 8;
    assert_eq!(error(&no_header), E::NoSpecId);
}

#[test]
fn every_field_of_the_header_is_looked_at() {
    let good = b"Spec ID Event03\0\x01\0\0\0\0\x02\x69\x02\x01\0\0\0\x0b\0\x20\0\x03abc";
    assert!(EventLog::parse(&header_of(good)).is_ok());
    let lies: &[(usize, u8, E)] = &[
        (16, 2, E::Header { field: "platformClass" }),
        (20, 1, E::Header { field: "specVersion" }),
        (21, 1, E::Header { field: "specVersion" }),
        (23, 0, E::Header { field: "uintnSize" }),
        (24, 0, E::Header { field: "numberOfAlgorithms" }),
        (24, 9, E::Header { field: "numberOfAlgorithms" }),
        (27, 0xff, E::Header { field: "numberOfAlgorithms" }),
        (24, 2, E::Algorithm { id: 0x6103 }),
        (28, 0x0a, E::Algorithm { id: 0x000a }),
        (30, 0x30, E::Algorithm { id: 0x000b }),
        (32, 2, E::Header { field: "vendorInfo" }),
        (32, 4, E::Header { field: "vendorInfo" }),
    ];
    for (at, byte, expected) in lies {
        let mut lie = good.to_vec();
        lie[*at] = *byte;
        assert_eq!(error(&header_of(&lie)), *expected, "byte {at} is {byte:#x}");
    }
    assert_eq!(error(&header(&[(SHA256, 32), (SHA256, 32)])), E::Algorithm { id: SHA256 });
    for len in 0..good.len() {
        assert!(EventLog::parse(&header_of(&good[..len])).is_err(), "{len} bytes of it");
    }
}

#[test]
fn a_log_that_ends_too_early_is_refused_wherever_it_ends() {
    let bytes = debian().bytes();
    let first = header(&[(SHA1, 20), (SHA256, 32)]).len();
    let mut whole = vec![first];
    let mut log = Log::empty();
    for event in debian().events {
        log.events.push(event);
        whole.push(log.bytes().len());
    }
    for len in 0..bytes.len() {
        // Cut between two events it is another log, which does not replay; cut so that only zeros follow, likewise.
        let rest_is_padding = whole.iter().any(|end| *end <= len && bytes[*end..len].iter().all(|byte| *byte == 0));
        assert_eq!(EventLog::parse(&bytes[..len]).is_ok(), rest_is_padding, "{len} bytes of it");
    }
}

#[test]
fn behind_the_last_event_only_unused_buffer_is_accepted() {
    let bytes = debian().bytes();
    for padding in [&[0; 1][..], &[0; 4096], &[0xff; 3], &[0xff; 4096]] {
        assert_eq!(EventLog::parse(&[&bytes, padding].concat()).unwrap(), debian().parse());
    }
    for rest in [&[1][..], &[0, 0, 0, 0, 0, 0, 0, 1], &[0xff, 0xff, 0], &[0, 0xff]] {
        assert!(EventLog::parse(&[&bytes, rest].concat()).is_err(), "{rest:?}");
    }
    let hidden = [&bytes[..], &[0; 64], &debian().bytes()].concat();
    assert!(EventLog::parse(&hidden).is_err());
}

#[test]
fn an_event_has_one_digest_of_each_algorithm() {
    let digests = |list: &[(u16, usize)]| {
        let mut event = [&[4, 0, 0, 0, 4, 0, 0, 0][..], &u32::try_from(list.len()).unwrap().to_le_bytes()].concat();
        for (id, size) in list {
            event.extend(id.to_le_bytes());
            event.extend(vec![1; *size]);
        }
        event.extend([0; 4]);
        EventLog::parse(&[header(&[(SHA1, 20), (SHA256, 32)]), event].concat())
    };
    assert!(digests(&[(SHA1, 20), (SHA256, 32)]).is_ok());
    let lists: [&[(u16, usize)]; 6] = [
        &[],
        &[(SHA256, 32)],
        &[(SHA1, 20), (SHA1, 20)],
        &[(SHA256, 32), (SHA256, 32)],
        &[(SHA1, 20), (SHA384, 48)],
        &[(SHA1, 20), (SHA256, 32), (SHA256, 32)],
    ];
    for list in lists {
        assert_eq!(digests(list).unwrap_err(), E::Digests { event: 1 }, "{list:?}");
    }
}

#[test]
fn only_pcrs_that_a_tpm_has() {
    for (index, there) in [(0, true), (23, true), (24, false), (256, false), (0xffff_fffe, false)] {
        let mut log = Log::empty();
        log.hashed(index, EventKind::NO_ACTION, "x");
        let parsed = EventLog::parse(&log.bytes());
        assert_eq!(parsed.is_ok(), there, "{index}");
        assert!(there || parsed == Err(E::NoSuchPcr { event: 1, index }));
    }
}

#[test]
fn case_63_huge_and_empty_events_and_many_of_them() {
    let log = |len: u32| {
        let mut bytes = debian().bytes();
        let events = [&[4, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0][..], &[4, 0], &[1; 20], &[11, 0], &[1; 32]].concat();
        bytes.extend(events);
        bytes.extend(len.to_le_bytes());
        bytes
    };
    let number = u32::try_from(debian().events.len()).unwrap() + 1;
    for len in [u32::MAX, u32::MAX - 3, 1 << 31, 1 << 20] {
        assert_eq!(error(&log(len)), E::DataTooLong { event: number, len });
    }
    assert_eq!(error(&log(1)), E::Truncated { event: number, field: "event" });
    assert!(EventLog::parse(&log(0)).is_ok());
    let mut huge_header = header(&[(SHA256, 32)]);
    huge_header[28..32].fill(0xff);
    assert_eq!(error(&huge_header), E::DataTooLong { event: 0, len: u32::MAX });

    let mut largest = Log::empty();
    largest.hashed(9, EventKind::IPL, vec![7; MAX_EVENT_DATA_BYTES]);
    assert!(EventLog::parse(&largest.bytes()).is_ok());
    let too_large = [Log::empty().bytes(), vec![0; MAX_LOG_BYTES]].concat();
    assert_eq!(error(&too_large), E::TooLarge { len: too_large.len() });
    assert_eq!(E::TooLarge { len: 0 }.code(), "log_too_large");

    // Nothing nests in a log: thousands of events, each without data, are read one after the other.
    let mut many = Log { algorithms: vec![(SHA256, 32)], events: Vec::new() };
    for number in 0..MAX_EVENTS {
        many.hashed(number % 24, EventKind::from_number(number), "");
    }
    assert_eq!(many.parse().events().len(), MAX_EVENTS as usize);
    many.hashed(0, EventKind::SEPARATOR, "");
    assert_eq!(error(&many.bytes()), E::TooManyEvents);
}
