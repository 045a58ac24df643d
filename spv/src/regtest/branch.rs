//! A chain of blocks from the first on.

use std::sync::Arc;

use bitcoin::{Block, BlockHash, block, hashes::Hash};

/// Headers in one `headers` message (`MAX_HEADERS_RESULTS` of Bitcoin Core).
const HEADERS: usize = 2_000;

/// Blocks by height, the first block of the network at 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    blocks: Vec<Arc<Block>>,
    hashes: Vec<BlockHash>,
}

impl Branch {
    pub(super) fn of_genesis(genesis: Block) -> Self {
        let mut branch = Self::default();
        branch.push(genesis);
        branch
    }

    pub(super) fn push(&mut self, block: Block) {
        self.hashes.push(block.block_hash());
        self.blocks.push(Arc::new(block));
    }

    /// Height of the last block.
    pub(super) fn height(&self) -> u32 {
        u32::try_from(self.blocks.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn tip(&self) -> Option<&Arc<Block>> {
        self.blocks.last()
    }

    pub(super) fn tip_hash(&self) -> BlockHash {
        self.hashes
            .last()
            .copied()
            .unwrap_or_else(BlockHash::all_zeros)
    }

    pub(super) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// What it is up to a height, that included.
    pub(super) fn until(&self, height: u32) -> Self {
        let end = (height as usize + 1).min(self.blocks.len());
        Self {
            blocks: self.blocks[..end].to_vec(),
            hashes: self.hashes[..end].to_vec(),
        }
    }

    /// Its blocks above the last one that it shares with another branch.
    pub(super) fn since(&self, other: &Self) -> &[Arc<Block>] {
        let pairs = self.hashes.iter().zip(&other.hashes);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        &self.blocks[shared..]
    }

    pub(super) fn height_of(&self, hash: &BlockHash) -> Option<usize> {
        self.hashes.iter().rposition(|one| one == hash)
    }

    pub(super) fn find(&self, hash: &BlockHash) -> Option<&Arc<Block>> {
        self.height_of(hash).map(|height| &self.blocks[height])
    }

    /// Headers after the first hash of a locator that is known, as `getheaders` asks for.
    pub(super) fn after(&self, locator: &[BlockHash], stop: &BlockHash) -> Vec<block::Header> {
        let mut known = locator.iter();
        let from = known.find_map(|hash| self.height_of(hash)).unwrap_or(0);
        let mut headers = Vec::new();
        for block in self.blocks.iter().skip(from + 1).take(HEADERS) {
            headers.push(block.header);
            if block.block_hash() == *stop {
                break;
            }
        }
        headers
    }
}
