//! Checking `{"bundle": {…}, "signature": {…}}` of any length in little memory.
//!
//! Flota writes the members of a bundle in the order that the signature wants, so that its canonical form is what stands there
//! without the blanks between the words. A document whose members stand otherwise, as in the bot's own exports, is read whole,
//! if it is not longer than [`MAX_WHOLE`].

use std::io::{self, Read, Seek, SeekFrom};

use crate::json::Json;
use crate::secret::Secret;
use crate::signature::{Signature, Signer};

/// Longest signature object, in bytes: an algorithm, a name and 64 bytes in Base64, with room for blanks.
const MAX_SIGNATURE: usize = 4096;
/// Deepest nesting that is followed.
const MAX_DEPTH: u32 = 256;
/// Longest document that is read whole, in bytes: it is then in memory several times over.
pub const MAX_WHOLE: u64 = 16 << 20;
/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The bundle is as the owner of the key signed it.
    Valid,
    /// It is not what was signed with that key.
    Mismatch,
    /// There is no such key.
    UnknownKey,
}

/// A document that is not of that form.
#[derive(Debug, thiserror::Error)]
pub enum NotSealed {
    /// It cannot be read.
    #[error("reading it")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("it is not a bundle with a signature: {0}")]
    Form(&'static str),
}

/// Checks it with the key that `key` has for the name in the signature. Gives that name too.
pub fn check<R: Read + Seek>(
    mut document: R,
    key: impl FnOnce(Option<&str>) -> Option<Secret>,
) -> Result<(Found, Option<String>), NotSealed> {
    document.seek(SeekFrom::Start(0))?;
    let mut signature = Vec::new();
    Scanner::new(&mut document).document(&mut |_| {}, &mut signature)?;
    let signature = Json::parse(&signature).ok().and_then(|json| Signature::from_json(&json).ok());
    let signature = signature.ok_or(NotSealed::Form("its signature is malformed"))?;
    let name = signature.key_id().map(str::to_owned);
    let Some(key) = key(name.as_deref()) else { return Ok((Found::UnknownKey, name)) };
    document.seek(SeekFrom::Start(0))?;
    let mut signer = Signer::new(signature.algorithm(), &key);
    Scanner::new(&mut document).document(&mut |bytes| signer.update(bytes), &mut Vec::new())?;
    if signature.verify_streamed(signer).is_ok() || whole(&mut document, &signature, &key)? {
        return Ok((Found::Valid, name));
    }
    Ok((Found::Mismatch, name))
}

/// Whether it holds when its members are put in order first.
fn whole<R: Read + Seek>(document: &mut R, signature: &Signature, key: &Secret) -> Result<bool, NotSealed> {
    document.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    document.take(MAX_WHOLE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_WHOLE {
        return Ok(false);
    }
    let parsed = Json::parse(&text).map_err(|_| NotSealed::Form("it is not JSON"))?;
    Ok(parsed.member("bundle").is_some_and(|bundle| signature.verify(bundle, key).is_ok()))
}

/// Reads the outline of a document, byte by byte.
struct Scanner<R> {
    source: R,
    buffer: Vec<u8>,
    at: usize,
    /// Blanks that were passed over.
    blanks: u64,
}

impl<R: Read> Scanner<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), at: 0, blanks: 0 }
    }

    /// The whole document: the bundle without blanks to `bundle`, the signature to `signature`.
    fn document(&mut self, bundle: &mut dyn FnMut(&[u8]), signature: &mut Vec<u8>) -> Result<(), NotSealed> {
        self.expect(b'{', "it is no object")?;
        self.name("bundle")?;
        self.object(bundle)?;
        self.expect(b',', "there is no signature")?;
        self.name("signature")?;
        let mut too_long = false;
        self.object(&mut |bytes| {
            too_long |= signature.len().saturating_add(bytes.len()) > MAX_SIGNATURE;
            if !too_long {
                signature.extend_from_slice(bytes);
            }
        })?;
        if too_long {
            return Err(NotSealed::Form("its signature has no end"));
        }
        self.expect(b'}', "there is something after the signature")?;
        match self.word()? {
            None => Ok(()),
            Some(_) => Err(NotSealed::Form("there is something after it")),
        }
    }

    fn name(&mut self, name: &str) -> Result<(), NotSealed> {
        self.expect(b'"', "a member has no name")?;
        for byte in name.bytes().chain(*b"\"") {
            if self.next()? != Some(byte) {
                return Err(NotSealed::Form("its members are not `bundle` and `signature`, in that order"));
            }
        }
        self.expect(b':', "a member has no value")
    }

    /// An object, given on without blanks.
    fn object(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), NotSealed> {
        self.expect(b'{', "a member is no object")?;
        take(b"{");
        let (mut depth, mut kept) = (1_u32, Vec::with_capacity(BUFFER));
        let mut after_letter = false;
        while depth > 0 {
            let blanks = self.blanks;
            let byte = self.word()?.ok_or(NotSealed::Form("it ends in the middle"))?;
            let letter = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            if after_letter && letter && self.blanks != blanks {
                return Err(NotSealed::Form("there is a blank in a word"));
            }
            after_letter = letter;
            kept.push(byte);
            match byte {
                b'{' | b'[' if depth == MAX_DEPTH => return Err(NotSealed::Form("it is nested too deeply")),
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'"' => self.string(&mut kept, take)?,
                _ => {}
            }
            flush(&mut kept, take, BUFFER);
        }
        flush(&mut kept, take, 1);
        Ok(())
    }

    /// The rest of a string, its end included.
    fn string(&mut self, kept: &mut Vec<u8>, take: &mut dyn FnMut(&[u8])) -> Result<(), NotSealed> {
        loop {
            let byte = self.next()?.ok_or(NotSealed::Form("it ends in a string"))?;
            kept.push(byte);
            match byte {
                b'"' => return Ok(()),
                b'\\' => kept.push(self.next()?.ok_or(NotSealed::Form("it ends in a string"))?),
                _ => {}
            }
            flush(kept, take, BUFFER);
        }
    }

    fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), NotSealed> {
        if self.word()? == Some(byte) { Ok(()) } else { Err(NotSealed::Form(why)) }
    }

    /// The next byte that is not blank (RFC 8259 §2).
    fn word(&mut self) -> Result<Option<u8>, NotSealed> {
        loop {
            match self.next()? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.blanks = self.blanks.wrapping_add(1),
                other => return Ok(other),
            }
        }
    }

    fn next(&mut self) -> Result<Option<u8>, NotSealed> {
        if self.at == self.buffer.len() {
            self.buffer.resize(BUFFER, 0);
            let read = loop {
                match self.source.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            self.buffer.truncate(read);
            self.at = 0;
        }
        let byte = self.buffer.get(self.at).copied();
        self.at = self.at.saturating_add(usize::from(byte.is_some()));
        Ok(byte)
    }
}

