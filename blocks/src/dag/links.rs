//! What a block refers to, whatever its codec.

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

use super::{NameFault, PbFault};

/// How deep values may lie in each other in a data block.
pub const MAX_NESTING: usize = 128;

/// Why the links of a block can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinksFault {
    /// Its name isn't a block's.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// It isn't canonical dag-pb.
    #[error("{cid} is not canonical dag-pb: {fault}")]
    Pb {
        /// The block.
        cid: Cid,
        /// Why.
        fault: PbFault,
    },
    /// It isn't strict dag-cbor.
    #[error("{cid} is not dag-cbor: {reason}")]
    Cbor {
        /// The block.
        cid: Cid,
        /// Why, as the decoder says.
        reason: String,
    },
    /// It isn't dag-json.
    #[error("{cid} is not dag-json: {reason}")]
    Json {
        /// The block.
        cid: Cid,
        /// Why, as the decoder says.
        reason: String,
    },
    /// Its values lie too deep in each other.
    #[error("{cid} has values in each other beyond {MAX_NESTING} levels")]
    TooDeep {
        /// The block.
        cid: Cid,
    },
}

/// All links of a verified block, in order, repeated ones too. Raw, CBOR and JSON blocks have none.
///
/// # Errors
/// When the block isn't what its codec says.
pub fn links(cid: &Cid, bytes: &Bytes) -> Result<Vec<Cid>, LinksFault> {
    let _ = (cid, bytes);
    unimplemented!()
}
