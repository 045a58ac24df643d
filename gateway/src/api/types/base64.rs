//! Bytes in JSON: base64 with padding (RFC 4648 §4).

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&BASE64.encode(bytes))
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let bytes = BASE64.decode(text.as_bytes());
    bytes.map_err(|_| D::Error::custom("expected base64 with padding (RFC 4648 §4)"))
}
