//! How things are said: data on stdout, talk on stderr, in the format and with the signs that the reader can take.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::failure::Failure;

pub(crate) mod json;
pub(crate) mod signs;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;

/// The shape of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people; may change at will
    #[default]
    Table,
    /// The table with more columns
    Wide,
    /// One JSON document
    Json,
    /// One JSON document a line; with --watch one an event
    Jsonl,
    /// Tab-separated with a header line; columns are fixed
    Tsv,
    /// Names or ids alone, one a line
    Name,
}

impl Format {
    /// Read by people.
    pub(crate) const fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// What a stream's reader can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// ANSI colours may be used.
    pub(crate) color: bool,
    /// Characters beyond ASCII may be used.
    pub(crate) unicode: bool,
    /// It is a terminal: footers help, and the screen can be redrawn.
    pub(crate) terminal: bool,
}

/// Whether people want to hear more than the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// What happened and what to do next.
    Normal,
    /// Errors alone.
    Quiet,
}

/// Both streams. Everything that is printed goes through here.
pub(crate) struct Out {
    data: RefCell<Box<dyn Write>>,
    talk: RefCell<Box<dyn Write>>,
    /// Of the data.
    pub(crate) style: Style,
    /// Of the talk.
    pub(crate) talk_style: Style,
    /// Of the data.
    pub(crate) format: Format,
    volume: Talk,
}

/// Many things of a kind, and how they are said in the formats for machines.
pub(crate) struct Listing<'a, T> {
    /// Kind of one of them, as in `Host`; the document's kind is `HostList`.
    pub(crate) kind: &'static str,
    /// The things.
    pub(crate) items: &'a [T],
    /// Columns of `-o tsv`; a promise.
    pub(crate) columns: &'static [&'static str],
    /// Their values.
    pub(crate) row: fn(&T) -> Vec<String>,
    /// What `-o name` prints.
    pub(crate) name: fn(&T) -> String,
}

impl Out {
    /// The process's own streams.
    pub(crate) fn process(style: Style, talk_style: Style, format: Format, volume: Talk) -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), [style, talk_style], format, volume)
    }

    /// Any two streams.
    pub(crate) fn new(
        data: Box<dyn Write>,
        talk: Box<dyn Write>,
        [style, talk_style]: [Style; 2],
        format: Format,
        volume: Talk,
    ) -> Self {
        Self { data: RefCell::new(data), talk: RefCell::new(talk), style, talk_style, format, volume }
    }

    /// Prints data, and a line end if it has none. Nothing is printed for nothing.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut data = self.data.borrow_mut();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = data.write_all(text.as_bytes()).and_then(|()| data.write_all(end.as_bytes()));
        written.and_then(|()| data.flush()).map_err(|error| Failure::of_stdout(&error))
    }

    /// Prints control sequences and frames as they are.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut data = self.data.borrow_mut();
        data.write_all(text.as_bytes()).and_then(|()| data.flush()).map_err(|error| Failure::of_stdout(&error))
    }

    /// Tells people something, unless they asked for quiet. A reader of stderr that is gone is no failure.
    pub(crate) fn talk(&self, text: &str) {
        if self.volume == Talk::Normal {
            self.complain(text);
        }
    }

    /// Tells people something in every case.
    pub(crate) fn complain(&self, text: &str) {
        let mut talk = self.talk.borrow_mut();
        let _nobody_reads =
            talk.write_all(text.as_bytes()).and_then(|()| talk.write_all(b"\n")).and_then(|()| talk.flush());
    }

    /// Shows progress in place, without a line end; nothing where it could not be redrawn.
    pub(crate) fn progress(&self, text: &str) {
        if self.volume == Talk::Normal && self.talk_style.terminal {
            let mut talk = self.talk.borrow_mut();
            let _nobody_reads = write!(talk, "\r\x1b[K{text}").and_then(|()| talk.flush());
        }
    }

    /// Prints many things; `table` makes the text for people.
    pub(crate) fn listing<T: Serialize>(
        &self,
        listing: &Listing<'_, T>,
        table: impl FnOnce(Style) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => self.data(&table(self.style)),
            Format::Json => self.data(&json::list(listing.kind, listing.items)),
            Format::Jsonl => listing.items.iter().try_for_each(|item| self.data(&json::line(listing.kind, item))),
            Format::Tsv => self.data(&tsv(listing)),
            Format::Name => listing.items.iter().try_for_each(|item| self.data(&text::clean(&(listing.name)(item)))),
        }
    }

    /// Prints one thing; `-o tsv` gives the text for people too, as one thing has no columns.
    pub(crate) fn object<T: Serialize>(
        &self,
        kind: &'static str,
        object: &T,
        name: &str,
        show: impl FnOnce(Style) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide | Format::Tsv => self.data(&show(self.style)),
            Format::Json => self.data(&json::document(kind, object)),
            Format::Jsonl => self.data(&json::line(kind, object)),
            Format::Name => self.data(&text::clean(name)),
        }
    }
}

/// Whether a person sits at both ends, so that a question can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn tsv<T>(listing: &Listing<'_, T>) -> String {
    let mut lines = vec![listing.columns.join("\t")];
    lines.extend(listing.items.iter().map(|item| {
        let cells = (listing.row)(item).into_iter().map(|cell| text::clean(&cell).replace('\t', " "));
        cells.collect::<Vec<_>>().join("\t")
    }));
    lines.join("\n")
}
