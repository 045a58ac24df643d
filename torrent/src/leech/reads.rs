//! The ranges that are being read from a peer.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, Range},
};

use bytes::Bytes;

use super::grid::{BlockIndex, Grid};

/// Which read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReadId(u64);

/// What a read has to give.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its next bytes, and where they begin in the file.
    Bytes(u64, Bytes),
    /// Nothing yet.
    Nothing,
    /// It gave all.
    Done,
}

/// All reads on a connection. Each is asked for in order, all in turns, so that none waits for
/// another's end.
#[derive(Debug, Default)]
pub(super) struct Reads {
    reads: BTreeMap<ReadId, Read>,
    next_id: u64,
    /// Whose turn it was last.
    turn: Option<ReadId>,
}

#[derive(Debug)]
struct Read {
    range: Range<u64>,
    /// Behind its last block.
    end: BlockIndex,
    /// The first block that was never asked for.
    next: BlockIndex,
    /// The first block that wasn't given yet.
    given: BlockIndex,
    /// Blocks before `next` that have to be asked for again.
    again: BTreeSet<BlockIndex>,
    arrived: BTreeMap<BlockIndex, Bytes>,
}

impl Reads {
    /// One more.
    pub fn start(&mut self, range: Range<u64>, grid: &Grid) -> ReadId {
        let id = ReadId(self.next_id);
        self.next_id += 1;
        let blocks = grid.blocks(&range);
        let read = Read {
            range,
            end: blocks.end,
            next: blocks.start,
            given: blocks.start,
            again: BTreeSet::new(),
            arrived: BTreeMap::new(),
        };
        self.reads.insert(id, read);
        id
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// Ends one, and gives the blocks that nobody waits for any more.
    pub fn end(&mut self, id: ReadId) -> Vec<BlockIndex> {
        let Some(read) = self.reads.remove(&id) else {
            return Vec::new();
        };
        let blocks = read.given..read.next;
        let left = blocks.filter(|index| read.awaits(*index) && !self.is_awaited(*index));
        left.collect()
    }

    /// The next block to be asked for; each read may be as many blocks ahead of what it gave.
    pub fn wanted(&self, ahead: u64) -> Option<BlockIndex> {
        self.next_turn(ahead).map(|(_, index)| index)
    }

    /// As [`Self::wanted`]; the block counts as asked for.
    pub fn ask(&mut self, ahead: u64) -> Option<BlockIndex> {
        let (id, index) = self.next_turn(ahead)?;
        self.turn = Some(id);
        for read in self.reads.values_mut() {
            read.again.remove(&index);
        }
        let read = self.reads.get_mut(&id)?;
        if index == read.next {
            read.next += 1;
        }
        Some(index)
    }

    fn next_turn(&self, ahead: u64) -> Option<(ReadId, BlockIndex)> {
        let first = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.reads.range((first, Bound::Unbounded));
        let mut turns = after.chain(&self.reads);
        turns.find_map(|(id, read)| Some((*id, read.wanted(ahead)?)))
    }

    /// A block has to be asked for again, if someone still waits for it.
    pub fn ask_again(&mut self, index: BlockIndex) {
        for read in self.reads.values_mut() {
            if read.awaits(index) {
                read.again.insert(index);
            }
        }
    }

    /// Whether someone waits for a block that was asked for.
    pub fn is_awaited(&self, index: BlockIndex) -> bool {
        self.reads.values().any(|read| read.awaits(index))
    }

    /// A block came. Gives the reads that have something to give now and hadn't before.
    pub fn arrived(&mut self, index: BlockIndex, bytes: &Bytes) -> Vec<ReadId> {
        let mut ready = Vec::new();
        for (id, read) in &mut self.reads {
            if read.awaits(index) {
                read.arrived.insert(index, bytes.clone());
                if index == read.given {
                    ready.push(*id);
                }
            }
        }
        ready
    }

    /// The next bytes of a read.
    pub fn take(&mut self, id: ReadId, grid: &Grid) -> Taken {
        let Some(read) = self.reads.get_mut(&id) else {
            return Taken::Done;
        };
        let index = read.given;
        if index >= read.end {
            self.reads.remove(&id);
            return Taken::Done;
        }
        let Some(bytes) = read.arrived.remove(&index) else {
            return Taken::Nothing;
        };
        read.given += 1;
        let block = grid.range(index);
        let (start, end) = (
            block.start.max(read.range.start),
            block.end.min(read.range.end),
        );
        // within a block's bytes, which are there in full
        let cut = |offset: u64| usize::try_from(offset - block.start).unwrap_or(usize::MAX);
        Taken::Bytes(start, bytes.slice(cut(start)..cut(end)))
    }
}

impl Read {
    fn wanted(&self, ahead: u64) -> Option<BlockIndex> {
        let next = (self.next < self.end && self.next - self.given < ahead).then_some(self.next);
        self.again.first().copied().or(next)
    }

    fn awaits(&self, index: BlockIndex) -> bool {
        (self.given..self.next).contains(&index)
            && !self.arrived.contains_key(&index)
            && !self.again.contains(&index)
    }
}
