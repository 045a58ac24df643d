//! From the `bitcoin` crate that `nakamoto` was built with to ours, and back: by the bytes that
//! the network carries.

use bitcoin::{
    BlockHash, Txid,
    consensus::{Decodable, Encodable, encode},
    hashes::Hash as _,
};
use nakamoto_common::bitcoin as old;
use old::hashes::Hash as _;

/// Something of theirs as ours.
pub(super) fn ours<T: old::consensus::Encodable, U: Decodable>(
    theirs: &T,
) -> Result<U, encode::Error> {
    encode::deserialize(&old::consensus::serialize(theirs))
}

/// Something of ours as theirs.
pub(super) fn theirs<T: Encodable, U: old::consensus::Decodable>(
    ours: &T,
) -> Result<U, old::consensus::encode::Error> {
    old::consensus::deserialize(&encode::serialize(ours))
}

/// A hash of ours as theirs.
pub(super) fn their_hash(hash: &BlockHash) -> old::BlockHash {
    old::BlockHash::from_inner(hash.to_byte_array())
}

/// A hash of theirs as ours.
pub(super) fn our_hash(hash: &old::BlockHash) -> BlockHash {
    BlockHash::from_byte_array(hash.into_inner())
}

/// A transaction's id of theirs as ours.
pub(super) fn our_id(id: &old::Txid) -> Txid {
    Txid::from_byte_array(id.into_inner())
}

#[cfg(test)]
mod tests {
    use bitcoin::{Block, blockdata::constants::genesis_block};

    use super::*;

    #[test]
    fn blocks_and_hashes_come_back_as_they_were() {
        let block = genesis_block(bitcoin::Network::Bitcoin);
        let old: old::Block = theirs(&block).unwrap();
        assert_eq!(ours::<_, Block>(&old).unwrap(), block);
        assert_eq!(our_hash(&old.block_hash()), block.block_hash());
        assert_eq!(their_hash(&block.block_hash()), old.block_hash());
    }
}
