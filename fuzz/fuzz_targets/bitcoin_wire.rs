//! What peers of a chain send: a block that passes is the one that its header stands for, headers
//! that pass never make the chain lighter, and messages are followed alike however they are cut.
#![no_main]

use bitcoin::{Block, block::Header, consensus::deserialize, hashes::Hash};
use libfuzzer_sys::fuzz_target;
use spv::{
    Network,
    chain::HeaderChain,
    source::{Frames, check_block},
};

/// Bytes of a header.
const HEADER_BYTES: usize = 80;
/// The clock: later than any seed.
const NOW_S: u32 = 1_780_000_000;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(block) = deserialize::<Block>(bytes) {
        judge(&block);
    }
    extend(bytes);
    follow(bytes);
});

fn judge(block: &Block) {
    if check_block(block).is_err() {
        return;
    }
    let root = block.compute_merkle_root().map(|root| root.to_byte_array());
    assert_eq!(root, Some(block.header.merkle_root.to_byte_array()));
    assert!(block.txdata[0].is_coinbase() && block.total_size() <= 4_000_000);
    let mut other = block.clone();
    other.txdata[0].lock_time =
        bitcoin::absolute::LockTime::from_consensus(!other.txdata[0].lock_time.to_consensus_u32());
    assert!(check_block(&other).is_err());
}

fn extend(bytes: &[u8]) {
    let mut chain = HeaderChain::new(Network::Regtest);
    let headers = bytes.chunks_exact(HEADER_BYTES);
    let headers: Vec<Header> = headers.filter_map(|one| deserialize(one).ok()).collect();
    for batch in headers.chunks(3) {
        let before = chain.tip();
        let moved = match chain.accept(batch, NOW_S) {
            Ok(change) => change,
            Err(refused) => *refused.kept,
        };
        assert_eq!(moved.tip, chain.tip());
        assert!(chain.tip().work >= before.work);
        for (height, hash) in moved.connected {
            assert_eq!(chain.hash(height), Some(hash));
        }
    }
}

fn follow(bytes: &[u8]) {
    let at_once = Frames::default().follow(bytes);
    let mut frames = Frames::default();
    let mut piecewise = true;
    for piece in bytes.chunks(7) {
        piecewise = frames.follow(piece);
    }
    assert_eq!(at_once, piecewise);
}
