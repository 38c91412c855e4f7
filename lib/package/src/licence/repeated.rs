//! Names that occur twice in one JSON object.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The first name that an object of this document has twice, at any depth.
///
/// Python takes the last of two, others the first: a file that decides whom to trust must not depend on the reader. A text
/// that is not strict JSON has no answer here; its own parser says what is wrong with it.
pub fn repeated_name(text: &[u8]) -> Option<String> {
    let mut found = None;
    let mut document = serde_json::Deserializer::from_slice(text);
    // The walk ends with an error once a name is found, and that is all the error says.
    let _ = Walk(&mut found).deserialize(&mut document);
    found
}

struct Walk<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if let Some(name) = names.replace(name) {
                *self.0 = Some(name);
                return Err(A::Error::custom("repeated"));
            }
            members.next_value_seed(Walk(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_twice_in_one_object_is_found_at_any_depth() {
        let of = |text: &str| repeated_name(text.as_bytes());
        assert_eq!(of(r#"{"a":1,"b":{"a":true,"c":[null,1.5,-1,"x"]}}"#), None);
        assert_eq!(of(r#"{"a":1,"b":[{"k":1,"k":1}]}"#).as_deref(), Some("k"));
        assert_eq!(of(r#"{"a":1,"\u0061":2}"#).as_deref(), Some("a"));
        assert_eq!(of("{"), None);
    }
}
