//! What a dag-pb node means in UnixFS 1.0.

use bytes::Bytes;
use thiserror::Error;

use super::pb::{Node, PbFault};

/// A node of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixFs {
    /// A file, or a part of one.
    File {
        /// Bytes in this node, before those of its links.
        data: Bytes,
        /// Bytes below each link.
        block_sizes: Vec<u64>,
        /// All together.
        size_bytes: u64,
    },
    /// A directory whose links are its entries.
    Directory,
    /// A part of a sharded directory (HAMT).
    Shard {
        /// Which of the shard's places are taken, most significant byte first, leading zeros cut.
        bitfield: Bytes,
        /// How many places it has, a power of two.
        fanout: u64,
        /// Multihash code of the hash function that finds the place of a name.
        hash: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: String,
    },
}

/// Why a node isn't one of UnixFS.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnixFsFault {
    /// It has no data.
    #[error("has no UnixFS data")]
    NoData,
    /// Its data can't be read.
    #[error("its UnixFS data: {0}")]
    Data(#[from] PbFault),
    /// It says no type.
    #[error("its UnixFS data says no type")]
    NoType,
    /// A type that isn't supported.
    #[error("UnixFS type {0} is not supported")]
    Type(u64),
    /// Not as many sizes as links.
    #[error("has {links} links and {sizes} block sizes")]
    Sizes {
        /// Links.
        links: usize,
        /// Sizes.
        sizes: usize,
    },
    /// Its parts don't sum to the size that it says.
    #[error("says {said_bytes} bytes, its parts have {found_bytes}")]
    Sum {
        /// What it says.
        said_bytes: u64,
        /// What its parts have; the largest number when it is over 64 bits.
        found_bytes: u64,
    },
    /// A shard's number of places isn't a power of two between 8 and 1024.
    #[error("a shard of {0} places")]
    Fanout(u64),
    /// A shard's hash function isn't murmur3-x64-64.
    #[error("a shard by the hash function 0x{0:x}")]
    Hash(u64),
    /// A shard's bits don't say what its links do.
    #[error("a shard with {links} links and {bits} bits")]
    Bitfield {
        /// Links.
        links: usize,
        /// Bits that are set.
        bits: usize,
    },
    /// A symbolic link's target isn't UTF-8, or it has links.
    #[error("a symbolic link without a valid target")]
    Symlink,
}

impl UnixFs {
    /// What a node means. Raw nodes count as files.
    ///
    /// # Errors
    /// When it means nothing.
    pub fn of(node: &Node) -> Result<Self, UnixFsFault> {
        let _ = node;
        unimplemented!()
    }
}
