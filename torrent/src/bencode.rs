//! Bencode (BEP 3), canonical only.
//!
//! Reading checks everything once and copies nothing: a [`Value`] is a slice of the bytes given,
//! and what it holds is found when it is asked for. So hostile bytes cost no memory beyond
//! themselves, however they nest.

mod item;
mod read;

use thiserror::Error;

pub use item::Item;
pub use read::{Entries, Items, Kind, Value, decode, decode_prefix};

/// How deep lists and dictionaries may nest. Metainfo needs five; directories of BEP 52 one each.
pub const MAX_NESTING: usize = 100;

/// Why bytes are not canonical bencode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BencodeFault {
    /// They end inside a value.
    #[error("ends inside the value at byte {at}")]
    Truncated {
        /// Where the value starts, bytes.
        at: usize,
    },
    /// No value starts with this byte.
    #[error("no value starts with the byte 0x{found:02x} at byte {at}")]
    NoValue {
        /// The byte.
        found: u8,
        /// Where it is, bytes.
        at: usize,
    },
    /// An integer that isn't one, or not in its shortest form.
    #[error("the integer at byte {at} is not in its shortest form")]
    Integer {
        /// Where it starts, bytes.
        at: usize,
    },
    /// An integer of more than 64 bits.
    #[error("the integer at byte {at} has more than 64 bits")]
    IntegerTooLarge {
        /// Where it starts, bytes.
        at: usize,
    },
    /// The length of a byte string isn't one, or not in its shortest form.
    #[error("the length at byte {at} is not in its shortest form")]
    Length {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A dictionary's key is no byte string.
    #[error("the key at byte {at} is not a byte string")]
    Key {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A dictionary's key comes after one that it must come before.
    #[error("the key at byte {at} is out of order")]
    KeyOrder {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A dictionary has a key twice.
    #[error("the key at byte {at} is repeated")]
    KeyRepeated {
        /// Where the second starts, bytes.
        at: usize,
    },
    /// Lists and dictionaries nest deeper than [`MAX_NESTING`].
    #[error("nests too deep at byte {at}")]
    TooDeep {
        /// Where the first that is too deep starts, bytes.
        at: usize,
    },
    /// There are bytes after the value.
    #[error("the value ends at byte {at}, but more follows")]
    Trailing {
        /// Where the value ends, bytes.
        at: usize,
    },
}
