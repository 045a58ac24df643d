//! Merkle branches of Bitcoin's blocks, and the two ways in which such trees have been abused.

use bitcoin::{
    Block,
    hashes::{Hash, sha256d},
};

use super::{MAX_BRANCH_DEPTH, ProofError};

/// Bytes of two hashes: what a node of the tree is the hash of.
const NODE_BYTES: usize = 64;

/// Goes from a transaction's id up to the root.
///
/// Two children that are equal stand where a level's last node has no neighbour and is joined to its
/// copy, and nowhere else (CVE-2012-2459). A node whose 64 bytes read as a transaction would let a
/// transaction that is there vouch for one that isn't (CVE-2017-12842).
pub(super) fn root(
    transaction: [u8; 32],
    index: u32,
    branch: &[[u8; 32]],
) -> Result<[u8; 32], ProofError> {
    let depth = branch.len();
    if depth > MAX_BRANCH_DEPTH {
        return Err(ProofError::BranchDepth { found: depth });
    }
    if index >> depth != 0 {
        return Err(ProofError::IndexRange { index, depth });
    }
    let mut node = transaction;
    let mut is_last = false;
    for (level, sibling) in branch.iter().enumerate() {
        let is_right = index >> level & 1 == 1;
        let is_padded = node == *sibling;
        // The copy is never proved; and above a level's last node there are only last nodes.
        let is_false = if is_right {
            is_padded
        } else {
            is_last && !is_padded
        };
        if is_false {
            return Err(ProofError::DuplicatedSibling { level: level + 1 });
        }
        is_last |= is_padded;
        let (left, right) = if is_right {
            (sibling, &node)
        } else {
            (&node, sibling)
        };
        let bytes = pair(left, right);
        if is_transaction(&bytes) {
            return Err(ProofError::NodeIsTransaction { level: level + 1 });
        }
        node = sha256d::Hash::hash(&bytes).to_byte_array();
    }
    Ok(node)
}

/// Siblings of a block's transaction, from its neighbour up to the root; `None` without such a
/// transaction.
pub fn branch_of(block: &Block, index: usize) -> Option<Vec<[u8; 32]>> {
    let transactions = block.txdata.iter();
    let mut level: Vec<[u8; 32]> = transactions
        .map(|transaction| transaction.compute_txid().to_byte_array())
        .collect();
    level.get(index)?;
    let mut branch = Vec::new();
    while level.len() > 1 {
        if level.len() % 2 == 1 {
            level.extend(level.last().copied());
        }
        branch.push(*level.get((index >> branch.len()) ^ 1)?);
        let pairs = level.as_chunks::<2>().0.iter();
        level = pairs
            .map(|[left, right]| sha256d::Hash::hash(&pair(left, right)).to_byte_array())
            .collect();
    }
    Some(branch)
}

fn pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; NODE_BYTES] {
    let mut bytes = [0; NODE_BYTES];
    bytes[..32].copy_from_slice(left);
    bytes[32..].copy_from_slice(right);
    bytes
}

/// Whether 64 bytes are a transaction without witnesses that a block may hold: one input and one
/// output, since there is room for no more and no fewer are valid.
///
/// version 4, inputs 1, outpoint 36, script 1 + s, sequence 4, outputs 1, sats 8, script 1 + p, lock
/// time 4: so s + p = 4.
pub(super) fn is_transaction(bytes: &[u8; NODE_BYTES]) -> bool {
    const INPUTS: usize = 4;
    const INPUT_SCRIPT: usize = INPUTS + 1 + 36;
    const SCRIPTS_BYTES: usize = 4;
    let spent = usize::from(bytes[INPUT_SCRIPT]);
    if bytes[INPUTS] != 1 || spent > SCRIPTS_BYTES {
        return false;
    }
    let outputs = INPUT_SCRIPT + 1 + spent + 4;
    bytes[outputs] == 1 && usize::from(bytes[outputs + 1 + 8]) == SCRIPTS_BYTES - spent
}
