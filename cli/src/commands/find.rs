//! One of many by its id, or by the beginning of it.

use crate::exit::Exit;
use crate::failure::Failure;

/// Most candidates that an ambiguous beginning is answered with.
const CANDIDATES: usize = 5;

/// What is looked for.
pub(crate) struct Kind<T> {
    /// As in `there is no export`.
    pub(crate) noun: &'static str,
    /// The command that lists them.
    pub(crate) list: &'static str,
    /// The id.
    pub(crate) id: fn(&T) -> &str,
    /// A line that tells it from the others.
    pub(crate) line: fn(&T) -> String,
}

impl<T> Kind<T> {
    /// The one with this id, or the only one whose id begins so.
    pub(crate) fn find(&self, items: Vec<T>, text: &str) -> Result<T, Failure> {
        let mut found: Vec<T> = items.into_iter().filter(|item| (self.id)(item).starts_with(text)).collect();
        match (found.len(), found.iter().position(|item| (self.id)(item) == text)) {
            (_, Some(exact)) => Ok(found.swap_remove(exact)),
            (1, None) => Ok(found.swap_remove(0)),
            (0, None) => {
                Err(Failure::new(Exit::NotFound, format!("there is no {} `{text}`", self.noun)).fix(self.list))
            }
            (number, None) => {
                let sentence = format!("`{text}` is the beginning of {number} {}s", self.noun);
                let failure = Failure::new(Exit::Usage, sentence);
                Err(found.iter().take(CANDIDATES).fold(failure, |failure, item| failure.detail((self.line)(item))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PLAIN;

    const WORDS: Kind<String> =
        Kind { noun: "word", list: "flota word list", id: |word| word, line: |word| format!("the word {word}") };

    #[test]
    fn a_beginning_must_be_of_one_alone() {
        let find = |text: &str| WORDS.find(["ab", "abc", "xyz"].map(String::from).to_vec(), text);
        assert_eq!(find("x").unwrap(), "xyz");
        assert_eq!(find("ab").unwrap(), "ab", "the exact one, though it begins another");
        let ambiguous = find("a").unwrap_err();
        assert_eq!(ambiguous.exit(), Exit::Usage);
        assert!(ambiguous.render(PLAIN).unwrap().contains("the word abc"));
        assert_eq!(find("q").unwrap_err().exit(), Exit::NotFound);
    }
}
