//! A table's name without a heap allocation: records are copied often.

use std::{fmt, ops::Deref};

use model::limits::NAME_BYTES;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// At most [`NAME_BYTES`] bytes of ASCII, as headers guarantee.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableName {
    length: u8,
    bytes: [u8; NAME_BYTES],
}

impl TableName {
    /// None when it is too long.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self {
            length: u8::try_from(name.len()).ok()?,
            bytes,
        })
    }
}

impl Deref for TableName {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)])
            .expect("a name is made from a str of that length")
    }
}

impl fmt::Debug for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <&str>::deserialize(deserializer)?;
        Self::new(name).ok_or_else(|| D::Error::custom("a table's name is too long"))
    }
}
