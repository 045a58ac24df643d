//! DAGs of IPFS: blocks named by their hash, files and directories made of them (UnixFS 1.0), and
//! streams of them (CARv1). Pure: bytes in, bytes out; whoever has blocks is asked through
//! [`BlockSource`].
//!
//! - [`verify`]: whether bytes have the name that was asked for. Nothing is parsed before.
//! - [`Node`], [`UnixFs`]: what a dag-pb block says, canonical encodings only.
//! - [`FileBuilder`], [`directory()`]: names of files and directories, equal to Kubo's for the
//!   profile `unixfs-v1-2025` (IPIP-499).
//! - [`links()`]: what a block refers to, whatever its codec.
//! - [`resolve()`], [`read()`], [`list()`], [`export()`]: paths, files, directories and CARs of what a
//!   [`BlockSource`] has.
//! - [`CarDecoder`], [`car_header`], [`car_frame`]: CARv1 streams.

mod block;
mod build;
mod car;
mod data;
mod directory;
mod export;
mod hamt;
mod links;
mod list;
#[cfg(test)]
mod memory;
mod pb;
mod read;
mod resolve;
mod source;
#[cfg(test)]
mod tests;
mod unixfs;
mod walk;
mod wire;

pub use block::{BlockFault, NameFault, check_name, inline, name_of, parse_cid, verify};
pub use build::{Emit, FileBuilder, Leaf, Root};
pub use car::{CarDecoder, CarFault, CarItem, MAX_CAR_HEADER_BYTES, car_frame, car_header};
pub use directory::{DirectoryFault, Entry, directory};
pub use export::{ExportRequest, MAX_SEEN, Scope, export};
pub use hamt::{HamtFault, ShardHash, ShardLink, shard_link};
pub use links::{LinksFault, MAX_NESTING, links};
pub use list::{Listed, Listing, list};
pub use pb::{Link, Node, PbFault};
pub use read::read;
pub use resolve::{Kind, MAX_SEGMENTS, ResolveError, Resolved, resolve};
pub use source::{BlockError, BlockSource};
pub use unixfs::{UnixFs, UnixFsFault};
pub use walk::{MAX_DEPTH, MAX_PENDING, MAX_SYMLINK_BYTES, NodeFault, WalkError};

/// Multicodecs of the blocks that are served.
pub mod codec {
    /// Bytes without structure.
    pub const RAW: u64 = 0x55;
    /// DAG-PB: nodes of UnixFS.
    pub const DAG_PB: u64 = 0x70;
    /// DAG-CBOR: CBOR with links.
    pub const DAG_CBOR: u64 = 0x71;
    /// DAG-JSON: JSON with links.
    pub const DAG_JSON: u64 = 0x0129;
    /// Plain CBOR, no links.
    pub const CBOR: u64 = 0x51;
    /// Plain JSON, no links.
    pub const JSON: u64 = 0x0200;
}

/// Multihash codes of the hash functions that are known.
pub mod hash {
    /// The bytes themselves.
    pub const IDENTITY: u64 = 0x00;
    /// SHA-256.
    pub const SHA2_256: u64 = 0x12;
    /// SHA-512.
    pub const SHA2_512: u64 = 0x13;
    /// BLAKE3 with 256 bits.
    pub const BLAKE3: u64 = 0x1e;
}

/// The largest block, bytes (trustless gateway specification).
pub const MAX_BLOCK_BYTES: usize = 2 << 20;
/// Links that a block may have. No block has room for as many that name others by a hash of 32
/// bytes; small content inside of names would take a hundred times its memory beyond.
pub const MAX_NODE_LINKS: usize = 1 << 16;
/// The longest content inside a CID, bytes. Kubo takes twice as many; a [`cid::Cid`] holds these.
pub const MAX_IDENTITY_BYTES: usize = 64;
/// Bytes of a file in one leaf (profile `unixfs-v1-2025`, IPIP-499).
pub const LEAF_BYTES: usize = 1 << 20;
/// Links of one node of a file (profile `unixfs-v1-2025`, IPIP-499).
pub const MAX_LINKS: usize = 1024;
