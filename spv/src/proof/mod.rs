//! Payment proofs: that a transaction in a block of a chain pays a vote. Who has the headers needs
//! nothing else to judge one. `docs/protocol/payment.md` says the same to the byte.

pub mod batch;
mod branch;
mod check;
mod codec;
mod commitment;
mod error;
mod key;
mod prover;
mod tagged;
#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchError, Recipient};
pub use branch::branch_of;
pub use check::{Checked, Confirmed, counted_sats};
pub use commitment::{BatchPath, SumStep, commitment_script, commitments};
pub use error::ProofError;
pub use key::{KeyError, address, address_script, internal_key, parse_key, plain_script, tweak};
pub use prover::{Claim, ProveError, prove, strip};

use bitcoin::BlockHash;
use model::EntryId;

use crate::Network;

/// Longest encoding of a proof, in bytes: what a row of a forum holds.
pub const MAX_PROOF_BYTES: usize = 8192;
/// Most levels of a block's merkle tree: 4,000,000 weight units hold 16,666 transactions of 60 bytes.
pub const MAX_BRANCH_DEPTH: usize = 15;
/// Most levels of either tree of a batch.
pub const MAX_PATH_DEPTH: usize = 20;
/// Longest script of an output that pays for a batch, bytes: what addresses stand for is shorter
/// (at most 42), and whoever keeps proofs keeps their scripts.
pub const MAX_SCRIPT_BYTES: usize = 80;
/// First byte of a proof.
const VERSION: u8 = 1;

/// The chain of headers that proofs are judged by.
pub trait Headers {
    /// Whose headers these are.
    fn network(&self) -> Network;
    /// Height of the last header with the most work.
    fn tip_height(&self) -> u32;
    /// Height and header of a block: only while it is on the chain with the most work.
    fn active(&self, block: &BlockHash) -> Option<(u32, bitcoin::block::Header)>;
    /// Header of a block on a branch with less work, where such are kept.
    fn aside(&self, block: &BlockHash) -> Option<bitcoin::block::Header> {
        let _ = block;
        None
    }
}

/// That a transaction pays a vote. Nothing in it is true before [`PaymentProof::check`] and
/// [`Checked::judge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentProof {
    /// The chain.
    pub network: Network,
    /// Vote paid for.
    pub vote: EntryId,
    /// The recipient's key: x-only (BIP 340).
    pub key: [u8; 32],
    /// Row that made this the recipient's key. Whose row it is, is judged by who holds it.
    pub key_row: EntryId,
    /// Block that holds the transaction.
    pub block: BlockHash,
    /// Transaction without its witnesses, consensus-encoded.
    pub transaction: Vec<u8>,
    /// Position of the transaction in its block.
    pub index: u32,
    /// Siblings from the transaction up to the block's merkle root.
    pub branch: Vec<[u8; 32]>,
    /// Output that pays.
    pub vout: u32,
    /// How the output is bound to the vote.
    pub binding: Binding,
}

/// How an output is bound to a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// By its key, which is made of the recipient's key and the vote: the whole output is for it.
    Address,
    /// By the transaction's commitment to a tree of votes.
    Batch(BatchPath),
}

/// Binary CID of an entry: `01 71 1e 20`, then the digest.
fn entry_cid(entry: &EntryId) -> [u8; 36] {
    let mut cid = [0; 36];
    cid[..4].copy_from_slice(&ENTRY_CID_PREFIX);
    cid[4..].copy_from_slice(entry.as_bytes());
    cid
}

/// Version, codec (dag-cbor), hash (BLAKE3) and digest length of an entry's CID.
const ENTRY_CID_PREFIX: [u8; 4] = [0x01, 0x71, 0x1e, 0x20];
