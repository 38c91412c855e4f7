//! Names inside a package: relative, inside it, and unambiguous on every file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Longest name accepted, in bytes. Linux stops at 4096 for a whole path; a package leaves room for the root it goes under.
pub const MAX_PATH_BYTES: usize = 1024;

/// Deepest nesting accepted, in components: a bound on what a walk or an unpack does for one name.
pub const MAX_PATH_DEPTH: usize = 64;

/// A name that stays inside the package: relative, `/`-separated, without `.`, `..` or empty components.
///
/// A leading `./` (as `tar c .` writes it) is dropped, so that one file has one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackagePath(String);

impl PackagePath {
    /// Checks and normalises a name.
    ///
    /// # Errors
    /// [`PathError`], one variant a rule of manual §2.
    pub fn parse(name: &str) -> Result<Self, PathError> {
        if name.contains('\0') {
            return Err(PathError::Nul);
        }
        if name.contains('\\') {
            return Err(PathError::Backslash);
        }
        if name.starts_with('/') {
            return Err(PathError::Absolute);
        }
        let bytes = name.as_bytes();
        if bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
            return Err(PathError::DriveLetter);
        }
        let mut rest = name;
        while let Some(stripped) = rest.strip_prefix("./") {
            rest = stripped;
        }
        if rest.split('/').any(|part| part == "..") {
            return Err(PathError::ParentFolder);
        }
        if rest.is_empty() || rest.split('/').any(|part| part.is_empty() || part == ".") {
            return Err(PathError::NotNormal);
        }
        if rest.len() > MAX_PATH_BYTES || rest.split('/').count() > MAX_PATH_DEPTH {
            return Err(PathError::TooLong);
        }
        Ok(Self(rest.to_owned()))
    }

    /// As [`PackagePath::parse`], from the bytes of an archive header or a folder entry.
    pub(super) fn parse_bytes(name: &[u8]) -> Result<Self, PathError> {
        Self::parse(std::str::from_utf8(name).map_err(|_| PathError::NotUtf8)?)
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders that lead to it (outermost first) and its own name.
    pub(super) fn split(&self) -> (impl Iterator<Item = &str>, &str) {
        let (folders, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        (folders.split('/').filter(|part| !part.is_empty()), name)
    }
}

impl fmt::Display for PackagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name may not be used inside a package. Whoever built the package has to rename the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Starts at the root of the file system.
    #[error("the path is absolute")]
    Absolute,
    /// Has a `..` component.
    #[error("the path has a `..` component")]
    ParentFolder,
    /// Has a backslash, which another system reads as a separator.
    #[error("the path has a backslash")]
    Backslash,
    /// Starts with a drive letter.
    #[error("the path starts with a drive letter")]
    DriveLetter,
    /// Has a NUL, where the operating system would cut it.
    #[error("the path has a NUL byte")]
    Nul,
    /// Is empty, ends with `/`, or has `.` or empty components: a second spelling of another name.
    #[error("the path is empty or has empty or `.` components")]
    NotNormal,
    /// Beyond [`MAX_PATH_BYTES`] or [`MAX_PATH_DEPTH`].
    #[error("the path is longer than {MAX_PATH_BYTES} bytes or deeper than {MAX_PATH_DEPTH} folders")]
    TooLong,
    /// Not UTF-8, so no manifest can name it.
    #[error("the path is not UTF-8")]
    NotUtf8,
}

/// Why two names cannot both be in one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// The same name twice.
    Duplicate,
    /// The same but for letter case: one file on some file systems, two on others.
    LetterCase,
    /// A file under one name, a folder under the same.
    FileAndFolder,
}

/// The file names seen so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Lower-case name to the name as given.
    files: BTreeMap<String, PackagePath>,
    /// Lower-case names of every folder that leads to a file.
    folders: BTreeSet<String>,
}

