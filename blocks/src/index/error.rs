//! Why blocks were not taken in.

use cid::Cid;
use thiserror::Error;

use crate::{
    ImportError, QuotaError, StoreError,
    dag::{BlockError, BlockFault, MAX_PENDING},
    evict::NoRoom,
};

/// Why blocks were not taken in; what was taken before stays.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The bytes are not the block that the name says. Whoever gave them lied.
    #[error(transparent)]
    Block(#[from] BlockFault),
    /// The DAG is being taken in already.
    #[error("{0} is being taken in already")]
    Busy(Cid),
    /// No room is allowed for them.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// More blocks below each other than are remembered.
    #[error("below {0} there are more than {MAX_PENDING} blocks to remember")]
    TooWide(Cid),
    /// A block that was taken in can't be read again.
    #[error("can't read back {cid}")]
    Back {
        /// The block.
        cid: Cid,
        /// Why.
        #[source]
        source: BlockError,
    },
    /// A file of the DAG could not be made a blob.
    #[error("can't import the file {cid}")]
    Import {
        /// The file's root.
        cid: Cid,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoRoom> for IntakeError {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::Quota(error) => Self::Quota(error),
            NoRoom::Store(error) => Self::Store(error),
        }
    }
}
