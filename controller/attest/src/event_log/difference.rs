//! Where two boots part.

use std::fmt;

use super::{Event, EventLog, describe, text};

/// The first event in which two logs of a PCR differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The PCR.
    pub pcr: u8,
    /// The place among the events of this PCR, from 1.
    pub number: usize,
    /// What was expected there; none if the reference ends before it.
    pub reference: Option<&'a Event>,
    /// What was measured there; none if the log ends before it.
    pub actual: Option<&'a Event>,
}

/// The first event of a PCR whose digest is not that of the reference; none if the logs agree in this PCR. What later
/// events differ in follows from nothing: they are compared no further.
///
/// The event that tells the startup locality counts in PCR 0, because the PCR starts with it.
pub fn first_difference<'a>(reference: &'a EventLog, actual: &'a EventLog, pcr: u8) -> Option<Difference<'a>> {
    let (mut expected, mut measured) = (of_pcr(reference, pcr), of_pcr(actual, pcr));
    for number in 1.. {
        match (expected.next(), measured.next()) {
            (None, None) => break,
            (Some(reference), Some(actual)) if same(reference, actual) => {}
            (reference, actual) => return Some(Difference { pcr, number, reference, actual }),
        }
    }
    None
}

fn of_pcr(log: &EventLog, pcr: u8) -> impl Iterator<Item = &Event> {
    let startup = log.startup.filter(|startup| pcr == 0 && startup.locality != 0).map(|startup| startup.event);
    log.events.iter().filter(move |event| event.pcr == pcr && (event.is_extended() || startup == Some(event.number)))
}

fn same(reference: &Event, actual: &Event) -> bool {
    match (reference.is_extended(), actual.is_extended()) {
        (true, true) => reference.sha256 == actual.sha256,
        (false, false) => reference.data == actual.data,
        _ => false,
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pcr, number, reference, actual } = self;
        write!(f, "PCR {pcr}, event {number} of it: expected {}, measured {}", Shown(*reference), Shown(*actual))
    }
}

struct Shown<'a>(Option<&'a Event>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("nothing more"),
            Some(event) if event.is_extended() => write!(f, "{} ({})", describe(event), text::short(&event.sha256)),
            Some(event) => f.write_str(&describe(event)),
        }
    }
}
