//! What a transaction says about a batch of votes: one hash over a tree of its outputs, and below
//! each output a tree over votes and sats whose sum the output must cover.

use bitcoin::{
    Script, ScriptBuf, Transaction, hashes::Hash, opcodes::all::OP_RETURN, script::Builder,
};
use model::EntryId;

use super::{MAX_PATH_DEPTH, ProofError, entry_cid, tagged};
use crate::Network;

/// First bytes of the data that a commitment is.
const MARK: [u8; 4] = *b"datt";
/// `OP_RETURN`, a push of 36 bytes, mark, hash: the only form of a commitment.
const SCRIPT_BYTES: usize = 38;
/// Most leaves of a tree.
pub(super) const MAX_LEAVES: u32 = 1 << MAX_PATH_DEPTH;

/// Where a vote stands in a transaction's commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPath {
    /// What the vote is paid, in sats.
    pub sats: u64,
    /// Its position among the votes of its output.
    pub position: u32,
    /// Votes of its output.
    pub votes: u32,
    /// Siblings from the vote to the root of its output's sum tree.
    pub sums: Vec<SumStep>,
    /// Outputs that the transaction commits to: the first so many.
    pub outputs: u32,
    /// Siblings from the output to the root that is committed to.
    pub siblings: Vec<[u8; 32]>,
}

/// A node of a sum tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumStep {
    /// Hash of the node.
    pub hash: [u8; 32],
    /// Sum of the leaves below it, in sats.
    pub sats: u64,
}

/// What the tree over outputs holds of one of them.
pub(super) struct OutputLeaf<'a> {
    pub(super) vout: u32,
    pub(super) script: &'a Script,
    pub(super) key: &'a [u8; 32],
    pub(super) key_row: &'a EntryId,
    pub(super) votes: u32,
}

impl SumStep {
    pub(super) fn leaf(vote: &EntryId, sats: u64) -> Self {
        let hash = tagged::LEAF.hash(&[&entry_cid(vote), &sats.to_le_bytes()]);
        Self { hash, sats }
    }

    pub(super) fn join(left: &Self, right: &Self) -> Option<Self> {
        let sats = left.sats.checked_add(right.sats)?;
        let hash = tagged::SUM.hash(&[
            &left.hash,
            &left.sats.to_le_bytes(),
            &right.hash,
            &right.sats.to_le_bytes(),
        ]);
        Some(Self { hash, sats })
    }
}

impl OutputLeaf<'_> {
    pub(super) fn hash(&self, root: &SumStep) -> [u8; 32] {
        tagged::OUTPUT.hash(&[
            &self.vout.to_le_bytes(),
            self.key,
            &entry_cid(self.key_row),
            &self.votes.to_le_bytes(),
            &root.hash,
            &root.sats.to_le_bytes(),
            self.script.as_bytes(),
        ])
    }
}

pub(super) fn join_outputs(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    tagged::OUTPUTS.hash(&[left, right])
}

/// What a transaction carries: the chain, how many outputs, and the root over them.
pub(super) fn commitment(network: Network, outputs: u32, root: &[u8; 32]) -> [u8; 32] {
    let genesis = network.genesis().to_byte_array();
    tagged::BATCH.hash(&[&genesis, &outputs.to_le_bytes(), root])
}

/// The output script that carries a commitment: `OP_RETURN`, then `datt` and the hash in one push.
pub fn commitment_script(commitment: &[u8; 32]) -> ScriptBuf {
    let mut data = [0; 36];
    data[..4].copy_from_slice(&MARK);
    data[4..].copy_from_slice(commitment);
    let script = Builder::new().push_opcode(OP_RETURN).push_slice(data);
    script.into_script()
}

/// Every commitment that a transaction carries. A payment has none or one.
pub fn commitments(transaction: &Transaction) -> Vec<[u8; 32]> {
    let scripts = transaction.output.iter();
    scripts
        .filter_map(|output| carried(&output.script_pubkey))
        .collect()
}

fn carried(script: &Script) -> Option<[u8; 32]> {
    let bytes: &[u8; SCRIPT_BYTES] = script.as_bytes().try_into().ok()?;
    let (head, hash) = bytes.split_at(6);
    let is_mark = head[..2] == [OP_RETURN.to_u8(), 36] && head[2..] == MARK;
    is_mark.then(|| hash.try_into().ok()).flatten()
}

/// Which way the siblings of a leaf stand, from the bottom up, in a tree whose odd nodes are
/// promoted: `true` where the sibling is on the left. Levels without sibling are left out.
pub(super) fn sides(mut position: u32, mut count: u32) -> impl Iterator<Item = bool> {
    std::iter::from_fn(move || {
        while count > 1 {
            let is_right = position & 1 == 1;
            let is_promoted = !is_right && position + 1 == count;
            position >>= 1;
            count = count.div_ceil(2);
            if !is_promoted {
                return Some(is_right);
            }
        }
        None
    })
}

/// Goes up a path, and says the node at its end.
pub(super) fn climb<N>(
    leaf: N,
    (position, count): (u32, u32),
    siblings: &[N],
    join: impl Fn(&N, &N) -> Result<N, ProofError>,
) -> Result<N, ProofError> {
    if count > MAX_LEAVES || position >= count {
        return Err(ProofError::PathPosition { position, count });
    }
    let mut siblings = siblings.iter();
    let mut node = leaf;
    for sibling_is_left in sides(position, count) {
        let sibling = siblings.next().ok_or(ProofError::PathDepth)?;
        node = if sibling_is_left {
            join(sibling, &node)?
        } else {
            join(&node, sibling)?
        };
    }
    if siblings.next().is_some() {
        return Err(ProofError::PathDepth);
    }
    Ok(node)
}

impl BatchPath {
    /// Root of the output's sum tree when this vote is in it.
    pub(super) fn sum_root(&self, vote: &EntryId) -> Result<SumStep, ProofError> {
        let leaf = SumStep::leaf(vote, self.sats);
        let place = (self.position, self.votes);
        climb(leaf, place, &self.sums, |left, right| {
            SumStep::join(left, right).ok_or(ProofError::SumOverflow)
        })
    }

    /// What the transaction must commit to when this output is among its.
    pub(super) fn commitment(
        &self,
        network: Network,
        output: &OutputLeaf<'_>,
        root: &SumStep,
    ) -> Result<[u8; 32], ProofError> {
        let place = (output.vout, self.outputs);
        let root = climb(output.hash(root), place, &self.siblings, |left, right| {
            Ok(join_outputs(left, right))
        })?;
        Ok(commitment(network, self.outputs, &root))
    }
}

/// A tree whose odd nodes are promoted: its root, and for each leaf the siblings on its way up.
/// `None` without leaves or when a join fails.
pub(super) fn tree<N: Copy>(
    leaves: &[N],
    join: impl Fn(&N, &N) -> Option<N>,
) -> Option<(N, Vec<Vec<N>>)> {
    let mut levels = vec![leaves.to_vec()];
    loop {
        let below = levels.last()?;
        if below.len() <= 1 {
            break;
        }
        let pairs = below.chunks(2);
        let level: Option<Vec<N>> = pairs
            .map(|pair| match pair {
                [left, right] => join(left, right),
                rest => rest.first().copied(),
            })
            .collect();
        levels.push(level?);
    }
    let root = *levels.last()?.first()?;
    let paths = (0..leaves.len()).map(|leaf| {
        let level = levels.iter().enumerate();
        level
            .filter_map(|(height, nodes)| nodes.get((leaf >> height) ^ 1).copied())
            .collect()
    });
    Some((root, paths.collect()))
}
