//! Whether a block is the one that its header stands for.

use std::collections::BTreeSet;

use bitcoin::Block;

use super::error::BlockFault;

/// Weight units of the largest block (BIP141), and so the most bytes that one can have.
const MAX_WEIGHT: u64 = 4_000_000;

/// Checks a block against its own header; that the header is on the chain is for the caller.
///
/// A transaction of 64 bytes makes no forgery: consensus allows it. That none of them is an inner
/// node of the tree (CVE-2017-12842) is shown by the first one, which makes new coins: leaves are
/// all on one level, so that a forgery would need another coinbase with a given hash.
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
    let mut ids = block.txdata.iter().map(|one| one.compute_txid());
    if !ids.all(|id| seen.insert(id)) {
        return Err(BlockFault::Repeated);
    }
    if !block.check_witness_commitment() {
        return Err(BlockFault::Witnesses);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bitcoin::{Amount, ScriptBuf, Transaction, TxOut, Witness};

    use super::*;
    use crate::regtest::Miner;

    /// A block with two payments, one of them with a witness.
    fn paying(script: &[u8]) -> Block {
        let miner = Miner::new(1, 1_700_000_000);
        miner.mine_many(110);
        let output = TxOut {
            value: Amount::from_sat(1_000),
            script_pubkey: ScriptBuf::from_bytes(script.to_vec()),
        };
        let plain = miner.pay(vec![output.clone()]).unwrap();
        let mut witnessed = miner.pay(vec![output.clone(), output]).unwrap();
        witnessed.input[0].witness = Witness::from_slice(&[b"a witness"]);
        miner.mine(vec![plain, witnessed])
    }

    fn under_own_root(mut block: Block) -> Block {
        block.header.merkle_root = block.compute_merkle_root().unwrap();
        block
    }

    #[test]
    fn true_blocks_pass_with_their_witnesses_and_without() {
        let mut block = paying(b"script");
        assert_eq!(check_block(&block), Ok(()));
        let inputs = block.txdata.iter_mut().flat_map(|one| &mut one.input);
        inputs.for_each(|input| input.witness.clear());
        assert_eq!(check_block(&block), Ok(()));
        let genesis = bitcoin::blockdata::constants::genesis_block(bitcoin::Network::Bitcoin);
        assert_eq!(check_block(&genesis), Ok(()));
    }

    #[test]
    fn each_forgery_of_a_block_is_named() {
        type Forge = fn(&mut Vec<Transaction>);
        let cases: [(Forge, BlockFault); 8] = [
            (
                |txs| txs[0].output[0].value += Amount::ONE_SAT,
                BlockFault::MerkleRoot,
            ),
            (|txs| txs.swap(1, 2), BlockFault::MerkleRoot),
            (|txs| drop(txs.pop()), BlockFault::MerkleRoot),
            (|txs| txs.clear(), BlockFault::Coinbase),
            (|txs| drop(txs.remove(0)), BlockFault::Coinbase),
            (|txs| txs.push(txs[0].clone()), BlockFault::Coinbase),
            (|txs| txs.push(txs[2].clone()), BlockFault::Repeated),
            (
                |txs| txs[2].input[0].witness = Witness::from_slice(&[b"another"]),
                BlockFault::Witnesses,
            ),
        ];
        for (index, (forge, fault)) in cases.into_iter().enumerate() {
            let mut block = paying(b"script");
            forge(&mut block.txdata);
            assert_eq!(check_block(&block), Err(fault), "case {index}");
        }
    }

    #[test]
    fn a_transaction_of_64_bytes_is_allowed_and_what_is_too_large_is_not() {
        let mut block = paying(b"script");
        block.txdata.truncate(2);
        block.txdata[1].output.truncate(1);
        block.txdata[1].output[0].script_pubkey = ScriptBuf::from_bytes(vec![0; 4]);
        assert_eq!(block.txdata[1].base_size(), 64);
        let inputs = block.txdata.iter_mut().flat_map(|one| &mut one.input);
        inputs.for_each(|input| input.witness.clear());
        let block = under_own_root(block);
        assert_eq!(check_block(&block), Ok(()));

        let mut block = paying(b"script");
        block.txdata[1].output[0].script_pubkey = ScriptBuf::from_bytes(vec![0; 1_000_000]);
        let block = under_own_root(block);
        let bytes = block.total_size();
        assert_eq!(check_block(&block), Err(BlockFault::TooLarge { bytes }));
    }
}
