//! A file's UnixFS names, and its pieces for BitTorrent, computed from its bytes as they pass by.

use std::{collections::VecDeque, sync::LazyLock, thread::available_parallelism};

use bytes::Bytes;
use cid::Cid;
use sha1::{Digest, Sha1};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    StoreError,
    dag::{FileBuilder, LEAF_BYTES, Leaf, Root},
};

/// Leaves that are hashed at the same time, most.
const LANES: usize = 4;
/// Leaves up to this size are hashed at once: handing them to a thread would take longer.
const AT_ONCE_BYTES: usize = 16 * 1024;
/// SHA-256.
const DIGEST_BYTES: usize = 32;
/// With this many cores, a leaf's SHA-1 has a thread of its own beside its SHA-256. With fewer,
/// one thread does both while the leaf is in its cache.
const CORES_APART: usize = 4;

/// SHA-1 of a piece.
pub(crate) type Piece = [u8; 20];

static APART: LazyLock<bool> =
    LazyLock::new(|| available_parallelism().is_ok_and(|cores| cores.get() >= CORES_APART));

/// The names of one file.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) root: Root,
    /// SHA-256 of its leaves in order; all but the last have [`LEAF_BYTES`].
    pub(super) leaves: Vec<[u8; DIGEST_BYTES]>,
    /// The nodes above them.
    pub(super) nodes: Vec<(Cid, Bytes)>,
    /// SHA-1 of its pieces, if they were wanted; a piece is a leaf.
    pub(super) pieces: Option<Vec<Piece>>,
}

/// Computes them.
#[derive(Debug)]
pub(crate) struct Namer {
    builder: FileBuilder,
    leaves: Vec<[u8; DIGEST_BYTES]>,
    nodes: Vec<(Cid, Bytes)>,
    pieces: Option<Vec<Piece>>,
    hashing: VecDeque<Hashing>,
}

/// A leaf that is being hashed.
#[derive(Debug)]
struct Hashing {
    leaf: JoinHandle<(Leaf, Option<Piece>)>,
    apart: Option<JoinHandle<Piece>>,
}

impl Namer {
    /// Names a file; SHA-1 of its pieces only where they are wanted.
    pub(crate) fn new(wants_pieces: bool) -> Self {
        Self {
            builder: FileBuilder::default(),
            leaves: Vec::new(),
            nodes: Vec::new(),
            pieces: wants_pieces.then(Vec::new),
            hashing: VecDeque::new(),
        }
    }

    /// Takes the next leaf of the file: [`LEAF_BYTES`], or less if it is the last. Waits while
    /// those before it are hashed, so that few are in memory.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(crate) async fn leaf(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        debug_assert!(bytes.len() <= LEAF_BYTES);
        if bytes.len() <= AT_ONCE_BYTES {
            self.hashed(0).await?;
            let piece = self.pieces.is_some().then(|| piece(&bytes));
            self.take(Leaf::of(&bytes), piece);
            return Ok(());
        }
        self.hashed(LANES - 1).await?;
        let is_wanted = self.pieces.is_some();
        let (apart, together) = (is_wanted && *APART, is_wanted && !*APART);
        let apart = apart.then(|| bytes.clone());
        self.hashing.push_back(Hashing {
            apart: apart.map(|bytes| spawn_blocking(move || piece(&bytes))),
            leaf: spawn_blocking(move || (Leaf::of(&bytes), together.then(|| piece(&bytes)))),
        });
        Ok(())
    }

    /// The names, when all leaves were given.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(crate) async fn finish(mut self) -> Result<Names, StoreError> {
        self.hashed(0).await?;
        if self.leaves.is_empty() {
            self.take(Leaf::of(&[]), None);
        }
        let Self {
            builder,
            leaves,
            mut nodes,
            pieces,
            ..
        } = self;
        let root = builder.finish(&mut |cid, bytes| nodes.push((cid, bytes)));
        Ok(Names {
            root,
            leaves,
            nodes,
            pieces,
        })
    }

    /// Waits until at most so many leaves are being hashed.
    async fn hashed(&mut self, most: usize) -> Result<(), StoreError> {
        while self.hashing.len() > most {
            let Some(first) = self.hashing.pop_front() else {
                break;
            };
            let (leaf, together) = first.leaf.await.map_err(|_| StoreError::Stopped)?;
            let piece = match first.apart {
                Some(apart) => Some(apart.await.map_err(|_| StoreError::Stopped)?),
                None => together,
            };
            self.take(leaf, piece);
        }
        Ok(())
    }

    fn take(&mut self, leaf: Leaf, piece: Option<Piece>) {
        if let Some(pieces) = &mut self.pieces {
            pieces.extend(piece);
        }
        let nodes = &mut self.nodes;
        self.builder
            .leaf(leaf.cid, leaf.size_bytes, &mut |cid, bytes| {
                nodes.push((cid, bytes));
            });
        let digest = leaf.cid.hash().digest();
        self.leaves
            .push(digest.try_into().expect("leaves are named by SHA-256"));
    }
}

pub(super) fn piece(bytes: &[u8]) -> Piece {
    Sha1::digest(bytes).into()
}
