//! Why a payment proof proves nothing.

use bitcoin::BlockHash;
use thiserror::Error;

use super::{
    KeyError, MAX_BRANCH_DEPTH, MAX_PATH_DEPTH, MAX_PROOF_BYTES, MAX_SCRIPT_BYTES, VERSION,
};
use crate::Network;

/// Why a proof does not decode, does not hold, or does not stand on a chain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// Longer than any proof.
    #[error("a payment proof has at most {MAX_PROOF_BYTES} bytes, this one has {found}")]
    TooLong {
        /// Its bytes.
        found: usize,
    },
    /// Ends within a field.
    #[error("the payment proof is cut off: it ends within its {field}")]
    Truncated {
        /// What was being read.
        field: &'static str,
    },
    /// Goes on after its end.
    #[error("{bytes} bytes follow the end of the payment proof")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Another version.
    #[error("the payment proof has version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// A kind of binding that there isn't.
    #[error("the payment proof binds its vote in an unknown way ({0})")]
    BindingKind(u8),
    /// A genesis block of none of the chains.
    #[error("the payment proof is for an unknown network, whose first block is {0}")]
    UnknownNetwork(BlockHash),
    /// Bytes that name no entry.
    #[error("the payment proof's {field} is not the CID of an entry")]
    NotAnEntry {
        /// Which field.
        field: &'static str,
    },
    /// For another chain than the one it is judged by.
    #[error("the payment proof is for {proof}, the headers are those of {chain}")]
    WrongNetwork {
        /// The proof's.
        proof: Network,
        /// The header chain's.
        chain: Network,
    },
    /// Not a transaction, or not in its one encoding.
    #[error("the payment proof's transaction does not decode")]
    Transaction,
    /// With witnesses.
    #[error("the payment proof's transaction still has its witnesses")]
    NotStripped,
    /// A leaf that could be an inner node (CVE-2017-12842).
    #[error("a transaction of 64 bytes proves nothing: it could be a node of the merkle tree")]
    TransactionOf64Bytes,
    /// Newly made coins, or the place of the transaction that makes them.
    #[error("the payment proof's transaction stands where a block's reward does")]
    Coinbase,
    /// More levels than a block's tree has.
    #[error("a merkle branch has at most {MAX_BRANCH_DEPTH} levels, this one has {found}")]
    BranchDepth {
        /// Its levels.
        found: usize,
    },
    /// A position beyond the branch's tree.
    #[error("the transaction's position {index} is outside a tree of {depth} levels")]
    IndexRange {
        /// Position claimed.
        index: u32,
        /// Levels of the branch.
        depth: usize,
    },
    /// An inner node that could be a leaf (CVE-2017-12842).
    #[error("a node of the merkle branch, {level} levels up, reads as a transaction")]
    NodeIsTransaction {
        /// Levels above the transaction.
        level: usize,
    },
    /// A subtree that stands in for its copy (CVE-2012-2459).
    #[error("the merkle branch repeats a node, {level} levels up, where no block may")]
    DuplicatedSibling {
        /// Levels above the transaction.
        level: usize,
    },
    /// No header of such a block is known: not yet, or there is none.
    #[error("block {0} is not on the chain with the most work: no header of it is known")]
    BlockUnknown(BlockHash),
    /// The block holds the transaction, and stands on a branch with less work.
    #[error("block {0} is not on the chain with the most work, others took its place")]
    BlockReplaced(BlockHash),
    /// The branch leads to another root.
    #[error("the merkle branch does not lead to the root of block {0}")]
    WrongBranch(BlockHash),
    /// The transaction has no such output.
    #[error("the transaction has no output {vout}")]
    NoOutput {
        /// Output claimed.
        vout: u32,
    },
    /// The key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The output's script is not the one that this key and this vote make.
    #[error("output {vout} does not pay this vote to this key")]
    WrongRecipient {
        /// Output claimed.
        vout: u32,
    },
    /// A single vote's payment in a transaction that pays for a batch.
    #[error("the transaction pays for a batch of votes: none of its outputs pays for one alone")]
    AddressInBatch,
    /// No output carries a commitment.
    #[error("the transaction commits to no batch of votes")]
    NoCommitment,
    /// More than one does.
    #[error("the transaction carries {found} commitments to batches of votes; only one may be")]
    SeveralCommitments {
        /// How many.
        found: usize,
    },
    /// The paths lead to another commitment: another vote, amount, output, script or key.
    #[error("the transaction's commitment does not hold this vote with this amount and recipient")]
    WrongCommitment,
    /// More levels than a batch's trees have, or another number than the positions ask for.
    #[error(
        "a path through a batch has a node for each level of its tree, at most {MAX_PATH_DEPTH}"
    )]
    PathDepth,
    /// A position outside its tree.
    #[error("position {position} is outside a tree of {count}")]
    PathPosition {
        /// Position claimed.
        position: u32,
        /// Leaves that the tree has.
        count: u32,
    },
    /// A script that stands for no address.
    #[error(
        "output {vout} pays a batch to a script of {found} bytes; at most {MAX_SCRIPT_BYTES} may be"
    )]
    ScriptTooLong {
        /// Output claimed.
        vout: u32,
        /// Bytes of its script.
        found: usize,
    },
    /// Amounts that add up to more than there can be.
    #[error("the amounts of the batch overflow")]
    SumOverflow,
    /// The batch claims more than its output holds.
    #[error("the votes of output {vout} claim {claimed} sats, it holds {held}")]
    NotCovered {
        /// Output claimed.
        vout: u32,
        /// Sum of the votes, in sats.
        claimed: u64,
        /// Value of the output, in sats.
        held: u64,
    },
    /// No sats at all.
    #[error("the payment proof is for nothing: 0 sats")]
    NothingPaid,
}

impl ProofError {
    /// Whether more headers may change the judgement: nothing is wrong with the proof itself.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::BlockUnknown(_) | Self::BlockReplaced(_))
    }
}
