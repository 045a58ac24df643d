//! Branches beside the most-work chain, bounded in number.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{BlockHash, Work};

use super::edge::Edge;

/// What makes one branch better than another: first the checkpoints that it has passed, then its
/// work.
pub(super) type Rank = (usize, Work);

/// Headers off the most-work chain, each with its place on its own branch.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    edges: BTreeMap<BlockHash, (usize, Edge)>,
    /// How many of them have a block as their parent, which may itself be on the main chain.
    children: BTreeMap<BlockHash, usize>,
    /// The ends of branches, the worst first; equal ones by their hash, so that what is dropped
    /// does not depend on the order in which they came.
    leaves: BTreeSet<(Rank, BlockHash)>,
}

impl Side {
    pub(super) fn len(&self) -> usize {
        self.edges.len()
    }

    pub(super) fn get(&self, hash: &BlockHash) -> Option<&Edge> {
        self.edges.get(hash).map(|(_, edge)| edge)
    }

    pub(super) fn contains(&self, hash: &BlockHash) -> bool {
        self.edges.contains_key(hash)
    }

    /// Adds a header; `passed` counts the checkpoints up to its height.
    pub(super) fn insert(&mut self, edge: Edge, passed: usize) {
        let parent = edge.header.prev_blockhash;
        *self.children.entry(parent).or_default() += 1;
        if let Some(leaf) = self.leaf(&parent) {
            self.leaves.remove(&leaf);
        }
        self.edges.insert(edge.hash, (passed, edge));
        if !self.children.contains_key(&edge.hash) {
            self.leaves.insert(((passed, edge.work), edge.hash));
        }
    }

    /// Takes a header away, not what stands on it.
    pub(super) fn remove(&mut self, hash: &BlockHash) -> Option<Edge> {
        if let Some(leaf) = self.leaf(hash) {
            self.leaves.remove(&leaf);
        }
        let (_, edge) = self.edges.remove(hash)?;
        let parent = edge.header.prev_blockhash;
        if let Some(count) = self.children.get_mut(&parent) {
            *count -= 1;
            if *count == 0 {
                self.children.remove(&parent);
                self.leaves.extend(self.leaf(&parent));
            }
        }
        Some(edge)
    }

    /// Drops the end of the worst branch.
    pub(super) fn drop_worst(&mut self) -> Option<BlockHash> {
        let (_, worst) = *self.leaves.first()?;
        self.remove(&worst);
        Some(worst)
    }

    /// The headers from below a branch's end down to where it leaves the main chain, reversed:
    /// the lowest first, the end last.
    pub(super) fn path_to(&self, end: &BlockHash) -> Vec<Edge> {
        let mut path: Vec<Edge> = Vec::new();
        let mut next = *end;
        while let Some(edge) = self.get(&next) {
            path.push(*edge);
            next = edge.header.prev_blockhash;
        }
        path.reverse();
        path
    }

    /// Ends of branches, the best first.
    pub(super) fn ends(&self) -> impl Iterator<Item = &Edge> {
        self.leaves
            .iter()
            .rev()
            .filter_map(|(_, hash)| self.get(hash))
    }

    /// All headers, parents before children.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn by_height(&self) -> Vec<Edge> {
        let mut all: Vec<Edge> = self.edges.values().map(|(_, edge)| *edge).collect();
        all.sort_by_key(|edge| edge.height);
        all
    }

    /// How a block stands among the ends, if it were one.
    fn leaf(&self, hash: &BlockHash) -> Option<(Rank, BlockHash)> {
        let (passed, edge) = self.edges.get(hash)?;
        Some(((*passed, edge.work), *hash))
    }
}
