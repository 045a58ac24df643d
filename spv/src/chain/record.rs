//! A header in its 80 bytes.

use bitcoin::{
    BlockHash, CompactTarget, TxMerkleNode,
    block::{Header, Version},
    hashes::{Hash, sha256d},
};

/// Bytes of a header, on the wire and on disk.
pub(super) const HEADER_BYTES: usize = 80;

/// A header as it is hashed, sent and kept. Any 80 bytes are one.
pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Header {
    Header {
        version: Version::from_consensus(i32::from_le_bytes(part(bytes, 0))),
        prev_blockhash: BlockHash::from_byte_array(part(bytes, 4)),
        merkle_root: TxMerkleNode::from_byte_array(part(bytes, 36)),
        time: u32::from_le_bytes(part(bytes, 68)),
        bits: CompactTarget::from_consensus(u32::from_le_bytes(part(bytes, 72))),
        nonce: u32::from_le_bytes(part(bytes, 76)),
    }
}

/// A header's bytes.
pub(super) fn encode(header: &Header) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(&header.version.to_consensus().to_le_bytes());
    bytes[4..36].copy_from_slice(header.prev_blockhash.as_byte_array());
    bytes[36..68].copy_from_slice(header.merkle_root.as_byte_array());
    bytes[68..72].copy_from_slice(&header.time.to_le_bytes());
    bytes[72..76].copy_from_slice(&header.bits.to_consensus().to_le_bytes());
    bytes[76..].copy_from_slice(&header.nonce.to_le_bytes());
    bytes
}

/// A header's hash, in one go: piece by piece, as the header hashes itself, takes half as long
/// again.
pub(super) fn hash(header: &Header) -> BlockHash {
    BlockHash::from_raw_hash(sha256d::Hash::hash(&encode(header)))
}

fn part<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

#[cfg(test)]
mod tests {
    use bitcoin::{blockdata::constants::genesis_block, consensus};

    use super::*;
    use crate::Network;

    #[test]
    fn headers_have_the_bytes_that_the_wire_has() {
        for network in Network::ALL {
            let header = genesis_block(network.kind()).header;
            let bytes = encode(&header);
            assert_eq!(bytes[..], consensus::serialize(&header));
            assert_eq!(decode(&bytes), header);
            assert_eq!(hash(&header), network.genesis());
        }
    }
}
