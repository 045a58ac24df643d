//! Blocks from others, until they are a DAG that is held.

use bytes::Bytes;
use cid::Cid;
use model::BlobId;

use super::IntakeError;
use crate::StoreError;

/// What came of an intake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Files that are blobs now: root, blob, size in bytes.
    pub files: Vec<(Cid, BlobId, u64)>,
    /// Blocks below the roots that are held, each counted once.
    pub blocks: u64,
    /// Links below the roots that lead to blocks that are not held.
    pub missing: u64,
}

/// Takes in the blocks of one DAG, in any order. Dropped before [`Intake::finish`], what was
/// flushed waits for the next intake of the same root.
#[derive(Debug)]
pub struct Intake {
    root: Cid,
}

impl Intake {
    /// What it takes in.
    pub fn root(&self) -> Cid {
        self.root
    }

    /// Takes a block, after checking that the bytes have its name. One that is held already, and an
    /// identity CID, costs nothing.
    ///
    /// # Errors
    /// When the bytes aren't the block, there is no room, or the index can't be written.
    #[expect(clippy::unused_async, reason = "writes to the disk")]
    pub async fn put(&mut self, cid: &Cid, bytes: Bytes) -> Result<(), IntakeError> {
        let _ = (cid, bytes);
        Err(StoreError::Stopped.into())
    }

    /// Writes what was taken: when this returns, it survives a crash.
    ///
    /// # Errors
    /// When there is no room, or the index can't be written.
    #[expect(clippy::unused_async, reason = "writes to the disk")]
    pub async fn flush(&mut self) -> Result<(), IntakeError> {
        Err(StoreError::Stopped.into())
    }

    /// Ends the intake: each whole file of some size below the roots becomes a blob, and everything
    /// is kept until [`crate::Blobs::remove_dag`] of the intake's root.
    ///
    /// # Errors
    /// When a file can't be imported, or the index can't be written.
    #[expect(clippy::unused_async, reason = "writes to the disk")]
    pub async fn finish(self, roots: &[Cid]) -> Result<Taken, IntakeError> {
        let _ = roots;
        Err(StoreError::Stopped.into())
    }
}
