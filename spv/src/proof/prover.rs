//! Proofs made from whole blocks.

use bitcoin::{Block, BlockHash, Transaction, consensus::serialize};
use model::EntryId;
use thiserror::Error;

use super::{Binding, MAX_PROOF_BYTES, PaymentProof, ProofError, branch_of};
use crate::Network;

/// What a proof says beside where its transaction lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The chain.
    pub network: Network,
    /// Vote paid for.
    pub vote: EntryId,
    /// The recipient's key: x-only (BIP 340).
    pub key: [u8; 32],
    /// Row that made this the recipient's key.
    pub key_row: EntryId,
    /// Output that pays.
    pub vout: u32,
    /// How the output is bound to the vote.
    pub binding: Binding,
}

/// Why a block gives no proof.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProveError {
    /// Fewer transactions than that.
    #[error("the block has no transaction {index}")]
    NoTransaction {
        /// Position asked for.
        index: usize,
    },
    /// The transaction is too long to be carried.
    #[error("the proof would have {found} bytes; at most {MAX_PROOF_BYTES} are possible")]
    TooLong {
        /// Bytes that the proof would have.
        found: usize,
    },
    /// The outputs of the transaction are not those that were planned.
    #[error("output {vout} of the transaction is not the one that was planned")]
    Moved {
        /// Output that differs.
        vout: u32,
    },
    /// The proof would not hold.
    #[error("the block does not prove the payment: {0}")]
    Refused(#[from] ProofError),
}

/// Proves a payment by a transaction of a block. What comes out has been checked.
///
/// # Errors
/// When the transaction does not pay what is claimed, or is too long for a proof.
pub fn prove(block: &Block, index: usize, claim: Claim) -> Result<PaymentProof, ProveError> {
    let mut proofs = prove_all(block, index, vec![claim])?;
    proofs.pop().ok_or(ProveError::NoTransaction { index })
}

/// Proves several payments by one transaction; the block is hashed once.
pub(super) fn prove_all(
    block: &Block,
    index: usize,
    claims: Vec<Claim>,
) -> Result<Vec<PaymentProof>, ProveError> {
    let absent = ProveError::NoTransaction { index };
    let (Some(transaction), Some(branch), Ok(position)) = (
        block.txdata.get(index),
        branch_of(block, index),
        u32::try_from(index),
    ) else {
        return Err(absent);
    };
    let transaction = strip(transaction);
    let hash = block.block_hash();
    let proofs = claims.into_iter().map(|claim| {
        let proof = PaymentProof {
            transaction: transaction.clone(),
            ..claim.in_block(hash, position, branch.clone())
        };
        let found = proof.encode().len();
        if found > MAX_PROOF_BYTES {
            return Err(ProveError::TooLong { found });
        }
        proof.check()?;
        Ok(proof)
    });
    proofs.collect()
}

impl Claim {
    /// The proof of this claim, still without its transaction.
    pub(super) fn in_block(
        self,
        block: BlockHash,
        index: u32,
        branch: Vec<[u8; 32]>,
    ) -> PaymentProof {
        PaymentProof {
            network: self.network,
            vote: self.vote,
            key: self.key,
            key_row: self.key_row,
            block,
            transaction: Vec::new(),
            index,
            branch,
            vout: self.vout,
            binding: self.binding,
        }
    }
}

/// A transaction's bytes without its witnesses: those whose hash is its id.
pub fn strip(transaction: &Transaction) -> Vec<u8> {
    let mut bare = transaction.clone();
    for input in &mut bare.input {
        input.witness.clear();
    }
    serialize(&bare)
}