/// Gives on what was kept, once there is so much of it.
fn flush(kept: &mut Vec<u8>, take: &mut dyn FnMut(&[u8]), from: usize) {
    if kept.len() >= from {
        take(kept);
        kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::signature::Algorithm;

    fn key() -> Secret {
        Secret::decode("hex:00112233445566778899aabbccddeeff", "key").unwrap()
    }

    /// As Flota writes it: for people, in order.
    fn sealed(bundle: &Json, key_id: Option<&str>) -> Vec<u8> {
        let signature = Signature::sign(bundle, &key(), Algorithm::HmacSha256, key_id);
        let document = Json::object([("bundle", bundle.clone()), ("signature", signature.to_json())]);
        let mut text = Vec::new();
        document.write_pretty(&mut text, 0).unwrap();
        text
    }

    fn checked(text: &[u8]) -> Result<Found, NotSealed> {
        check(Cursor::new(text), |_| Some(key())).map(|(found, _)| found)
    }

    #[test]
    fn what_was_signed_holds_and_what_was_changed_does_not() {
        let bundle = Json::parse(br#"{"a": [1, {"b": "x \"y\" \\ z"}], "generated_at": "now"}"#).unwrap();
        let text = sealed(&bundle, Some("ops-1"));
        assert_eq!(checked(&text).unwrap(), Found::Valid);
        let changed = String::from_utf8(text.clone()).unwrap().replace("now", "NOW");
        assert_eq!(checked(changed.as_bytes()).unwrap(), Found::Mismatch);
        let (found, name) = check(Cursor::new(&text), |_| None).unwrap();
        assert_eq!((found, name.as_deref()), (Found::UnknownKey, Some("ops-1")));
    }

    #[test]
    fn members_in_another_order_hold_too_if_the_document_is_short() {
        let bundle = Json::parse(br#"{"a": 1, "b": 2}"#).unwrap();
        let text = String::from_utf8(sealed(&bundle, None)).unwrap();
        let turned = text.replace("\"a\": 1,\n    \"b\": 2", "\"b\": 2,\n    \"a\": 1");
        assert_ne!(turned, text);
        assert_eq!(checked(turned.as_bytes()).unwrap(), Found::Valid);
    }

    /// The bot writes members in the order that it made them.
    #[test]
    fn exports_of_the_real_bot_hold() {
        let key = || Secret::decode(&format!("hex:{}", "11".repeat(32)), "key").unwrap();
        for name in ["01_plain", "02_logs", "04_missing_inputs", "09_no_key_id"] {
            let path = format!("{}/../../tests/golden/bundle/files/{name}.bundle.json", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read(&path).unwrap();
            let (found, _) = check(Cursor::new(&text), |_| Some(key())).unwrap();
            assert_eq!(found, Found::Valid, "{name}");
            assert_eq!(checked(&text).unwrap(), Found::Mismatch, "{name} under another key");
        }
    }

    #[test]
    fn what_is_something_else_is_said() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"bundle": 1, "signature": {}}"#,
            r#"{"signature": {}, "bundle": {}}"#,
            r#"{"bundle": {}, "signature": {}}"#,
            r#"{"bundle": {"a": "b}"#,
            r#"{"bundle": {"a": "\"#,
        ] {
            assert!(matches!(checked(text.as_bytes()), Err(NotSealed::Form(_))), "{text}");
        }
        let mut text = sealed(&Json::object([("a", Json::from("b"))]), None);
        text.extend_from_slice(b" {}");
        assert!(matches!(checked(&text), Err(NotSealed::Form("there is something after it"))));
        let split = r#"{"bundle": {"a": 1 2}, "signature": {}}"#;
        assert!(matches!(checked(split.as_bytes()), Err(NotSealed::Form("there is a blank in a word"))));
        let deep = format!("{{\"bundle\": {}", "{\"a\":".repeat(1000));
        assert!(matches!(checked(deep.as_bytes()), Err(NotSealed::Form("it is nested too deeply"))));
        let long = format!(r#"{{"bundle": {{}}, "signature": {{"x": "{}"}}}}"#, "y".repeat(MAX_SIGNATURE));
        assert!(matches!(checked(long.as_bytes()), Err(NotSealed::Form("its signature has no end"))));
    }

    proptest! {
        /// A changed byte never passes as what was signed: it is no document any more, or another one.
        #[test]
        fn no_changed_byte_passes(text in "[ -~]{0,40}", number: i32, at in 0_usize..400, byte: u8) {
            let bundle = Json::object([("number", Json::from(i64::from(number))), ("text", Json::from(text.as_str()))]);
            let mut document = sealed(&bundle, Some("k"));
            prop_assert_eq!(checked(&document).unwrap(), Found::Valid);
            let at = at % document.len();
            let before = Json::parse(&document).unwrap();
            document[at] = byte;
            if let Ok(Found::Valid) = checked(&document) {
                // Blanks, and the name of the key, which nothing covers.
                let after = Json::parse(&document).unwrap();
                prop_assert_eq!(after.member("bundle"), before.member("bundle"));
            }
        }
    }
}
