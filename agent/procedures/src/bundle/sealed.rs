//! Writing and signing in one pass.

use std::io::{self, BufWriter, Write};

use flota_seal::json::Json;
use flota_seal::signature::{Signature, Signer};

/// Levels that the bundle itself is indented, as a member of the document.
const BUNDLE_DEPTH: usize = 1;

/// Bytes of canonical JSON gathered for the MAC, which takes one long piece faster than many short ones. The whole form
/// of a long value would take several times the value's memory.
const MAC_BUFFER_LEN: usize = 8 << 10;

/// Writes `{"bundle": {…}, "signature": …}` for people while the canonical form of the bundle goes into the signature.
///
/// Members must come in code-point order of their names: the canonical form has them so, and nothing is written twice.
pub(super) struct SealedWriter<W> {
    out: W,
    signer: Signer,
    /// The containers that are open, from the bundle inwards.
    open: Vec<Container>,
}

struct Container {
    end: &'static str,
    is_empty: bool,
    /// The name of the last member, to hold callers to their order.
    last: String,
}

impl<W: Write> SealedWriter<W> {
    pub(super) fn begin(mut out: W, signer: Signer) -> io::Result<Self> {
        out.write_all(b"{\n  \"bundle\": ")?;
        let mut sealed = Self { out, signer, open: Vec::new() };
        sealed.open("{", "}")?;
        Ok(sealed)
    }

    /// A whole member of the object that is open.
    pub(super) fn member(&mut self, name: &str, value: &Json) -> io::Result<()> {
        self.name(name)?;
        self.value(value)
    }

    /// A whole item of the array that is open.
    pub(super) fn item(&mut self, value: &Json) -> io::Result<()> {
        self.separate()?;
        self.value(value)
    }

    /// Opens a member that is an object.
    pub(super) fn begin_object(&mut self, name: &str) -> io::Result<()> {
        self.name(name)?;
        self.open("{", "}")
    }

    /// Opens a member that is an array.
    pub(super) fn begin_array(&mut self, name: &str) -> io::Result<()> {
        self.name(name)?;
        self.open("[", "]")
    }

    /// Closes what was opened last.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let Some(container) = self.open.pop() else { return Ok(()) };
        self.signer.update(container.end.as_bytes());
        if !container.is_empty {
            self.break_line()?;
        }
        self.out.write_all(container.end.as_bytes())
    }

    /// Closes what is open, the bundle last, and adds the signature.
    pub(super) fn finish(mut self, key_id: Option<&str>) -> io::Result<(W, Signature)> {
        while !self.open.is_empty() {
            self.end()?;
        }
        let signature = self.signer.finish(key_id);
        self.out.write_all(b",\n  \"signature\": ")?;
        signature.to_json().write_pretty(&mut self.out, BUNDLE_DEPTH)?;
        self.out.write_all(b"\n}")?;
        Ok((self.out, signature))
    }

    fn open(&mut self, begin: &'static str, end: &'static str) -> io::Result<()> {
        self.signer.update(begin.as_bytes());
        self.open.push(Container { end, is_empty: true, last: String::new() });
        self.out.write_all(begin.as_bytes())
    }

    fn name(&mut self, name: &str) -> io::Result<()> {
        if let Some(container) = self.open.last_mut() {
            debug_assert!(container.is_empty || container.last.as_str() < name, "{name} comes too late");
            name.clone_into(&mut container.last);
        }
        self.separate()?;
        let name = Json::from(name).canonical();
        self.signer.update(&name);
        self.signer.update(b":");
        self.out.write_all(&name)?;
        self.out.write_all(b": ")
    }

    fn value(&mut self, value: &Json) -> io::Result<()> {
        let mut mac = BufWriter::with_capacity(MAC_BUFFER_LEN, &mut self.signer);
        value.write_canonical(&mut mac)?;
        mac.flush()?;
        drop(mac);
        let depth = self.depth();
        value.write_pretty(&mut self.out, depth)
    }

    fn separate(&mut self) -> io::Result<()> {
        let first = self.open.last_mut().is_none_or(|container| std::mem::replace(&mut container.is_empty, false));
        if !first {
            self.signer.update(b",");
            self.out.write_all(b",")?;
        }
        self.break_line()
    }

    /// Levels that a member or an item of the innermost container is indented.
    fn depth(&self) -> usize {
        BUNDLE_DEPTH + self.open.len()
    }

    fn break_line(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")?;
        (0..self.depth()).try_for_each(|_| self.out.write_all(b"  "))
    }
}
