//! Whether a block is the one that its header stands for.

use std::collections::BTreeSet;

use bitcoin::Block;

use super::error::BlockFault;

/// Weight units of the largest block (BIP141), and so the most bytes that one can have.
const MAX_WEIGHT: u64 = 4_000_000;
/// Bytes of an inner node of the merkle tree: two hashes.
const INNER_NODE_BYTES: usize = 64;

/// Checks a block against its own header; that the header is on the chain is for the caller.
///
/// Peers that were asked for a block without witnesses send none: then there are none to check.
///
/// # Errors
/// [`BlockFault`].
pub fn check_block(block: &Block) -> Result<(), BlockFault> {
    if block.weight().to_wu() > MAX_WEIGHT {
        return Err(BlockFault::TooLarge {
            bytes: block.total_size(),
        });
    }
    let mut transactions = block.txdata.iter();
    let begins = transactions.next().is_some_and(|one| one.is_coinbase());
    if !begins || transactions.any(|one| one.is_coinbase()) {
        return Err(BlockFault::Coinbase);
    }
    if !block.check_merkle_root() {
        return Err(BlockFault::MerkleRoot);
    }
    let mut seen = BTreeSet::new();
    for transaction in &block.txdata {
        if transaction.base_size() == INNER_NODE_BYTES {
            return Err(BlockFault::InnerNode);
        }
        if !seen.insert(transaction.compute_txid()) {
            return Err(BlockFault::Repeated);
        }
    }
    if !block.check_witness_commitment() {
        return Err(BlockFault::Witnesses);
    }
    Ok(())
}
