//! Signs and colours. A sign never stands without words, and a colour never without a sign.

use clap::builder::styling::{AnsiColor, Style as Ansi};

use super::Style;

/// What a state means to the person who looks. Ordered by how much it needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sign {
    /// It failed.
    Failed,
    /// It will need someone.
    Warning,
    /// No word from it.
    Silent,
    /// Something happens.
    Working,
    /// Something will happen.
    Waiting,
    /// Someone stopped it.
    Paused,
    /// As it should be.
    Ok,
    /// Left out.
    Skipped,
}

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Green.
    Good,
    /// Red.
    Bad,
    /// Yellow.
    Warn,
    /// Cyan.
    Busy,
    /// Faint.
    Dim,
    /// Bold.
    Strong,
}

impl Sign {
    /// One column wide.
    pub(crate) const fn glyph(self, style: Style) -> &'static str {
        match (self, style.unicode) {
            (Self::Ok, true) => "✓",
            (Self::Ok, false) => "+",
            (Self::Failed, true) => "✗",
            (Self::Failed, false) => "x",
            (Self::Warning, _) => "!",
            (Self::Working, true) => "◌",
            (Self::Working, false) => "o",
            (Self::Waiting, true) => "◷",
            (Self::Waiting, false) => ".",
            (Self::Paused, true) => "‖",
            (Self::Paused, false) => "=",
            (Self::Silent, _) => "?",
            (Self::Skipped, true) => "–",
            (Self::Skipped, false) => "-",
        }
    }

    /// Its colour.
    pub(crate) const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Failed => Tone::Bad,
            Self::Warning | Self::Paused | Self::Silent => Tone::Warn,
            Self::Working => Tone::Busy,
            Self::Waiting | Self::Skipped => Tone::Dim,
        }
    }

    /// The word for counts: `37 ok`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Silent => "silent",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Ok => "ok",
            Self::Skipped => "skipped",
        }
    }
}

impl Style {
    /// `text` in the colour of `tone`.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let ansi = match tone {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Busy => AnsiColor::Cyan.on_default(),
            Tone::Dim => Ansi::new().dimmed(),
            Tone::Strong => Ansi::new().bold(),
        };
        format!("{ansi}{text}{ansi:#}")
    }

    /// A sign with its words, coloured.
    pub(crate) fn say(self, sign: Sign, words: &str) -> String {
        self.paint(sign.tone(), &format!("{} {words}", sign.glyph(self)))
    }

    /// A consequence, in the list before a question.
    pub(crate) fn point(self, words: &str) -> String {
        format!("  {} {words}", self.dot().trim())
    }

    /// A consequence that must not be missed.
    pub(crate) fn alarm(self, words: &str) -> String {
        format!("  {}", self.say(Sign::Warning, words))
    }

    /// Between two facts.
    pub(crate) const fn dot(self) -> &'static str {
        if self.unicode { " · " } else { " - " }
    }

    /// From one state to the next.
    pub(crate) const fn arrow(self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// There is more.
    pub(crate) const fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// There is nothing.
    pub(crate) const fn dash(self) -> &'static str {
        if self.unicode { "–" } else { "-" }
    }
}
