//! Proofs out of a whole block, for whatever of it was awaited: pure.

use bitcoin::Block;
use model::EntryId;
use spv::proof::{PaymentProof, ProveError, batch::Batch, commitments, prove};

use super::awaited::{Found, State, Wanted};

/// A payment that a block makes, or why it can't be proved.
pub(super) type Payment = Result<(EntryId, Found), ProveError>;

/// All awaited payments in a block at a height.
pub(super) fn scan(state: &State, wanted: &Wanted, block: &Block, height: u32) -> Vec<Payment> {
    let mut payments = Vec::new();
    // The first transaction makes new coins: it pays nobody.
    for (index, transaction) in block.txdata.iter().enumerate().skip(1) {
        let proofs: Vec<_> = match commitments(transaction).as_slice() {
            [] => {
                let matches = state.matches(wanted, transaction).into_iter();
                matches
                    .map(|found| prove(block, index, found.claim))
                    .collect()
            }
            [commitment] => match wanted.batch(commitment) {
                Some(batch) => of_batch(state, batch, block, index),
                None => continue,
            },
            _ => continue,
        };
        let proofs = proofs.into_iter();
        payments.extend(proofs.map(|proof| found(&proof?, height)));
    }
    payments
}

fn of_batch(
    state: &State,
    batch: &Batch,
    block: &Block,
    index: usize,
) -> Vec<Result<PaymentProof, ProveError>> {
    match batch.prove(block, index) {
        Ok(proofs) => {
            let offered = proofs
                .into_iter()
                .filter(|proof| state.offers.contains_key(&proof.vote));
            offered.map(Ok).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

fn found(proof: &PaymentProof, height: u32) -> Result<(EntryId, Found), ProveError> {
    let checked = proof.check()?;
    let found = Found {
        outpoint: checked.outpoint,
        sats: checked.sats,
        block: proof.block,
        height,
        row: None,
        proof: Some(proof.encode()),
        is_unprovable: false,
    };
    Ok((proof.vote, found))
}
