//! Whoever has blocks.

use std::error::Error as StdError;

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

use super::BlockFault;

/// Why a block was not given.
#[derive(Debug, Error)]
pub enum BlockError {
    /// It isn't held here.
    #[error("block {0} is not held")]
    NotHeld(Cid),
    /// It is on the denylist.
    #[error("block {cid} is denied: {reason}")]
    Denied {
        /// The block.
        cid: Cid,
        /// What the denylist says.
        reason: String,
    },
    /// Its name isn't a block's, or what was found under it is something else.
    #[error(transparent)]
    Fault(#[from] BlockFault),
    /// This machine failed.
    #[error("can't read the block {cid}")]
    Local {
        /// The block.
        cid: Cid,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Blocks by their name. Whoever walks a DAG asks [`super::inline`] first, so that a source never
/// sees an identity CID.
pub trait BlockSource: Send + Sync {
    /// The block, verified.
    ///
    /// # Errors
    /// See [`BlockError`].
    fn block(&self, cid: &Cid) -> impl Future<Output = Result<Bytes, BlockError>> + Send;
}

impl<S: BlockSource + ?Sized> BlockSource for &S {
    fn block(&self, cid: &Cid) -> impl Future<Output = Result<Bytes, BlockError>> + Send {
        (**self).block(cid)
    }
}

impl<S: BlockSource> BlockSource for std::sync::Arc<S> {
    fn block(&self, cid: &Cid) -> impl Future<Output = Result<Bytes, BlockError>> + Send {
        (**self).block(cid)
    }
}
