//! The judgement of a proof, in two steps: what needs no chain, once; and the rest, as often as the
//! chain changes.

use std::collections::BTreeMap;

use bitcoin::{
    BlockHash, OutPoint, ScriptBuf, Transaction, TxMerkleNode, Txid,
    consensus::deserialize,
    hashes::{Hash, sha256d},
};
use model::EntryId;

use super::{
    BatchPath, Binding, Headers, MAX_SCRIPT_BYTES, PaymentProof, ProofError, address_script,
    branch,
    commitment::{OutputLeaf, commitments},
    parse_key,
};
use crate::Network;

/// A proof that holds, if its block is on the chain with the most work.
///
/// One payment is one pair of vote and [`Checked::outpoint`]: it counts once, however many proofs
/// show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The chain.
    pub network: Network,
    /// Vote paid for.
    pub vote: EntryId,
    /// The recipient's key: x-only (BIP 340).
    pub key: [u8; 32],
    /// Row that made this the recipient's key.
    pub key_row: EntryId,
    /// Script of the output that pays. With the address binding it follows from key and vote; in a
    /// batch it is what the payer committed to as this recipient's.
    pub script: ScriptBuf,
    /// Whether the vote is one of a batch.
    pub is_batch: bool,
    /// Output that pays.
    pub outpoint: OutPoint,
    /// What the vote is paid, in sats: more than 0.
    pub sats: u64,
    /// Block that holds the transaction.
    pub block: BlockHash,
    /// What the transaction and its branch lead to.
    merkle_root: TxMerkleNode,
}

/// Where a payment stands on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Height of the block that holds it.
    pub height: u32,
    /// Blocks from that one to the tip, both counted: at least 1.
    pub confirmations: u32,
}

impl PaymentProof {
    /// Judges all that needs no chain. The answer never changes.
    ///
    /// # Errors
    /// Says what is wrong with the proof.
    pub fn check(&self) -> Result<Checked, ProofError> {
        let transaction = self.parse_transaction()?;
        let txid = sha256d::Hash::hash(&self.transaction);
        let merkle_root = branch::root(txid.to_byte_array(), self.index, &self.branch)?;
        let vout = self.vout;
        let output = usize::try_from(vout)
            .ok()
            .and_then(|vout| transaction.output.get(vout))
            .ok_or(ProofError::NoOutput { vout })?;
        let carried = commitments(&transaction);
        let held = output.value.to_sat();
        let sats = match &self.binding {
            Binding::Address => {
                if !carried.is_empty() {
                    return Err(ProofError::AddressInBatch);
                }
                if output.script_pubkey != address_script(self.network, &self.key, &self.vote)? {
                    return Err(ProofError::WrongRecipient { vout });
                }
                held
            }
            Binding::Batch(path) => {
                let total = self.check_batch(path, &output.script_pubkey, &carried)?;
                if total > held {
                    return Err(ProofError::NotCovered {
                        vout,
                        claimed: total,
                        held,
                    });
                }
                path.sats
            }
        };
        if sats == 0 {
            return Err(ProofError::NothingPaid);
        }
        Ok(Checked {
            network: self.network,
            vote: self.vote,
            key: self.key,
            key_row: self.key_row,
            script: output.script_pubkey.clone(),
            is_batch: matches!(self.binding, Binding::Batch(_)),
            outpoint: OutPoint::new(Txid::from_raw_hash(txid), vout),
            sats,
            block: self.block,
            merkle_root: TxMerkleNode::from_byte_array(merkle_root),
        })
    }

    /// The transaction, from the bytes whose hash is its id. (The library refuses lengths that are
    /// longer than they need be; and no other bytes have a hash that stands in a block.)
    fn parse_transaction(&self) -> Result<Transaction, ProofError> {
        if self.transaction.len() == 64 {
            return Err(ProofError::TransactionOf64Bytes);
        }
        let transaction: Transaction =
            deserialize(&self.transaction).map_err(|_| ProofError::Transaction)?;
        // without inputs, the form with witnesses decodes and has none
        if transaction.input.is_empty() {
            return Err(ProofError::Transaction);
        }
        if transaction
            .input
            .iter()
            .any(|input| !input.witness.is_empty())
        {
            return Err(ProofError::NotStripped);
        }
        if self.index == 0 || transaction.is_coinbase() {
            return Err(ProofError::Coinbase);
        }
        Ok(transaction)
    }

    /// What all votes of the output claim together, in sats.
    fn check_batch(
        &self,
        path: &BatchPath,
        script: &ScriptBuf,
        carried: &[[u8; 32]],
    ) -> Result<u64, ProofError> {
        let [carried] = carried else {
            return Err(match carried.len() {
                0 => ProofError::NoCommitment,
                found => ProofError::SeveralCommitments { found },
            });
        };
        parse_key(&self.key)?;
        if script.len() > MAX_SCRIPT_BYTES {
            return Err(ProofError::ScriptTooLong {
                vout: self.vout,
                found: script.len(),
            });
        }
        let root = path.sum_root(&self.vote)?;
        let output = OutputLeaf {
            vout: self.vout,
            script,
            key: &self.key,
            key_row: &self.key_row,
            votes: path.votes,
        };
        if path.commitment(self.network, &output, &root)? != *carried {
            return Err(ProofError::WrongCommitment);
        }
        Ok(root.sats)
    }
}

impl Checked {
    /// Judges by a chain: a pure function of the proof and the headers with the most work.
    ///
    /// # Errors
    /// [`ProofError::is_pending`] while the block is not on that chain; else what is wrong.
    pub fn judge(&self, chain: &impl Headers) -> Result<Confirmed, ProofError> {
        if self.network != chain.network() {
            return Err(ProofError::WrongNetwork {
                proof: self.network,
                chain: chain.network(),
            });
        }
        let unknown = ProofError::BlockUnknown(self.block);
        let Some((height, header)) = chain.active(&self.block) else {
            return Err(match chain.aside(&self.block) {
                None => unknown,
                Some(header) if header.merkle_root == self.merkle_root => {
                    ProofError::BlockReplaced(self.block)
                }
                Some(_) => ProofError::WrongBranch(self.block),
            });
        };
        if header.merkle_root != self.merkle_root {
            return Err(ProofError::WrongBranch(self.block));
        }
        let above = chain.tip_height().checked_sub(height).ok_or(unknown)?;
        Ok(Confirmed {
            height,
            confirmations: above.saturating_add(1),
        })
    }
}

/// What payments add up to, in sats: each vote once for each output, by the greatest amount that was
/// proved. A tree may hold a vote twice, and a transaction may be mined again in another block.
pub fn counted_sats<'a>(payments: impl IntoIterator<Item = &'a Checked>) -> u64 {
    let mut counted: BTreeMap<_, u64> = BTreeMap::new();
    for payment in payments {
        let once = counted.entry((payment.vote, payment.outpoint)).or_default();
        *once = payment.sats.max(*once);
    }
    counted.into_values().fold(0, u64::saturating_add)
}
