//! What the gateway and the node say to each other about IPFS names.

use cid::Cid;

/// A path below a root, followed to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedPath {
    /// Every block read on the way, in order, shards of directories too.
    pub visited: Vec<Cid>,
    /// The root, then one name for each segment that led into another entity: `X-Ipfs-Roots`.
    pub roots: Vec<Cid>,
    /// What the path names.
    pub cid: Cid,
    /// What that is.
    pub kind: PathKind,
    /// Segments that lead into the inside of a data block; empty where the path names a block.
    pub remainder: Vec<String>,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A UnixFS file, or bytes without structure.
    File {
        /// Length of the file.
        size_bytes: u64,
    },
    /// A UnixFS directory.
    Directory {
        /// It is spread over a HAMT.
        is_sharded: bool,
    },
    /// A UnixFS symlink.
    Symlink {
        /// Where it points, as its author wrote it.
        target: String,
    },
    /// A block of dag-cbor, dag-json, cbor or json, or of dag-pb that isn't of UnixFS.
    Data {
        /// Multicodec of the block.
        codec: u64,
        /// Length of the block.
        block_bytes: u64,
        /// Why nothing but the block can be had of it, where it should have been of UnixFS.
        fault: Option<String>,
    },
}

/// Entries of a directory, sorted by the bytes of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpfsListing {
    /// The entries.
    pub entries: Vec<IpfsListed>,
    /// There are more than the node lists.
    pub is_cut: bool,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpfsListed {
    /// Its name in the directory.
    pub name: String,
    /// What it names.
    pub cid: Cid,
    /// Bytes of its whole DAG as the directory claims (`Tsize` of dag-pb).
    pub size_bytes: u64,
}

/// A CAR to be made (trustless gateway, IPIP-402).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarRequest {
    /// Root of the path.
    pub root: Cid,
    /// Segments below it.
    pub path: Vec<String>,
    /// How much of what the path names (`dag-scope`).
    pub scope: CarScope,
    /// `entity-bytes`: first and last byte of a file, counted from its end where negative; no last
    /// byte means the end of the file. Only with [`CarScope::Entity`].
    pub bytes: Option<(i64, Option<i64>)>,
    /// A block is sent each time the walk meets it (`dups=y`).
    pub duplicates: bool,
}

/// `dag-scope` of IPIP-402.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CarScope {
    /// The blocks of the path, the last of them included.
    Block,
    /// A whole file, or a directory without what its entries name.
    Entity,
    /// Everything below.
    #[default]
    All,
}

/// Who serves a CID over HTTP (`/routing/v1`, IPIP-337 and IPIP-417).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpfsProvider {
    /// libp2p peer id, in text form.
    pub id: String,
    /// Multiaddresses, as in `/dns/example.org/tcp/443/tls/http`.
    pub addrs: Vec<String>,
    /// Transfer protocols, as in `transport-ipfs-gateway-http`.
    pub protocols: Vec<String>,
}
