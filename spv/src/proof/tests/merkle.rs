//! Tricks with the merkle trees of blocks.

use bitcoin::{
    Block, BlockHash, ScriptBuf, Transaction,
    consensus::{deserialize, serialize},
    hashes::Hash,
};
use proptest::prelude::*;

use super::world::*;
use crate::proof::{PaymentProof, ProofError, branch, branch_of, prove, strip};

fn txid(transaction: &Transaction) -> [u8; 32] {
    transaction.compute_txid().to_byte_array()
}

/// Where a branch leads when nothing is looked at.
fn fold(proof: &PaymentProof) -> [u8; 32] {
    let transaction: Transaction = deserialize(&proof.transaction).unwrap();
    let mut node = txid(&transaction);
    for (level, sibling) in proof.branch.iter().enumerate() {
        node = match proof.index >> level & 1 {
            0 => join(&node, sibling),
            _ => join(sibling, &node),
        };
    }
    node
}

/// The branch convinces whoever only folds it, and not us.
fn fools_only_others(proof: &PaymentProof, block: &Block, error: &ProofError) {
    assert_eq!(fold(proof), block.header.merkle_root.to_byte_array());
    assert_eq!(judge(proof, &chain(block.header)), Err(error.clone()));
}

/// A payment that was never made, vouched for by a transaction of 64 bytes in a real block: one half
/// of those is the payment's id. One id in 256 fits the form.
pub fn vouched() -> (PaymentProof, Block) {
    let (_, mut never_made) = address_payment(1_000_000);
    while txid(&never_made)[4] != 1 {
        never_made.input[0].previous_output.vout += 1;
    }
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&txid(&never_made));
    bytes[32..41].fill(7);
    bytes[41] = 4;
    bytes[50] = 1;
    bytes[51..55].fill(1);
    let vouching: Transaction = deserialize(&bytes).unwrap();
    assert_eq!(serialize(&vouching), bytes);

    let block = block([stranger(1), vouching, stranger(2)]);
    let mut branch = vec![<[u8; 32]>::try_from(&bytes[32..]).unwrap()];
    branch.extend(branch_of(&block, 2).unwrap());
    let proof = PaymentProof {
        block: block.block_hash(),
        transaction: strip(&never_made),
        index: 4,
        branch,
        ..address_proof().0
    };
    (proof, block)
}

#[test]
fn a_transaction_of_64_bytes_does_not_vouch_for_one_that_is_not_there() {
    let (proof, block) = vouched();
    let error = ProofError::NodeIsTransaction { level: 1 };
    fools_only_others(&proof, &block, &error);
}

/// A payment of 64 bytes: it could be an inner node of the tree that it is a leaf of.
pub fn leaf_of_64_bytes() -> (PaymentProof, Chain) {
    let small = Transaction {
        output: vec![output(ScriptBuf::from_bytes(vec![0x51; 4]), 2100)],
        ..transaction(5, Vec::new())
    };
    moved(&address_proof().0, strip(&small))
}

#[test]
fn a_node_of_the_tree_is_not_a_transaction() {
    let (proof, chain) = leaf_of_64_bytes();
    assert_eq!(proof.transaction.len(), 64);
    assert_eq!(judge(&proof, &chain), Err(ProofError::TransactionOf64Bytes));
}

#[test]
fn the_copy_of_a_lone_last_transaction_proves_nothing() {
    let (claim, paying) = address_payment(2100);
    let block = block([stranger(1), paying]);
    let real = prove(&block, 2, claim).unwrap();
    assert_eq!(judge(&real, &chain(block.header)).unwrap().1, CONFIRMED);
    let copy = PaymentProof { index: 3, ..real };
    fools_only_others(&copy, &block, &ProofError::DuplicatedSibling { level: 1 });
}

/// A real proof from the last, lone subtree of a block.
pub fn lone_last() -> (PaymentProof, Block) {
    let (claim, paying) = address_payment(2100);
    let block = block(
        [1, 2, 3]
            .map(stranger)
            .into_iter()
            .chain([paying, stranger(4)]),
    );
    (prove(&block, 4, claim).unwrap(), block)
}

#[test]
fn the_copy_of_a_lone_last_subtree_proves_nothing() {
    let (real, block) = lone_last();
    assert_eq!(judge(&real, &chain(block.header)).unwrap().1, CONFIRMED);
    let copy = PaymentProof { index: 6, ..real };
    fools_only_others(&copy, &block, &ProofError::DuplicatedSibling { level: 2 });
}

#[test]
fn nothing_stands_to_the_right_of_a_padded_subtree() {
    // the block was given with its fourth transaction twice, which leaves room for more beyond
    let (claim, paying) = address_payment(2100);
    let twice = [stranger(1), paying.clone(), paying];
    let block = block(twice.into_iter().chain([4, 5].map(stranger)));
    assert!(prove(&block, 2, claim).is_err());
    let (real, _) = address_proof();
    let copy = PaymentProof {
        block: block.block_hash(),
        index: 2,
        branch: branch_of(&block, 2).unwrap(),
        ..real
    };
    fools_only_others(&copy, &block, &ProofError::DuplicatedSibling { level: 3 });
}

