//! A chain from and to a list of headers.

use bitcoin::block::Header;

use super::{HeaderChain, HeaderFault, accept::Moves, record};

impl HeaderChain {
    /// Takes headers that were taken before, one after the other, without saying what moved.
    ///
    /// # Errors
    /// The place of the header that is refused, and why.
    pub(super) fn replay(
        &mut self,
        headers: impl Iterator<Item = Header>,
    ) -> Result<(), (u64, HeaderFault)> {
        let mut moves = Moves::from(0);
        // when they came first, their times were held against the clock
        let replayed = (0..).zip(headers).try_for_each(|(place, header)| {
            let taken = self.take_one(&header, record::hash(&header), u32::MAX, &mut moves);
            taken.map(drop).map_err(|fault| (place, fault))
        });
        self.active.settle();
        replayed
    }

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
