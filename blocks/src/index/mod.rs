//! The names that IPFS has for what is held: which block lies where, without a second copy of its
//! bytes.
//!
//! A leaf of a file is a place in a blob; only what joins leaves (nodes, directories, blocks of
//! other codecs) is stored beside the blobs. Blocks are found by their multihash, so that the same
//! bytes answer to each codec.

mod database;
mod error;
mod handle;
mod intake;
mod lookup;
mod namer;
mod naming;
mod pack;
mod sweep;
mod tables;

use bytes::Bytes;
use cid::Cid;
use model::BlobId;

pub use error::IntakeError;
pub use intake::{Intake, Taken};

pub(crate) use database::{Index, on_thread};
pub(crate) use handle::Handles;
pub(crate) use namer::{Namer, Names};
pub(crate) use naming::{REWRITE_BYTES, names_bytes};

use crate::{Blobs, StoreError};

/// A file of a DAG that is one whole blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// The blob.
    pub blob: BlobId,
    /// Its size.
    pub size_bytes: u64,
}

/// A DAG that was taken in, and is kept until [`Blobs::remove_dag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DagHeld {
    /// What it is known by.
    pub root: Cid,
    /// Its blocks, each counted once.
    pub bytes: u64,
    /// When it was taken in, Unix time in milliseconds.
    pub at_ms: u64,
}

impl Blobs {
    /// Keeps one block until [`Blobs::remove_dag`] of its name.
    ///
    /// # Errors
    /// When the bytes aren't the block, there is no room, or the index can't be written.
    #[expect(clippy::unused_async, reason = "writes to the disk")]
    pub async fn put_block(&self, cid: &Cid, bytes: Bytes) -> Result<(), IntakeError> {
        let _ = (cid, bytes);
        Err(StoreError::Stopped.into())
    }

    /// Begins to take in the DAG of a root, or goes on where an earlier intake of it broke off.
    ///
    /// # Errors
    /// When another intake of it is running, or the index can't be written.
    #[expect(clippy::unused_async, reason = "writes to the disk")]
    pub async fn intake(&self, root: Cid) -> Result<Intake, IntakeError> {
        let _ = root;
        Err(StoreError::Stopped.into())
    }

    /// The DAGs that were taken in, in the order of their names.
    ///
    /// # Errors
    /// When the index can't be read.
    #[expect(clippy::unused_async, reason = "reads the disk")]
    pub async fn dags(&self) -> Result<Vec<DagHeld>, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Gives up a DAG, finished or not, or a block of its own: what nothing else needs goes. Says
    /// whether there was one.
    ///
    /// # Errors
    /// When the index can't be written.
    #[expect(clippy::unused_async, reason = "writes to the disk")]
    pub async fn remove_dag(&self, root: &Cid) -> Result<bool, StoreError> {
        let _ = root;
        Err(StoreError::Stopped)
    }
}
