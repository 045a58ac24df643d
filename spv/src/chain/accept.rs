//! Headers that come: judged, kept, and the chain moved to the branch with the most work.

use bitcoin::{BlockHash, block::Header};

use super::{ChainError, Change, HeaderChain, HeaderFault, edge::Edge, record, side::Rank};

/// How the active chain moves while a batch is taken.
#[derive(Debug)]
pub(super) struct Moves {
    /// The lowest end that it had on the way: what is above is new.
    low: u32,
    /// What stood above at first, from the old end downwards.
    disconnected: Vec<BlockHash>,
    /// Headers of side branches that had to make room.
    pub(super) dropped: Vec<BlockHash>,
}

impl Moves {
    pub(super) fn from(tip: u32) -> Self {
        Self {
            low: tip,
            disconnected: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn disconnect(&mut self, height: u32, hash: BlockHash) {
        if height <= self.low {
            self.disconnected.push(hash);
            self.low = height - 1;
        }
    }
}

impl HeaderChain {
    /// As [`HeaderChain::accept`]; `kept` is told of each header that was new, also where a
    /// later one is refused.
    pub(super) fn take(
        &mut self,
        headers: &[Header],
        now_s: u32,
        mut kept: impl FnMut(&Header),
    ) -> Result<Change, ChainError> {
        let mut moves = Moves::from(self.active.tip_height());
        let mut refused = None;
        for (index, header) in headers.iter().enumerate() {
            let hash = record::hash(header);
            match self.take_one(header, hash, now_s, &mut moves) {
                Ok(true) => kept(header),
                Ok(false) => {}
                Err(fault) => {
                    refused = Some((index, hash, fault));
                    break;
                }
            }
        }
        self.active.settle();
        let change = self.change(moves);
        match refused {
            None => Ok(change),
            Some((index, header, fault)) => Err(ChainError {
                index,
                header,
                fault,
                kept: Box::new(change),
            }),
        }
    }

    /// Whether the header was new. The active chain has to be settled before it is asked for hashes.
    pub(super) fn take_one(
        &mut self,
        header: &Header,
        hash: BlockHash,
        now_s: u32,
        moves: &mut Moves,
    ) -> Result<bool, HeaderFault> {
        // what stands on the end is new: were it known, it would be the end
        if header.prev_blockhash == self.edge.hash {
            let weighed = &mut self.weighed;
            self.edge.judge(header, hash, now_s, &self.rules, weighed)?;
            self.connect(header, hash);
            return Ok(true);
        }
        self.active.settle();
        if self.contains(&hash) {
            return Ok(false);
        }
        let parent = self
            .edge_of(&header.prev_blockhash)
            .ok_or(HeaderFault::Unconnected(header.prev_blockhash))?;
        self.check_depth(parent.height + 1)?;
        parent.judge(header, hash, now_s, &self.rules, &mut self.weighed)?;
        let mut edge = parent;
        edge.advance(*header, hash, &self.rules, &mut self.weighed);
        let is_better = self.rank(&edge) > self.rank(&self.edge);
        self.put_aside(edge);
        if is_better {
            self.switch_to(&hash, moves);
        }
        while self.side.len() > self.rules.max_side_headers {
            let worst = self.side.drop_worst();
            if worst == Some(hash) {
                return Err(HeaderFault::NoRoom);
            }
            moves.dropped.extend(worst);
        }
        Ok(true)
    }

    /// Whether a side branch may have a header at a height.
    pub(super) fn check_depth(&self, height: u32) -> Result<(), HeaderFault> {
        let tip = self.active.tip_height();
        let checkpoint = self.rules.last_passed(tip);
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| height <= *checkpoint) {
            return Err(HeaderFault::BelowCheckpoint { height, checkpoint });
        }
        if height < tip.saturating_sub(self.rules.max_depth) {
            return Err(HeaderFault::TooDeep { height, tip });
        }
        Ok(())
    }

    fn rank(&self, edge: &Edge) -> Rank {
        (self.rules.passed(edge.height), edge.work)
    }

    /// A known block with what its branch demands of the next one.
    fn edge_of(&mut self, hash: &BlockHash) -> Option<Edge> {
        if let Some(edge) = self.side.get(hash) {
            return Some(*edge);
        }
        self.active
            .height_of(hash)
            .map(|height| self.edge_at(height))
    }

    /// The same of the active chain's block at a height that is there, read from the chain below.
    fn edge_at(&mut self, height: u32) -> Edge {
        if height == self.edge.height {
            return self.edge;
        }
        let active = &self.active;
        let work = active.work_at(height, &mut self.weighed);
        let hash = active.at(height + 1).prev_blockhash;
        Edge::read(height, hash, work, &self.rules, |height| *active.at(height))
    }

    fn connect(&mut self, header: &Header, hash: BlockHash) {
        self.active.push(*header, hash, self.edge.work);
        self.edge
            .advance(*header, hash, &self.rules, &mut self.weighed);
    }

    fn put_aside(&mut self, edge: Edge) {
        let passed = self.rules.passed(edge.height);
        self.side.insert(edge, passed);
    }

    /// Makes the side branch that ends with a block the active chain; what it replaces becomes a
    /// side branch.
    fn switch_to(&mut self, end: &BlockHash, moves: &mut Moves) {
        let path = self.side.path_to(end);
        let Some(fork) = path.first().map(|first| first.height - 1) else {
            return;
        };
        let mut aside = self.edge_at(fork);
        let mut replaced: Vec<(Header, BlockHash)> = Vec::new();
        while self.active.tip_height() > fork {
            let height = self.active.tip_height();
            let Some((hash, header)) = self.active.hash(height).zip(self.active.pop()) else {
                break;
            };
            moves.disconnect(height, hash);
            replaced.push((header, hash));
        }
        self.edge = aside;
        for edge in path {
            self.side.remove(&edge.hash);
            self.connect(&edge.header, edge.hash);
        }
        for (header, hash) in replaced.into_iter().rev() {
            aside.advance(header, hash, &self.rules, &mut self.weighed);
            self.put_aside(aside);
        }
    }

    /// What moved, without blocks that went and came back.
    fn change(&self, moves: Moves) -> Change {
        let Moves {
            mut low,
            mut disconnected,
            dropped: _,
        } = moves;
        while disconnected.last().copied() == self.hash(low + 1) && !disconnected.is_empty() {
            disconnected.pop();
            low += 1;
        }
        let tip = self.tip();
        let connected = (low + 1..=tip.height)
            .filter_map(|height| Some((height, self.hash(height)?)))
            .collect();
        Change {
            disconnected,
            connected,
            tip,
        }
    }
}
