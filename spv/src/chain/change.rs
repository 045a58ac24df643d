//! What a chain says of its end, and of what moved there.

use bitcoin::{BlockHash, Work};

/// The end of the chain with the most work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Blocks before it; the first block has 0.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// Work of the whole chain up to and with it.
    pub work: Work,
    /// When its miner says it was mined: seconds since 1970.
    pub time_s: u32,
}

/// How the most-work chain moved. Empty vectors: it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Blocks that are no longer on it, from the old end downwards.
    pub disconnected: Vec<BlockHash>,
    /// Blocks that are new on it with their heights, upwards to the new end.
    pub connected: Vec<(u32, BlockHash)>,
    /// Its end now.
    pub tip: Tip,
}

impl Change {
    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.disconnected.is_empty() && self.connected.is_empty()
    }
}
