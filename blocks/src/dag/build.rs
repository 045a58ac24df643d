//! Files' DAGs: balanced, built from leaves in order, in constant memory (profile
//! `unixfs-v1-2025`, IPIP-499).

use bytes::Bytes;
use cid::Cid;

/// Where a builder puts the nodes that it makes: called with each, children before parents.
pub type Emit<'a> = &'a mut dyn FnMut(Cid, Bytes);

/// A leaf of a file: raw, SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its name.
    pub cid: Cid,
    /// Its length, bytes.
    pub size_bytes: u64,
}

/// What a builder made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its name.
    pub cid: Cid,
    /// The file's length, bytes; 0 for a directory.
    pub size_bytes: u64,
    /// All blocks of its DAG, each as often as it is linked, bytes (Tsize).
    pub dag_bytes: u64,
}

/// Builds the DAG of one file.
#[derive(Debug, Default)]
pub struct FileBuilder {
    levels: Vec<Vec<Root>>,
}

impl FileBuilder {
    /// A file of no leaves yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next leaf. All leaves but the last have [`super::LEAF_BYTES`].
    pub fn leaf(&mut self, cid: Cid, size_bytes: u64, emit: Emit<'_>) {
        let _ = (&self.levels, cid, size_bytes, emit);
        unimplemented!()
    }

    /// Ends the file. A file of one leaf is that leaf, one of none the empty raw block; neither is
    /// given to `emit`.
    pub fn finish(self, emit: Emit<'_>) -> Root {
        let _ = emit;
        unimplemented!()
    }
}

impl Leaf {
    /// The leaf of these bytes: hashes them.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            cid: super::name_of(super::codec::RAW, bytes),
            size_bytes: bytes.len() as u64,
        }
    }
}
