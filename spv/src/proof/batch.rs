//! Many votes paid by one transaction: its outputs, and afterwards a proof for each vote.

use std::collections::BTreeSet;

use bitcoin::{Amount, Block, BlockHash, ScriptBuf, Transaction, TxOut, hashes::Hash};
use model::EntryId;
use thiserror::Error;

use super::{
    BatchPath, Binding, Claim, KeyError, MAX_BRANCH_DEPTH, MAX_PROOF_BYTES, MAX_SCRIPT_BYTES,
    PaymentProof, ProveError, SumStep,
    commitment::{OutputLeaf, commitment, commitment_script, join_outputs, tree},
    parse_key,
    prover::prove_all,
};
use crate::Network;

/// Most votes of a batch.
pub const MAX_VOTES: usize = 1000;
/// Most recipients of a batch: every proof carries all outputs.
pub const MAX_RECIPIENTS: usize = 100;

/// Least bytes of a transaction beside its outputs: version, lock time, counts, an input without
/// script.
const LEAST_BESIDE_OUTPUTS: usize = 4 + 4 + 1 + 3 + 41;

/// Who is paid by one output, and for which votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Script that is paid.
    pub script: ScriptBuf,
    /// The recipient's key: x-only (BIP 340).
    pub key: [u8; 32],
    /// Row that made this the recipient's key, and the script the recipient's.
    pub key_row: EntryId,
    /// Votes, and what each is paid in sats.
    pub votes: Vec<(EntryId, u64)>,
}

/// Why votes make no batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// Nothing to pay.
    #[error("a batch needs at least one vote, and each recipient needs one")]
    Empty,
    /// Too many votes.
    #[error("a batch has at most {MAX_VOTES} votes, these are {found}")]
    Votes {
        /// How many.
        found: usize,
    },
    /// Too many recipients.
    #[error("a batch has at most {MAX_RECIPIENTS} recipients, these are {found}")]
    Recipients {
        /// How many.
        found: usize,
    },
    /// The same vote twice to one recipient; it would count once.
    #[error("the vote {0} stands twice in the batch of one recipient")]
    Repeated(EntryId),
    /// A vote without sats.
    #[error("the vote {0} would be paid 0 sats")]
    Nothing(EntryId),
    /// More than there can be.
    #[error("the sats of recipient {recipient} overflow")]
    Overflow {
        /// Position among the recipients.
        recipient: usize,
    },
    /// An output that nodes would not relay.
    #[error("recipient {recipient} gets {sats} sats; below {least} an output is not relayed")]
    Dust {
        /// Position among the recipients.
        recipient: usize,
        /// Sum of the votes.
        sats: u64,
        /// Least that is relayed.
        least: u64,
    },
    /// A script that nobody can spend.
    #[error("the script of recipient {recipient} can never be spent")]
    Unspendable {
        /// Position among the recipients.
        recipient: usize,
    },
    /// A script that no proof may pay to.
    #[error(
        "the script of recipient {recipient} has {found} bytes; at most {MAX_SCRIPT_BYTES} may be"
    )]
    ScriptTooLong {
        /// Position among the recipients.
        recipient: usize,
        /// Bytes of the script.
        found: usize,
    },
    /// The recipient's key is none.
    #[error("recipient {recipient}: {source}")]
    Key {
        /// Position among the recipients.
        recipient: usize,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The outputs alone leave no room for inputs.
    #[error("the outputs are too long for a proof of {MAX_PROOF_BYTES} bytes: fewer recipients")]
    TooLong,
}

/// A batch whose outputs are settled. Outputs 0 … are the recipients' in their order, the commitment
/// comes after them; change may follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    outputs: Vec<TxOut>,
    commitment: [u8; 32],
    claims: Vec<Claim>,
    transaction_room: usize,
}

impl Batch {
    /// Settles the outputs for these recipients.
    ///
    /// # Errors
    /// When a limit is passed, or what a recipient gets makes no output.
    pub fn new(network: Network, recipients: &[Recipient]) -> Result<Self, BatchError> {
        check_counts(recipients)?;
        let mut outputs = Vec::with_capacity(recipients.len() + 1);
        let mut leaves = Vec::with_capacity(recipients.len());
        let mut claims = Vec::new();
        for (vout, recipient) in (0..).zip(recipients) {
            let (total, paths) = recipient.sum_tree(outputs.len())?;
            let votes = u32::try_from(paths.len()).expect("no more than MAX_VOTES");
            let leaf = OutputLeaf {
                vout,
                script: &recipient.script,
                key: &recipient.key,
                key_row: &recipient.key_row,
                votes,
            };
            leaves.push(leaf.hash(&total));
            let places = (0..).zip(recipient.votes.iter().zip(paths));
            claims.extend(places.map(|(position, ((vote, sats), sums))| Claim {
                network,
                vote: *vote,
                key: recipient.key,
                key_row: recipient.key_row,
                vout,
                binding: Binding::Batch(BatchPath {
                    sats: *sats,
                    position,
                    votes,
                    sums,
                    outputs: 0,
                    siblings: Vec::new(),
                }),
            }));
            outputs.push(TxOut {
                value: Amount::from_sat(total.sats),
                script_pubkey: recipient.script.clone(),
            });
        }
        let commitment = complete(network, &leaves, &mut claims)?;
        outputs.push(TxOut {
            value: Amount::ZERO,
            script_pubkey: commitment_script(&commitment),
        });
        let transaction_room = room(&claims);
        let outputs_bytes: usize = outputs.iter().map(TxOut::size).sum();
        if outputs_bytes + LEAST_BESIDE_OUTPUTS > transaction_room {
            return Err(BatchError::TooLong);
        }
        Ok(Self {
            outputs,
            commitment,
            claims,
            transaction_room,
        })
    }

