//! Signatures as 64 bytes without a length: for serde, which knows arrays up to 32.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

type Halves = ([u8; 32], [u8; 32]);

pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&bytes[..32]);
    second.copy_from_slice(&bytes[32..]);
    (first, second).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; 64], D::Error> {
    let (first, second) = Halves::deserialize(deserializer)?;
    [first, second]
        .concat()
        .try_into()
        .map_err(|_| D::Error::custom("a signature has 64 bytes"))
}
