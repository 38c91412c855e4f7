//! Columns of text, two spaces apart, without frames: they survive copying, grep and narrow terminals.

use super::Style;
use super::signs::{Sign, Tone};
use super::text;

/// One cell: cleaned text, maybe coloured.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
    sign: Option<Sign>,
}

/// Rows under a header.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    right: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

/// Between columns.
const GAP: &str = "  ";

impl Cell {
    /// A cell that starts with a sign, in its colour.
    pub(crate) fn signed(sign: Sign, words: &str) -> Self {
        Self { text: text::clean(words), tone: Some(sign.tone()), sign: Some(sign) }
    }

    /// A coloured cell.
    pub(crate) fn toned(tone: Tone, words: &str) -> Self {
        Self { text: text::clean(words), tone: Some(tone), sign: None }
    }

    fn shown(&self, style: Style) -> String {
        match self.sign {
            Some(sign) if self.text.is_empty() => sign.glyph(style).to_owned(),
            Some(sign) => format!("{} {}", sign.glyph(style), self.text),
            None if self.text.is_empty() => style.dash().to_owned(),
            None => self.text.clone(),
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(words: T) -> Self {
        Self { text: text::clean(words.as_ref()), tone: None, sign: None }
    }
}

impl Table {
    /// A table with these headings; none: no header line.
    pub(crate) fn new<const N: usize>(header: [&'static str; N]) -> Self {
        Self { header: header.to_vec(), ..Self::default() }
    }

    /// Aligns this column, counted from zero, to the right.
    #[must_use]
    pub(crate) fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Adds a row of any length.
    pub(crate) fn row_of(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Adds a heading, for `-o wide`.
    pub(crate) fn headings(&mut self, more: &[&'static str]) {
        self.header.extend_from_slice(more);
    }

    /// All lines, each with its end. Nothing for no rows: a header above nothing says nothing.
    pub(crate) fn render(&self, style: Style) -> String {
        self.lines(style).into_iter().map(|line| line + "\n").collect()
    }

    /// All lines.
    pub(crate) fn lines(&self, style: Style) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| cell.shown(style)).collect()).collect();
        let widths = widths(&self.header, &shown);
        let mut lines = Vec::with_capacity(shown.len() + 1);
        if !self.header.is_empty() {
            let heads = self.header.iter().enumerate();
            let line = heads.map(|(column, head)| self.pad(head, column, widths.get(column).copied()));
            lines.push(style.paint(Tone::Strong, line.collect::<Vec<_>>().join(GAP).trim_end()));
        }
        for (row, texts) in self.rows.iter().zip(&shown) {
            let last = texts.len().saturating_sub(1);
            let cells = row.iter().zip(texts).enumerate().map(|(column, (cell, shown))| {
                let is_last = column == last && !self.right.contains(&column);
                let padded = if is_last { shown.clone() } else { self.pad(shown, column, widths.get(column).copied()) };
                cell.tone.map_or_else(|| padded.clone(), |tone| style.paint(tone, &padded))
            });
            lines.push(cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned());
        }
        lines
    }

    fn pad(&self, shown: &str, column: usize, width: Option<usize>) -> String {
        let missing = " ".repeat(width.unwrap_or(0).saturating_sub(text::width(shown)));
        if self.right.contains(&column) { missing + shown } else { shown.to_owned() + &missing }
    }
}

fn widths(header: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).chain([header.len()]).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| text::width(cell));
        cells.chain(header.get(column).map(|head| text::width(head))).max().unwrap_or(0)
    };
    (0..columns).map(width).collect()
}
