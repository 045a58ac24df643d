//! Bytes that are no proof.

use bitcoin::{BlockHash, hashes::Hash};

use super::world::*;
use crate::proof::{Binding, MAX_PROOF_BYTES, PaymentProof, ProofError, SumStep};

fn refusal(bytes: &[u8]) -> ProofError {
    PaymentProof::decode(bytes).unwrap_err()
}

#[test]
fn proofs_are_read_as_they_were_written() {
    let (proofs, _) = batch_proofs();
    for proof in proofs.into_iter().chain([address_proof().0]) {
        assert_eq!(PaymentProof::decode(&proof.encode()), Ok(proof));
    }
}

#[test]
fn a_proof_that_is_cut_off_says_where() {
    let (proofs, _) = batch_proofs();
    for proof in [&proofs[0], &address_proof().0] {
        let bytes = proof.encode();
        for end in 0..bytes.len() {
            let error = refusal(&bytes[..end]);
            assert!(
                matches!(error, ProofError::Truncated { .. }),
                "{end}: {error}"
            );
        }
    }
    assert_eq!(refusal(&[]), ProofError::Truncated { field: "version" });
}

#[test]
fn nothing_follows_a_proof() {
    let mut bytes = address_proof().0.encode();
    bytes.extend([0; 3]);
    assert_eq!(refusal(&bytes), ProofError::Trailing { bytes: 3 });
}

#[test]
fn what_is_longer_than_any_proof_is_not_read() {
    let found = MAX_PROOF_BYTES + 1;
    assert_eq!(refusal(&vec![1; found]), ProofError::TooLong { found });
    let error = refusal(&vec![1; MAX_PROOF_BYTES]);
    assert!(matches!(error, ProofError::UnknownNetwork(_)), "{error}");
}

#[test]
fn every_field_is_bounded() {
    let bytes = address_proof().0.encode();
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        refusal(&bytes)
    };
    assert_eq!(with(0, 2), ProofError::Version(2));
    let unknown = with(1, bytes[1] ^ 1);
    assert!(matches!(unknown, ProofError::UnknownNetwork(genesis) if genesis != NETWORK.genesis()));
    assert_eq!(with(34, 0x55), ProofError::NotAnEntry { field: "vote" });
    assert_eq!(with(102, 0x70), ProofError::NotAnEntry { field: "key row" });
    assert_eq!(with(173, 16), ProofError::BranchDepth { found: 16 });
    assert_eq!(with(bytes.len() - 1, 2), ProofError::BindingKind(2));

    let (proofs, _) = batch_proofs();
    let mut proof = proofs[0].clone();
    let Binding::Batch(path) = &mut proof.binding else {
        panic!("not of a batch");
    };
    path.siblings = vec![[0; 32]; 21];
    assert_eq!(refusal(&proof.encode()), ProofError::PathDepth);
    let Binding::Batch(path) = &mut proof.binding else {
        panic!("not of a batch");
    };
    path.siblings.clear();
    path.sums = vec![
        SumStep {
            hash: [0; 32],
            sats: 1
        };
        21
    ];
    assert_eq!(refusal(&proof.encode()), ProofError::PathDepth);
}

#[test]
fn only_an_unknown_block_is_worth_waiting_for() {
    assert!(ProofError::BlockUnknown(BlockHash::all_zeros()).is_pending());
    assert!(!ProofError::Coinbase.is_pending());
    assert!(!ProofError::WrongCommitment.is_pending());
}