    /// The outputs, in the positions that they must keep; the last carries the commitment.
    pub fn outputs(&self) -> &[TxOut] {
        &self.outputs
    }

    /// What the transaction commits to.
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// What is proved once a block holds the transaction: one claim for each vote.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// Sum of all votes, in sats.
    pub fn total_sats(&self) -> u64 {
        self.outputs
            .iter()
            .map(|output| output.value.to_sat())
            .sum()
    }

    /// Most bytes that the transaction may have without its witnesses, so that every proof fits.
    pub fn transaction_room(&self) -> usize {
        self.transaction_room
    }

    /// Whether a transaction has the planned outputs in their positions, or the first that differs.
    ///
    /// # Errors
    /// When an output was moved, changed or lowered.
    pub fn fits(&self, transaction: &Transaction) -> Result<(), ProveError> {
        for (vout, planned) in (0..).zip(&self.outputs) {
            let found = transaction.output.get(vout as usize);
            let keeps = |output: &TxOut| {
                output.script_pubkey == planned.script_pubkey && output.value >= planned.value
            };
            if !found.is_some_and(keeps) {
                return Err(ProveError::Moved { vout });
            }
        }
        Ok(())
    }

    /// Proofs of all votes by a transaction of a block, in the order of [`Batch::claims`].
    ///
    /// # Errors
    /// When that transaction is not this batch, or too long to be carried by proofs.
    pub fn prove(&self, block: &Block, index: usize) -> Result<Vec<PaymentProof>, ProveError> {
        let Some(transaction) = block.txdata.get(index) else {
            return Err(ProveError::NoTransaction { index });
        };
        self.fits(transaction)?;
        prove_all(block, index, self.claims.clone())
    }
}

impl Recipient {
    /// Root of the sum tree over the votes, and the siblings of each.
    fn sum_tree(&self, recipient: usize) -> Result<(SumStep, Vec<Vec<SumStep>>), BatchError> {
        parse_key(&self.key).map_err(|source| BatchError::Key { recipient, source })?;
        if self.script.is_op_return() {
            return Err(BatchError::Unspendable { recipient });
        }
        let found = self.script.len();
        if found > MAX_SCRIPT_BYTES {
            return Err(BatchError::ScriptTooLong { recipient, found });
        }
        let mut seen = BTreeSet::new();
        for (vote, sats) in &self.votes {
            if *sats == 0 {
                return Err(BatchError::Nothing(*vote));
            }
            if !seen.insert(vote) {
                return Err(BatchError::Repeated(*vote));
            }
        }
        let votes = self.votes.iter();
        let leaves: Vec<_> = votes
            .map(|(vote, sats)| SumStep::leaf(vote, *sats))
            .collect();
        let sums = tree(&leaves, SumStep::join).ok_or(BatchError::Overflow { recipient })?;
        let sats = sums.0.sats;
        if sats > Amount::MAX_MONEY.to_sat() {
            return Err(BatchError::Overflow { recipient });
        }
        let least = self.script.minimal_non_dust().to_sat();
        if sats < least {
            return Err(BatchError::Dust {
                recipient,
                sats,
                least,
            });
        }
        Ok(sums)
    }
}

fn check_counts(recipients: &[Recipient]) -> Result<(), BatchError> {
    let votes: usize = recipients.iter().map(|one| one.votes.len()).sum();
    if recipients.is_empty() || recipients.iter().any(|one| one.votes.is_empty()) {
        return Err(BatchError::Empty);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(BatchError::Recipients {
            found: recipients.len(),
        });
    }
    if votes > MAX_VOTES {
        return Err(BatchError::Votes { found: votes });
    }
    Ok(())
}

/// Builds the tree over outputs, and gives every claim its way through it.
fn complete(
    network: Network,
    leaves: &[[u8; 32]],
    claims: &mut [Claim],
) -> Result<[u8; 32], BatchError> {
    let join = |left: &_, right: &_| Some(join_outputs(left, right));
    let (root, paths) = tree(leaves, join).ok_or(BatchError::Empty)?;
    let outputs = u32::try_from(leaves.len()).expect("no more than MAX_RECIPIENTS");
    for claim in claims {
        if let Binding::Batch(path) = &mut claim.binding {
            path.outputs = outputs;
            path.siblings.clone_from(&paths[claim.vout as usize]);
        }
    }
    Ok(commitment(network, outputs, &root))
}

/// What the longest proof leaves for the transaction, in bytes.
fn room(claims: &[Claim]) -> usize {
    let longest = claims.iter().map(|claim| {
        let proof = claim
            .clone()
            .in_block(BlockHash::all_zeros(), 0, Vec::new());
        proof.encode().len()
    });
    let beside = longest.max().unwrap_or(0) + 32 * MAX_BRANCH_DEPTH;
    MAX_PROOF_BYTES.saturating_sub(beside)
}
