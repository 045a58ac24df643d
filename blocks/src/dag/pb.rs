//! DAG-PB, canonical encodings only (DAG-PB specification, "strict").

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

/// A link of a [`Node`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub cid: Cid,
    /// Its name; empty in files.
    pub name: String,
    /// What the DAG below it has, with its own block, as whoever made the link says, bytes (Tsize).
    pub size_bytes: u64,
}

/// A dag-pb block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its links, in order.
    pub links: Vec<Link>,
    /// Its data, UnixFS.
    pub data: Option<Bytes>,
}

/// Why bytes are not a canonical dag-pb block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PbFault {
    /// They end inside a field.
    #[error("ends inside the field at byte {at}")]
    Truncated {
        /// Where the field starts, bytes.
        at: usize,
    },
    /// A number of more than 64 bits.
    #[error("the number at byte {at} has more than 64 bits")]
    VarintTooLong {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A number with needless bytes.
    #[error("the number at byte {at} is not in its shortest form")]
    VarintNotMinimal {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A field that the format doesn't have.
    #[error("unknown field {field} at byte {at}")]
    UnknownField {
        /// Its number.
        field: u64,
        /// Where it starts, bytes.
        at: usize,
    },
    /// A known field of another type.
    #[error("field {field} at byte {at} has the wire type {wire}")]
    WireType {
        /// Its number.
        field: u64,
        /// The type found.
        wire: u8,
        /// Where it starts, bytes.
        at: usize,
    },
    /// A field that comes again, or after one that it must come before.
    #[error("field {field} at byte {at} is repeated or out of order")]
    Order {
        /// Its number.
        field: u64,
        /// Where it starts, bytes.
        at: usize,
    },
    /// A link that lacks its CID, name or size.
    #[error("the link that ends at byte {at} has no {field}")]
    Missing {
        /// What it lacks.
        field: &'static str,
        /// Where the link ends, bytes.
        at: usize,
    },
    /// A link's CID isn't one.
    #[error("the link at byte {at} has no valid CID")]
    Cid {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A link's name isn't UTF-8.
    #[error("the name at byte {at} is not UTF-8")]
    Name {
        /// Where it starts, bytes.
        at: usize,
    },
}

impl Node {
    /// Reads a block. Its data is a slice of the bytes given, not a copy.
    ///
    /// # Errors
    /// When the bytes aren't what [`Node::encode`] would make of the same node.
    pub fn decode(bytes: &Bytes) -> Result<Self, PbFault> {
        let _ = bytes;
        unimplemented!()
    }

    /// The block's bytes.
    pub fn encode(&self) -> Bytes {
        unimplemented!()
    }
}
