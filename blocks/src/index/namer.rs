//! A file's UnixFS names, computed from its bytes as they pass by.

use std::collections::VecDeque;

use bytes::Bytes;
use cid::Cid;
use tokio::task::JoinHandle;

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

/// The names of one file.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) root: Root,
    /// SHA-256 of its leaves in order; all but the last have [`LEAF_BYTES`].
    pub(super) leaves: Vec<[u8; DIGEST_BYTES]>,
    /// The nodes above them.
    pub(super) nodes: Vec<(Cid, Bytes)>,
}

/// Computes them.
#[derive(Debug, Default)]
pub(crate) struct Namer {
    builder: FileBuilder,
    leaves: Vec<[u8; DIGEST_BYTES]>,
    nodes: Vec<(Cid, Bytes)>,
    hashing: VecDeque<JoinHandle<Leaf>>,
}

impl Namer {
    /// Takes the next leaf of the file: [`LEAF_BYTES`], or less if it is the last. Waits while
    /// those before it are hashed, so that few are in memory.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(crate) async fn leaf(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        debug_assert!(bytes.len() <= LEAF_BYTES);
        if bytes.len() <= AT_ONCE_BYTES {
            self.hashed(0).await?;
            self.take(Leaf::of(&bytes));
            return Ok(());
        }
        self.hashed(LANES - 1).await?;
        let hashing = tokio::task::spawn_blocking(move || Leaf::of(&bytes));
        self.hashing.push_back(hashing);
        Ok(())
    }

    /// The names, when all leaves were given.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(crate) async fn finish(mut self) -> Result<Names, StoreError> {
        self.hashed(0).await?;
        if self.leaves.is_empty() {
            self.take(Leaf::of(&[]));
        }
        let Self {
            builder,
            leaves,
            mut nodes,
            ..
        } = self;
        let root = builder.finish(&mut |cid, bytes| nodes.push((cid, bytes)));
        Ok(Names {
            root,
            leaves,
            nodes,
        })
    }

    /// Waits until at most so many leaves are being hashed.
    async fn hashed(&mut self, most: usize) -> Result<(), StoreError> {
        while self.hashing.len() > most {
            let Some(first) = self.hashing.pop_front() else {
                break;
            };
            let leaf = first.await.map_err(|_| StoreError::Stopped)?;
            self.take(leaf);
        }
        Ok(())
    }

    fn take(&mut self, leaf: Leaf) {
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
