//! The chain of headers with the most work, and branches beside it.

use std::iter;

use bitcoin::{BlockHash, block::Header};

use super::{
    ChainError, Change, Tip,
    active::Active,
    edge::{Edge, Weighed},
    rules::Rules,
    side::Side,
};
use crate::{Network, proof::Headers};

/// Hashes of a locator before the gaps between them begin to double.
const LOCATOR_DENSE: u32 = 10;

/// Headers of one network, each checked against its own branch; the branch with the most work is
/// the active one, and of equal ones the one that was seen first.
///
/// What this shows is that work was spent, not that blocks are valid: no transaction is looked at.
/// On signet it shows less, since work is cheap there and the signature that makes a block valid
/// lies in its coinbase transaction, which headers do not have.
#[derive(Clone, Debug)]
pub struct HeaderChain {
    pub(super) rules: Rules,
    pub(super) active: Active,
    /// The end of the active chain.
    pub(super) edge: Edge,
    pub(super) side: Side,
    pub(super) weighed: Weighed,
}

impl HeaderChain {
    /// A chain that holds the network's first block only.
    pub fn new(network: Network) -> Self {
        Self::with_rules(Rules::of(network))
    }

    pub(super) fn with_rules(rules: Rules) -> Self {
        let genesis = rules.genesis;
        Self {
            rules,
            active: Active::new(genesis),
            edge: Edge::genesis(genesis),
            side: Side::default(),
            weighed: Weighed::new(genesis.bits),
        }
    }

    /// Whose blocks these are.
    pub fn network(&self) -> Network {
        self.rules.network
    }

    /// The end of the active chain.
    pub fn tip(&self) -> Tip {
        tip_of(&self.edge)
    }

    /// The active chain's header at a height.
    pub fn header(&self, height: u32) -> Option<Header> {
        self.active.header(height).copied()
    }

    /// The active chain's headers from a height to its end.
    pub fn headers_from(&self, height: u32) -> impl Iterator<Item = &Header> {
        self.active.onward(height)
    }

    /// Hash of the active chain's block at a height.
    pub fn hash(&self, height: u32) -> Option<BlockHash> {
        self.active.hash(height)
    }

    /// Height of a block; `None` if it is not on the active chain.
    pub fn height_of(&self, block: &BlockHash) -> Option<u32> {
        self.active.height_of(block)
    }

    /// Whether a block is known, on the active chain or beside it.
    pub fn contains(&self, block: &BlockHash) -> bool {
        self.side.contains(block) || self.height_of(block).is_some()
    }

    /// Hashes from the end down to the first block, the gaps doubling: what a peer needs to find
    /// where its chain leaves this one.
    pub fn locator(&self) -> Vec<BlockHash> {
        let tip = self.active.tip_height();
        let dense = (0..LOCATOR_DENSE).map_while(|back| tip.checked_sub(back));
        let gaps = iter::successors(Some(2_u32), |gap| gap.checked_mul(2));
        let sparse = gaps.map_while(|gap| tip.checked_sub(LOCATOR_DENSE - 1)?.checked_sub(gap));
        let mut heights: Vec<u32> = dense.chain(sparse).collect();
        if heights.last() != Some(&0) {
            heights.push(0);
        }
        heights
            .into_iter()
            .filter_map(|height| self.hash(height))
            .collect()
    }

    /// Ends of the branches beside the active chain, the one with the most work first.
    pub fn side_tips(&self) -> Vec<Tip> {
        self.side.ends().map(tip_of).collect()
    }

    /// Headers beside the active chain.
    pub fn side_headers(&self) -> usize {
        self.side.len()
    }

    /// Whether the chain has at least the work that the network's true chain is known to have:
    /// before that it may be a forgery that was cheap to make.
    pub fn has_minimum_work(&self) -> bool {
        self.edge.work >= self.rules.minimum_work
    }

    /// Median time of the last eleven blocks, seconds since 1970: the next one must be later.
    pub fn median_time_s(&self) -> u32 {
        self.edge.median_s()
    }

    /// Checks headers, parents before children, and keeps them. Known ones are passed over.
    ///
    /// # Errors
    /// The first header that is refused; those before it in the batch are kept.
    pub fn accept(&mut self, headers: &[Header], now_s: u32) -> Result<Change, ChainError> {
        self.take(headers, now_s, |_| ())
    }
}

impl Headers for HeaderChain {
    fn network(&self) -> Network {
        self.rules.network
    }

    fn tip_height(&self) -> u32 {
        self.edge.height
    }

    fn active(&self, block: &BlockHash) -> Option<(u32, Header)> {
        let height = self.height_of(block)?;
        Some((height, *self.active.at(height)))
    }

    fn aside(&self, block: &BlockHash) -> Option<Header> {
        self.side.get(block).map(|edge| edge.header)
    }
}

fn tip_of(edge: &Edge) -> Tip {
    Tip {
        height: edge.height,
        hash: edge.hash,
        work: edge.work,
        time_s: edge.header.time,
    }
}
