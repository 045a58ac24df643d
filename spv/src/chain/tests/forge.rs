//! Headers that cost next to nothing.

use bitcoin::{
    BlockHash, CompactTarget, Target, TxMerkleNode, Work,
    block::{Header, Version},
    hashes::Hash,
};

use super::super::{HeaderChain, rules::Rules};
use crate::Network;

/// A clock that is ahead of every header here.
pub const NOW_S: u32 = 2_000_000_000;
/// Regtest's target.
pub const EASY_BITS: u32 = 0x207f_ffff;

/// A header that stands on another; the salt tells siblings apart.
pub fn header(parent: BlockHash, time_s: u32, bits: CompactTarget, salt: u32) -> Header {
    let mut root = [0; 32];
    root[..4].copy_from_slice(&salt.to_le_bytes());
    Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: parent,
        merkle_root: TxMerkleNode::from_byte_array(root),
        time: time_s,
        bits,
        nonce: 0,
    }
}

/// The same with a nonce that does (or does not) meet its target.
pub fn ground(mut header: Header, meets: bool) -> Header {
    let target = Target::from_compact(header.bits);
    while target.is_met_by(header.block_hash()) != meets {
        header.nonce += 1;
    }
    header
}

/// Blocks on top of a block, ten minutes apart, on regtest.
pub fn blocks(parent: &Header, count: usize, salt: u32) -> Vec<Header> {
    let mut last = *parent;
    let bits = CompactTarget::from_consensus(EASY_BITS);
    let mut next = || {
        last = ground(header(last.block_hash(), last.time + 600, bits, salt), true);
        last
    };
    (0..count).map(|_| next()).collect()
}

/// The first block of regtest.
pub fn genesis() -> Header {
    HeaderChain::new(Network::Regtest).header(0).unwrap()
}

/// A chain whose target changes every eight blocks, so that branches differ in work. Its blocks are
/// seconds apart: the arithmetic has no room for targets this high times longer periods.
pub fn lively_rules() -> Rules {
    let mut rules = Rules::of(Network::Regtest);
    rules.retargets = true;
    rules.period_blocks = 8;
    rules.limit_bits = CompactTarget::from_consensus(0x2003_ffff);
    rules.genesis.bits = rules.limit_bits;
    rules.params.no_pow_retargeting = false;
    rules.params.pow_target_timespan = 15;
    rules.params.max_attainable_target = Target::from_compact(rules.limit_bits);
    rules
}

/// A small number of work.
pub fn work(number: u64) -> Work {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Work::from_be_bytes(bytes)
}
