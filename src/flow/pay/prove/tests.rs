#![allow(clippy::unwrap_used)]
//! Blocks that pay a vote, and what is proved of them.

use bitcoin::{Amount, TxOut};
use model::IdentityId;
use spv::{proof::commitment_script, regtest::Miner};

use super::*;
use crate::payments::{facts::KeyRow, keys::Spending};

const NETWORK: Network = Network::Regtest;

fn published(entropy: u8, row: &[u8], time_ms: u64) -> Published {
    let words = bip39::Mnemonic::from_entropy(&[entropy; 16]).unwrap();
    let wallet = Spending::from_words(&words.to_string(), NETWORK).unwrap();
    Published {
        row: EntryId::of(row),
        key: KeyRow {
            identity: IdentityId::of(b"author"),
            network: NETWORK,
            key: wallet.public(),
            address: None,
            off: false,
        },
        time_ms,
    }
}

fn pays(to: &Published, vote: EntryId, sats: u64) -> TxOut {
    TxOut {
        value: Amount::from_sat(sats),
        script_pubkey: address_script(NETWORK, &to.key.key, &vote).unwrap(),
    }
}

/// A block with one transaction for each list of outputs.
fn block(transactions: Vec<Vec<TxOut>>) -> Block {
    let miner = Miner::new(5, 1_700_000_000);
    miner.mine_many(120);
    let paid = transactions.into_iter().map(|one| miner.pay(one).unwrap());
    let paid = paid.collect();
    miner.mine(paid)
}

#[test]
fn what_pays_by_any_key_ever_published_is_found_and_the_highest_comes_first() {
    let vote = EntryId::of(b"vote");
    let keys = [
        published(1, b"new", 3),
        published(2, b"old", 2),
        published(1, b"the same key, earlier", 1),
    ];
    let other = EntryId::of(b"another vote");
    let block = block(vec![
        vec![pays(&keys[0], other, 9_000), pays(&keys[0], vote, 1_000)],
        vec![pays(&keys[1], vote, 2_000)],
    ]);
    let proofs = paying(scan(&block, vote, &keys), vote, block.block_hash(), 3).unwrap();
    let shown: Vec<_> = proofs
        .iter()
        .map(|proof| {
            let checked = proof.check().unwrap();
            (checked.vote, checked.key_row, checked.sats)
        })
        .collect();
    assert_eq!(
        shown,
        [(vote, keys[1].row, 2_000), (vote, keys[0].row, 1_000)]
    );
}

#[test]
fn batches_and_other_votes_pay_nothing_and_that_is_said() {
    let vote = EntryId::of(b"vote");
    let keys = [published(1, b"row", 1)];
    let committed = TxOut {
        value: Amount::ZERO,
        script_pubkey: commitment_script(&[7; 32]),
    };
    let block = block(vec![
        vec![pays(&keys[0], EntryId::of(b"another vote"), 1_000)],
        vec![pays(&keys[0], vote, 1_000), committed],
    ]);
    let error = paying(scan(&block, vote, &keys), vote, block.block_hash(), 1).unwrap_err();
    assert!(matches!(error, NodeError::NotFound(_)), "{error:?}");
    assert!(error.to_string().contains("batch"), "{error}");
}

#[test]
fn dust_does_not_crowd_out_what_was_paid() {
    let vote = EntryId::of(b"vote");
    let keys = [published(1, b"row", 1)];
    let mut outputs = vec![pays(&keys[0], vote, 330); 2 * PAYMENTS];
    outputs.push(pays(&keys[0], vote, 50_000));
    let found = scan(&block(vec![outputs]), vote, &keys);
    assert_eq!(found.len(), PAYMENTS);
    let first = found.into_iter().next().unwrap().unwrap();
    assert_eq!(first.check().unwrap().sats, 50_000);
}
