//! PCR values in documents: an object of hexadecimal digests, which people can read and compare.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(pcrs: &BTreeMap<u8, [u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pcrs.iter().map(|(index, digest)| (index, hex::encode(digest))))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u8, [u8; 32]>, D::Error> {
    BTreeMap::<u8, String>::deserialize(deserializer)?
        .into_iter()
        .map(|(index, text)| {
            let mut digest = [0; 32];
            hex::decode_to_slice(&text, &mut digest)
                .map_err(|error| D::Error::custom(format_args!("PCR {index} is no SHA-256 digest: {error}")))?;
            Ok((index, digest))
        })
        .collect()
}