#[test]
fn a_branch_is_no_deeper_than_a_block() {
    let (mut proof, chain) = address_proof();
    let depth = proof.branch.len();
    proof.branch.resize(16, [0; 32]);
    let error = ProofError::BranchDepth { found: 16 };
    assert_eq!(proof.check(), Err(error.clone()));
    assert_eq!(judge(&proof, &chain), Err(error));
    proof.branch.truncate(15);
    let error = ProofError::WrongBranch(proof.block);
    assert_eq!(judge(&proof, &chain), Err(error));
    proof.branch.truncate(depth);
    assert!(judge(&proof, &chain).is_ok());
}

#[test]
fn a_position_beyond_the_branch_is_refused() {
    let (proof, chain) = address_proof();
    let depth = proof.branch.len();
    for index in [8, 11, 1 << 15, u32::MAX] {
        let proof = PaymentProof {
            index,
            ..proof.clone()
        };
        let error = ProofError::IndexRange { index, depth };
        assert_eq!(judge(&proof, &chain), Err(error));
    }
}

#[test]
fn a_branch_of_other_nodes_leads_elsewhere() {
    let (proof, chain) = address_proof();
    let wrong = ProofError::WrongBranch(proof.block);
    for level in 0..proof.branch.len() {
        let mut other = proof.clone();
        other.branch[level][0] ^= 1;
        assert_eq!(judge(&other, &chain), Err(wrong.clone()));
    }
    let mut shorter = proof.clone();
    shorter.branch.pop();
    assert_eq!(judge(&shorter, &chain), Err(wrong.clone()));
    let elsewhere = PaymentProof { index: 2, ..proof };
    assert_eq!(judge(&elsewhere, &chain), Err(wrong));
}

#[test]
fn the_reward_of_a_block_pays_no_vote() {
    let (claim, paying) = address_payment(2100);
    let mut reward = coinbase();
    reward.output.clone_from(&paying.output);
    let mut block = block([stranger(1)]);
    block.txdata[0] = reward.clone();
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    let refused = prove(&block, 0, claim);
    assert_eq!(refused, Err(ProofError::Coinbase.into()));
    // nor from another position, nor does another transaction from this one
    let (proof, chain) = moved(&address_proof().0, strip(&reward));
    assert_eq!(judge(&proof, &chain), Err(ProofError::Coinbase));
    let (proof, chain) = address_proof();
    let first = PaymentProof { index: 0, ..proof };
    assert_eq!(judge(&first, &chain), Err(ProofError::Coinbase));
}

#[test]
fn a_block_that_is_not_on_the_chain_is_pending() {
    let (proof, mut chain) = address_proof();
    let checked = proof.check().unwrap();
    assert_eq!(checked.judge(&chain), Ok(CONFIRMED));
    let taken = chain.headers.remove(1);
    let error = checked.judge(&chain).unwrap_err();
    assert_eq!(error, ProofError::BlockUnknown(taken.block_hash()));
    assert!(error.is_pending());
    chain.headers.push(taken);
    let again = checked.judge(&chain).unwrap();
    assert_eq!((again.height, again.confirmations), (3, 1));
    let unknown = PaymentProof {
        block: BlockHash::all_zeros(),
        ..proof
    };
    assert!(judge(&unknown, &chain).unwrap_err().is_pending());
}

#[test]
fn every_transaction_of_any_block_has_its_branch() {
    for size in 2..40 {
        let (claim, paying) = address_payment(2100);
        for index in 1..size {
            let mut others: Vec<_> = (1..size - 1).map(|seed| stranger(seed + 10)).collect();
            others.insert(usize::from(index) - 1, paying.clone());
            let block = block(others);
            let proof = prove(&block, index.into(), claim.clone()).unwrap();
            assert_eq!(judge(&proof, &chain(block.header)).unwrap().1, CONFIRMED);
        }
    }
}

proptest! {
    /// The form of a small transaction is what the library reads as one.
    #[test]
    fn what_reads_as_a_transaction_is_known(
        mut bytes in any::<[u8; 32]>(),
        mut right in any::<[u8; 32]>(),
        spent in 0..6_u8,
        paid in 0..6_u8,
        slip in prop::option::weighted(0.3, (0..64_usize, any::<u8>())),
    ) {
        bytes[4] = 1;
        right[9] = spent;
        let outputs = 10 + usize::from(spent) + 4;
        right[outputs] = 1;
        if let Some(length) = right.get_mut(outputs + 9) {
            *length = paid;
        }
        if let Some((at, byte)) = slip {
            if at < 32 { bytes[at] = byte } else { right[at - 32] = byte }
        }
        let whole: [u8; 64] = [bytes, right].concat().try_into().unwrap();
        let read = deserialize::<Transaction>(&whole).is_ok_and(|transaction| {
            (transaction.input.len(), transaction.output.len()) == (1, 1)
                && transaction.input[0].witness.is_empty()
        });
        prop_assert_eq!(branch::is_transaction(&whole), read);
    }
}

#[test]
fn the_smallest_transaction_has_60_bytes() {
    let least = transaction(1, vec![output(ScriptBuf::new(), 1)]);
    assert_eq!(strip(&least).len(), 60);
}
