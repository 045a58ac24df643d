//! Byte sizes in the file: a number, or a text such as `"32 MiB"`.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use thiserror::Error;

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no size; write bytes or a whole number with a unit, as in `32 MiB` or `50 GB`")]
pub struct SizeError(String);

/// Reads `1000`, `32 MiB`, `50GB`; letters may be of either case.
///
/// # Errors
/// When it is neither, or beyond 64 bits.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let refuse = || SizeError(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let factor = match unit.trim() {
        "" => 1,
        unit => {
            UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .ok_or_else(refuse)?
                .1
        }
    };
    number.checked_mul(factor).ok_or_else(refuse)
}

pub(super) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(*bytes)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a number of bytes, or a text such as \"32 MiB\""
    )]
    enum Written {
        Bytes(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Bytes(bytes) => Ok(bytes),
        Written::Text(text) => parse_size(&text).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1_000),
            ("32 MiB", 32 << 20),
            ("50GB", 50_000_000_000),
            (" 2 gib ", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5 GiB", "-1", "3 XB", "99999999999 TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
