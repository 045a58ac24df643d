//! A torrent's name.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD_NOCASE, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha1::{Digest, Sha1};
use thiserror::Error;

/// A torrent's name: SHA-1 of its info dictionary as received, 20 bytes (BEP 3). Text is 40 hex
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash([u8; Self::BYTES]);

/// Why a text is no infohash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an infohash is 40 hex digits")]
pub struct InfoHashFault;

impl InfoHash {
    /// Bytes of an infohash.
    pub const BYTES: usize = 20;

    /// The name of these bytes of an info dictionary: hashes them.
    pub fn of(info: &[u8]) -> Self {
        Self(Sha1::digest(info).into())
    }

    /// From its 20 bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// From 40 hex digits or 32 characters of base32, as magnet links may have it (BEP 9).
    pub(crate) fn from_link(text: &str) -> Option<Self> {
        let bytes = match text.len() {
            40 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
            32 => BASE32_NOPAD_NOCASE.decode(text.as_bytes()),
            _ => return None,
        };
        bytes.ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

impl FromStr for InfoHash {
    type Err = InfoHashFault;

    fn from_str(text: &str) -> Result<Self, InfoHashFault> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| InfoHashFault)?;
        bytes.try_into().map(Self).map_err(|_| InfoHashFault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infohashes_are_written_and_read() {
        // SHA-1 of nothing
        let text = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let hash = InfoHash::of(b"");
        assert_eq!(hash.to_string(), text);
        assert_eq!(format!("{hash:?}"), format!("InfoHash({text})"));
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        assert_eq!(InfoHash::from_bytes(*hash.as_bytes()), hash);
        let long = format!("{text}00");
        for bad in [
            "",
            "da39",
            &text[1..],
            &long,
            "zz39a3ee5e6b4b0d3255bfef95601890afd80709",
        ] {
            assert_eq!(bad.parse::<InfoHash>(), Err(InfoHashFault), "{bad}");
        }
    }

    #[test]
    fn links_may_have_base32() {
        let hash = InfoHash::of(b"");
        for text in [
            "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
            "3i42h3s6nnfq2msvx7xzkyayscx5qbyj",
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
        ] {
            assert_eq!(InfoHash::from_link(text), Some(hash));
        }
        for bad in [
            "",
            "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBY1",
            "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBY",
        ] {
            assert_eq!(InfoHash::from_link(bad), None);
        }
    }
}
