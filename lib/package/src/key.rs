//! Keys as flags and variables give them: the key itself, or the path of a file that holds it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_seal::secret::{Secret, SecretError};
use zeroize::Zeroizing;

/// Bytes that a key file may have. An HMAC key needs 64 at most; a file beyond this is not a key but a wrong path.
const MAX_KEY_FILE_LEN: u64 = 64 << 10;

/// Why there is no key. Neither the value nor the contents of the file are ever repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The value, or what the file holds, is not a key.
    #[error(transparent)]
    Malformed(#[from] SecretError),
    /// The value is the path of a file that cannot be read.
    #[error("cannot read the key file '{}' that {origin} names: let this user read it", path.display())]
    Unreadable {
        /// The flag or variable.
        origin: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The value is the path of a file that is too long or not text.
    #[error(
        "the file '{}' that {origin} names is not a key file: write the key as text, hex:… or base64:…, \
         in at most {MAX_KEY_FILE_LEN} bytes",
        path.display()
    )]
    NotAKeyFile {
        /// The flag or variable.
        origin: String,
        /// The file.
        path: PathBuf,
    },
}

/// Reads the key that `value` is or names; `origin` is the flag or variable, for errors.
///
/// A value that is the path of an existing file names one; anything else is the key (see [`Secret::decode`]).
pub fn load(value: &str, origin: &str) -> Result<Secret, KeyError> {
    let path = Path::new(value.trim());
    if !path.is_file() {
        return Ok(Secret::decode(value, origin)?);
    }
    let unreadable = |source| KeyError::Unreadable { origin: origin.to_owned(), path: path.to_owned(), source };
    let not_a_key_file = || KeyError::NotAKeyFile { origin: origin.to_owned(), path: path.to_owned() };

    let file = File::open(path).map_err(unreadable)?;
    // Room for everything from the start: a buffer that grows leaves copies of the key behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(64 << 10 | 1));
    file.take(MAX_KEY_FILE_LEN + 1).read_to_end(&mut contents).map_err(unreadable)?;
    if contents.len() as u64 > MAX_KEY_FILE_LEN {
        return Err(not_a_key_file());
    }
    let text = std::str::from_utf8(&contents).map_err(|_| not_a_key_file())?;
    Ok(Secret::decode(text, &format!("{origin} ({})", path.display()))?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn error(value: &str) -> KeyError {
        load(value, "BOT_KEY").map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_value_is_a_key_or_the_path_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        fs::write(&path, "hex:00ff\n").unwrap();
        assert_eq!(load(path.to_str().unwrap(), "BOT_KEY").unwrap().expose(), [0x00, 0xff]);
        assert_eq!(load("hex:41", "BOT_KEY").unwrap().expose(), b"A");
        assert_eq!(load("/no/such/file", "BOT_KEY").unwrap().expose(), b"/no/such/file");
        assert_eq!(load(folder.path().to_str().unwrap(), "BOT_KEY").unwrap().expose().first(), Some(&b'/'));
    }

    #[test]
    fn errors_name_the_origin_and_the_file_and_never_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        let too_long = vec![b'7'; 65537];
        for (contents, malformed) in [("hex:5ecre7".as_bytes(), true), (b"\xff5ecre7", false), (&too_long, false)] {
            fs::write(&path, contents).unwrap();
            let error = error(path.to_str().unwrap());
            assert_eq!(matches!(error, KeyError::Malformed(_)), malformed, "{error}");
            let text = error.to_string();
            assert!(text.contains("BOT_KEY") && text.contains("audit.key") && !text.contains("5ecre7"), "{text}");
        }
        assert!(matches!(error(""), KeyError::Malformed(SecretError::Empty { .. })));
    }
}
