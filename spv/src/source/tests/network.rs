//! One honest peer.

use std::time::Instant;

use bitcoin::{Amount, ScriptBuf, TxOut};

use super::*;
use crate::source::{BlockError, SourceError};

#[tokio::test]
async fn headers_are_synced_and_a_new_block_is_seen() {
    let miner = chain_of(2_500);
    let honest = peer(&miner, Behaviour::Honest);
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let spv = with_nakamoto(options(folder.path(), &[&honest]));
    reaches(&spv, miner.tip().block_hash()).await;
    println!("2,500 headers: {:?}", started.elapsed());
    assert_eq!(spv.chain().tip().height, 2_500);

    let mut changes = spv.changes();
    let mined = Instant::now();
    let block = miner.mine(Vec::new());
    let change = moved(&mut changes).await;
    println!("a new block: {:?}", mined.elapsed());
    assert_eq!(change.connected, [(2_501, block.block_hash())]);
    assert!(change.disconnected.is_empty());
    let status = spv.status();
    assert_eq!((status.source, status.restarts), (Some("nakamoto"), 0));
    assert_eq!((status.tip.height, status.last_error), (2_501, None));
    spv.stop().await;
}

#[tokio::test]
async fn a_reorg_of_six_blocks_by_eight_is_one_change() {
    let miner = chain_of(120);
    let honest = peer(&miner, Behaviour::Honest);
    let folder = tempfile::tempdir().unwrap();
    let spv = with_nakamoto(options(folder.path(), &[&honest]));
    reaches(&spv, miner.tip().block_hash()).await;
    let old: Vec<_> = (115..=120)
        .rev()
        .map(|height| hash_at(&miner, height))
        .collect();

    let mut changes = spv.changes();
    let mined = Instant::now();
    miner.fork_at(114);
    miner.mine_many(8);
    let change = moved(&mut changes).await;
    println!("a reorg of 6 by 8: {:?}", mined.elapsed());
    assert_eq!(change.disconnected, old);
    let new: Vec<_> = (115..=122)
        .map(|height| (height, hash_at(&miner, height)))
        .collect();
    assert_eq!(change.connected, new);
    assert_eq!(spv.chain().tip().hash, miner.tip().block_hash());
    let gone = spv.block(old[0]).await;
    assert_eq!(gone, Err(BlockError::Unknown(old[0])));
}

#[tokio::test]
async fn blocks_come_and_transactions_go() {
    let miner = chain_of(110);
    let peers = [
        peer(&miner, Behaviour::Honest),
        peer(&miner, Behaviour::Honest),
    ];
    let folder = tempfile::tempdir().unwrap();
    let spv = with_nakamoto(options(folder.path(), &[&peers[0], &peers[1]]));
    let output = TxOut {
        value: Amount::from_sat(3_000),
        script_pubkey: ScriptBuf::new(),
    };
    let transaction = miner.pay(vec![output]).unwrap();
    let told = in_time(spv.submit(transaction.clone())).await.unwrap();
    assert!((1..=2).contains(&told));
    for one in &peers {
        let received = one.wait_received(1, DEADLINE);
        assert_eq!(received, std::slice::from_ref(&transaction));
    }

    let block = miner.mine(vec![transaction]);
    reaches(&spv, block.block_hash()).await;
    let asked = Instant::now();
    let came = in_time(spv.block(block.block_hash())).await.unwrap();
    println!("a block: {:?}", asked.elapsed());
    assert_eq!(came, block);
}

#[tokio::test]
async fn peers_of_a_network_that_nakamoto_does_not_speak_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SpvOptions::new(Network::Testnet4, folder.path(), || NOW_S);
    options.seeds = true;
    let refused = Nakamoto::new(&options).unwrap_err();
    assert!(matches!(refused, SourceError::NoSuchNetwork { .. }));
    options.network = Network::Regtest;
    options.seeds = false;
    let refused = Nakamoto::new(&options).unwrap_err();
    assert!(matches!(refused, SourceError::NoPeers(_)));

    let miner = chain_of(30);
    let spv = Spv::import_only(options).unwrap();
    let headers: Vec<_> = miner
        .blocks()
        .iter()
        .skip(1)
        .map(|one| one.header)
        .collect();
    let change = spv.accept(&headers).unwrap();
    assert_eq!(change.connected.len(), 30);
    let tip = miner.tip();
    assert_eq!(spv.tip().borrow().hash, tip.block_hash());
    assert_eq!(spv.block(tip.block_hash()).await, Err(BlockError::NoSource));
    assert_eq!(spv.status().source, None);
    spv.stop().await;
}

fn hash_at(miner: &Miner, height: u32) -> BlockHash {
    miner.block_at(height).unwrap().block_hash()
}