impl Names {
    /// Adds a file name, or says what it clashes with.
    pub(super) fn insert(&mut self, path: &PackagePath) -> Result<(), Clash> {
        let folded = path.as_str().to_lowercase();
        match self.files.get(&folded) {
            Some(seen) if seen == path => return Err(Clash::Duplicate),
            Some(_) => return Err(Clash::LetterCase),
            None => {}
        }
        let above = || folded.match_indices('/').map(|(at, _)| &folded[..at]);
        if self.folders.contains(&folded) || above().any(|folder| self.files.contains_key(folder)) {
            return Err(Clash::FileAndFolder);
        }
        for folder in above() {
            if !self.folders.contains(folder) {
                self.folders.insert(folder.to_owned());
            }
        }
        self.files.insert(folded, path.clone());
        Ok(())
    }

    /// Adds a folder that has a name of its own, or says what it clashes with. The same folder twice is no clash.
    pub(super) fn insert_folder(&mut self, path: &PackagePath) -> Result<(), Clash> {
        let folded = path.as_str().to_lowercase();
        let ends = || folded.match_indices('/').map(|(at, _)| at).chain([folded.len()]);
        if ends().any(|end| self.files.contains_key(&folded[..end])) {
            return Err(Clash::FileAndFolder);
        }
        for end in ends() {
            if !self.folders.contains(&folded[..end]) {
                self.folders.insert(folded[..end].to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_refuses_with_its_own_reason() {
        let cases = [
            ("/etc/passwd", PathError::Absolute),
            ("../x", PathError::ParentFolder),
            ("a/../../x", PathError::ParentFolder),
            ("a\\b", PathError::Backslash),
            ("C:x", PathError::DriveLetter),
            ("c:/x", PathError::DriveLetter),
            ("a\0b", PathError::Nul),
            ("", PathError::NotNormal),
            ("a/", PathError::NotNormal),
            ("a//b", PathError::NotNormal),
            ("a/./b", PathError::NotNormal),
            (".", PathError::NotNormal),
        ];
        for (name, expected) in cases {
            assert_eq!(PackagePath::parse(name), Err(expected), "{name:?}");
        }
        assert_eq!(PackagePath::parse(&"x".repeat(MAX_PATH_BYTES + 1)), Err(PathError::TooLong));
        assert_eq!(PackagePath::parse(&"d/".repeat(MAX_PATH_DEPTH)), Err(PathError::NotNormal));
        assert_eq!(PackagePath::parse(&format!("{}x", "d/".repeat(MAX_PATH_DEPTH))), Err(PathError::TooLong));
        assert_eq!(PackagePath::parse_bytes(b"\xff"), Err(PathError::NotUtf8));
    }

    #[test]
    fn ordinary_names_pass_and_a_leading_dot_is_dropped() {
        assert_eq!(PackagePath::parse("sub/poprawka-ż.bin").unwrap().as_str(), "sub/poprawka-ż.bin");
        assert_eq!(PackagePath::parse("./a").unwrap().as_str(), "a");
        assert_eq!(PackagePath::parse("..a/b..").unwrap().as_str(), "..a/b..");
    }

    #[test]
    fn clashes_are_told_apart() {
        let path = |name: &str| PackagePath::parse(name).unwrap();
        let mut names = Names::default();
        names.insert(&path("a/Ż")).unwrap();
        assert_eq!(names.insert(&path("a/Ż")), Err(Clash::Duplicate));
        assert_eq!(names.insert(&path("A/ż")), Err(Clash::LetterCase));
        assert_eq!(names.insert(&path("a")), Err(Clash::FileAndFolder));
        assert_eq!(names.insert(&path("a/ż/x")), Err(Clash::FileAndFolder));
        names.insert(&path("a/b")).unwrap();
        names.insert_folder(&path("a")).unwrap();
        names.insert_folder(&path("c/d")).unwrap();
        assert_eq!(names.insert_folder(&path("A/B/x")), Err(Clash::FileAndFolder));
        assert_eq!(names.insert(&path("C")), Err(Clash::FileAndFolder));
    }
}
