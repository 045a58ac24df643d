//! The tree of an outboard: its shape, and the hashes of its nodes. Pure.

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use model::BlobId;

use super::OutboardFault;
use crate::GROUP_BYTES;

/// Two hashes.
pub(crate) const PAIR_BYTES: usize = 64;

/// Groups of a blob of that size; the empty blob has one.
pub(super) const fn groups_of(size_bytes: u64) -> u64 {
    match size_bytes.div_ceil(GROUP_BYTES) {
        0 => 1,
        groups => groups,
    }
}

/// The hash above two.
pub(crate) fn join(left: &[u8; 32], right: &[u8; 32], is_root: bool) -> [u8; 32] {
    if is_root {
        merge_subtrees_root(left, right, Mode::Hash).into()
    } else {
        merge_subtrees_non_root(left, right, Mode::Hash)
    }
}

/// The hash of a group that begins at `offset_bytes`.
pub(crate) fn subtree(offset_bytes: u64, group: &[u8], is_root: bool) -> [u8; 32] {
    if is_root {
        return blake3::hash(group).into();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset_bytes);
    hasher.update(group);
    hasher.finalize_non_root()
}

/// Checks pairs in pre-order, one after another, against the root. Memory grows with the depth.
#[derive(Debug)]
pub(super) struct Walk {
    /// Inner nodes whose pairs have yet to come, the next one last.
    ahead: Vec<Node>,
    pairs: u64,
}

#[derive(Debug)]
struct Node {
    hash: [u8; 32],
    groups: u64,
    is_root: bool,
}

impl Walk {
    pub(super) fn new(blob: BlobId, size_bytes: u64) -> Self {
        let mut walk = Self {
            ahead: Vec::new(),
            pairs: 0,
        };
        walk.expect(*blob.as_bytes(), groups_of(size_bytes), true);
        walk
    }

    /// Takes the next pair.
    pub(super) fn pair(&mut self, pair: &[u8; PAIR_BYTES]) -> Result<(), OutboardFault> {
        let fault = OutboardFault::Pair { pair: self.pairs };
        let (Some(node), [left, right]) = (self.ahead.pop(), pair.as_chunks::<32>().0) else {
            return Err(fault);
        };
        if join(left, right, node.is_root) != node.hash {
            return Err(fault);
        }
        self.pairs += 1;
        // The left one is full: the largest power of two that leaves something to the right.
        let of_left = node.groups.div_ceil(2).next_power_of_two();
        self.expect(*right, node.groups - of_left, false);
        self.expect(*left, of_left, false);
        Ok(())
    }

    fn expect(&mut self, hash: [u8; 32], groups: u64, is_root: bool) {
        if groups > 1 {
            self.ahead.push(Node {
                hash,
                groups,
                is_root,
            });
        }
    }
}
