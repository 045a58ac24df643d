//! A chain from and to a list of headers.

use std::collections::BTreeSet;

use bitcoin::{BlockHash, block::Header};

use super::{HeaderChain, HeaderFault, accept::Moves, record};

/// Headers that were accepted before, taken again in the same order.
///
/// Rules of the network hold as they held. What a release bounds by itself (checkpoints, how many
/// side branches, how deep) may have changed since: what it no longer keeps is passed over with
/// all that stands on it.
#[derive(Debug)]
pub(super) struct Replay {
    chain: HeaderChain,
    /// Hashes of headers that were passed over or dropped.
    gone: BTreeSet<BlockHash>,
}

impl Replay {
    /// Begins with a chain that holds the first block.
    pub(super) fn onto(chain: HeaderChain) -> Self {
        let gone = BTreeSet::new();
        Self { chain, gone }
    }

    /// The chain that came of it.
    pub(super) fn into_chain(self) -> HeaderChain {
        self.chain
    }

    /// Takes the next headers.
    ///
    /// # Errors
    /// The place of the header that can't have been accepted, and why.
    pub(super) fn take(
        &mut self,
        headers: impl Iterator<Item = Header>,
    ) -> Result<(), (u64, HeaderFault)> {
        let mut moves = Moves::from(0);
        let taken = (0..).zip(headers).try_for_each(|(place, header)| {
            self.take_one(&header, &mut moves)
                .map_err(|why| (place, why))
        });
        self.chain.active.settle();
        taken
    }

    fn take_one(&mut self, header: &Header, moves: &mut Moves) -> Result<(), HeaderFault> {
        let hash = record::hash(header);
        // when it came first, its time was held against the clock
        let taken = self.chain.take_one(header, hash, u32::MAX, moves);
        self.gone.extend(moves.dropped.drain(..));
        match taken {
            Ok(_) => Ok(()),
            Err(HeaderFault::Unconnected(parent)) if !self.gone.contains(&parent) => {
                Err(HeaderFault::Unconnected(parent))
            }
            Err(
                HeaderFault::Unconnected(_)
                | HeaderFault::NotTheCheckpoint { .. }
                | HeaderFault::BelowCheckpoint { .. }
                | HeaderFault::TooDeep { .. }
                | HeaderFault::NoRoom
                | HeaderFault::TooHigh(_),
            ) => {
                self.gone.insert(hash);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}

impl HeaderChain {
    /// Drops side branches that could not come again: those below the last checkpoint or too far
    /// down, with all that stands on them.
    pub(super) fn prune(&mut self) {
        for edge in self.side.by_height() {
            let parent = edge.header.prev_blockhash;
            let stands = self.side.contains(&parent) || self.height_of(&parent).is_some();
            if !stands || self.check_depth(edge.height).is_err() {
                self.side.remove(&edge.hash);
            }
        }
    }

    /// Every header but the first in an order in which a new chain takes them to the same end.
    pub(super) fn all(&self) -> impl Iterator<Item = Header> {
        let side = self.side.by_height();
        let side = side.into_iter().map(|edge| edge.header);
        self.active.onward(1).copied().chain(side)
    }
}
