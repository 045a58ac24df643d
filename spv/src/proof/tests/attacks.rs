//! Proofs that claim what was not paid.

use bitcoin::{
    Amount, ScriptBuf, Transaction, Witness, consensus::deserialize, consensus::serialize,
};

use super::world::*;
use crate::{
    Network,
    proof::{
        BatchPath, Binding, KeyError, PaymentProof, ProofError, address_script, commitment_script,
        counted_sats, prove, strip,
    },
};

pub fn path(proof: &mut PaymentProof) -> &mut BatchPath {
    match &mut proof.binding {
        Binding::Batch(path) => path,
        Binding::Address => panic!("not of a batch"),
    }
}

/// The proof with its transaction changed, in a block that really holds that one.
fn with_transaction(
    proof: &PaymentProof,
    change: impl FnOnce(&mut Transaction),
) -> Result<u64, ProofError> {
    let mut transaction: Transaction = deserialize(&proof.transaction).unwrap();
    change(&mut transaction);
    let (proof, chain) = moved(proof, strip(&transaction));
    judge(&proof, &chain).map(|(checked, _)| checked.sats)
}

#[test]
fn an_address_pays_its_vote() {
    let (proof, chain) = address_proof();
    let (checked, confirmed) = judge(&proof, &chain).unwrap();
    assert_eq!(confirmed, CONFIRMED);
    assert_eq!((checked.vote, checked.sats), (vote(), 2100));
    assert_eq!((checked.key, checked.key_row), (key(KEY), key_row()));
    assert_eq!((checked.outpoint.vout, checked.is_batch), (1, false));
    assert_eq!(with_transaction(&proof, |_| {}), Ok(2100));
}

#[test]
fn a_proof_is_for_one_vote_one_key_and_one_chain() {
    let (proof, chain) = address_proof();
    let wrong = Err(ProofError::WrongRecipient { vout: 1 });
    let other = PaymentProof {
        vote: entry(1),
        ..proof.clone()
    };
    assert_eq!(judge(&other, &chain), wrong);
    let other = PaymentProof {
        key: key(OTHER_KEY),
        ..proof.clone()
    };
    assert_eq!(judge(&other, &chain), wrong);
    let other = PaymentProof {
        vout: 0,
        ..proof.clone()
    };
    assert_eq!(
        judge(&other, &chain),
        Err(ProofError::WrongRecipient { vout: 0 })
    );
    // the key of an address is of its chain: saying another one does not help
    let other = PaymentProof {
        network: Network::Signet,
        ..proof
    };
    assert_eq!(judge(&other, &chain), wrong);
}

#[test]
fn a_proof_for_another_chain_is_refused() {
    let (proof, chain) = address_proof();
    let elsewhere = Chain {
        network: Network::Bitcoin,
        ..chain
    };
    let error = ProofError::WrongNetwork {
        proof: Network::Regtest,
        chain: Network::Bitcoin,
    };
    assert_eq!(judge(&proof, &elsewhere), Err(error.clone()));
    let (proofs, chain) = batch_proofs();
    let elsewhere = Chain {
        network: Network::Bitcoin,
        ..chain.clone()
    };
    assert_eq!(judge(&proofs[0], &elsewhere), Err(error));
    let said = PaymentProof {
        network: Network::Bitcoin,
        ..proofs[0].clone()
    };
    assert_eq!(judge(&said, &elsewhere), Err(ProofError::WrongCommitment));
}

#[test]
fn a_key_that_is_none_is_refused() {
    let none = [0xff; 32];
    let refused = Err(ProofError::Key(KeyError::NotAKey));
    let (proof, chain) = address_proof();
    assert_eq!(judge(&PaymentProof { key: none, ..proof }, &chain), refused);
    let (mut proofs, chain) = batch_proofs();
    let proof = PaymentProof {
        key: none,
        ..proofs.remove(0)
    };
    assert_eq!(judge(&proof, &chain), refused);
}

#[test]
fn an_output_that_is_not_there_pays_nothing() {
    let (proof, chain) = address_proof();
    for vout in [2, u32::MAX] {
        let proof = PaymentProof {
            vout,
            ..proof.clone()
        };
        assert_eq!(judge(&proof, &chain), Err(ProofError::NoOutput { vout }));
    }
    let nothing = with_transaction(&proof, |transaction| {
        transaction.output[1].value = Amount::ZERO;
    });
    assert_eq!(nothing, Err(ProofError::NothingPaid));
}

#[test]
fn a_transaction_has_one_encoding() {
    let (proof, _) = address_proof();
    let judged = |bytes: Vec<u8>| {
        let (proof, chain) = moved(&proof, bytes);
        judge(&proof, &chain).map(|_| ())
    };
    let refused = Err(ProofError::Transaction);
    let bytes = &proof.transaction;
    assert_eq!(judged(bytes.clone()), Ok(()));
    assert_eq!(judged([&bytes[..], &[0]].concat()), refused);
    assert_eq!(judged(bytes[..bytes.len() - 1].to_vec()), refused);
    assert_eq!(judged(Vec::new()), refused);
    // the number of inputs in three bytes instead of one
    let long = [&bytes[..4], &[0xfd, 1, 0], &bytes[5..]].concat();
    assert_eq!(judged(long), refused);
    // the form with witnesses, without any
    let empty = [
        &bytes[..4],
        &[0, 1],
        &bytes[4..bytes.len() - 4],
        &[0],
        &[0; 4],
    ]
    .concat();
    assert_eq!(judged(empty), refused);
    assert_eq!(judged(without_inputs(bytes)), refused);
}

/// The same outputs in the form with witnesses, paid by nothing.
pub fn without_inputs(bytes: &[u8]) -> Vec<u8> {
    let outputs = 4 + 1 + 36 + 1 + 4;
    [&bytes[..4], &[0, 1, 0], &bytes[outputs..]].concat()
}

#[test]
fn witnesses_are_stripped() {
    let (_, paying) = address_payment(2100);
    let (proof, _) = address_proof();
    let (proof, chain) = moved(&proof, serialize(&paying));
    assert_eq!(judge(&proof, &chain), Err(ProofError::NotStripped));
    let mut bare = paying.clone();
    bare.input[0].witness = Witness::new();
    assert_eq!(strip(&paying), serialize(&bare));
}

#[test]
fn an_address_in_the_transaction_of_a_batch_pays_nothing() {
    // else the same output could stand for a vote of its own and for those of the batch
    let (proof, _) = address_proof();
    let tagged = with_transaction(&proof, |transaction| {
        transaction
            .output
            .push(output(commitment_script(&[7; 32]), 0));
    });
    assert_eq!(tagged, Err(ProofError::AddressInBatch));
    // data of others is none of ours
    for data in ["6a0568656c6c6f", "6a04646174740000", "6a"] {
        let untagged = with_transaction(&proof, |transaction| {
            let script = ScriptBuf::from_hex(data).unwrap();
            transaction.output.push(output(script, 0));
        });
        assert_eq!(untagged, Ok(2100), "{data}");
    }
}

#[test]
fn a_batch_pays_its_votes() {
    let (proofs, chain) = batch_proofs();
    assert_eq!(proofs.len(), 11);
    for (number, proof) in (0..).zip(&proofs) {
        let (checked, confirmed) = judge(proof, &chain).unwrap();
        assert_eq!(confirmed, CONFIRMED);
        assert_eq!((checked.vote, checked.sats), (entry(number), 1000 + number));
        assert!(checked.is_batch);
    }
}

#[test]
fn a_batch_holds_its_votes_with_their_sats_and_recipient_and_nothing_else() {
    let (proofs, chain) = batch_proofs();
    let changes: [fn(&mut PaymentProof); 12] = [
        |proof| proof.vote = entry(99),
        |proof| proof.vote = entry(1),
        |proof| proof.key = key(OTHER_KEY),
        |proof| proof.key_row = key_row(),
        |proof| path(proof).sats += 1,
        |proof| path(proof).sats -= 1,
        |proof| path(proof).sums[0].sats -= 1,
        |proof| path(proof).sums[1].hash[0] ^= 1,
        |proof| path(proof).position = 1,
        |proof| path(proof).votes = 4,
        |proof| path(proof).outputs = 4,
        |proof| path(proof).siblings[0][0] ^= 1,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut proof = proofs[0].clone();
        change(&mut proof);
        let judged = judge(&proof, &chain);
        assert_eq!(judged, Err(ProofError::WrongCommitment), "change {number}");
    }
}

#[test]
fn paths_have_the_shape_of_their_trees() {
    let (proofs, chain) = batch_proofs();
    let refusal = |change: fn(&mut BatchPath)| {
        let mut proof = proofs[0].clone();
        change(path(&mut proof));
        judge(&proof, &chain).unwrap_err()
    };
    let place = |position, count| ProofError::PathPosition { position, count };
    assert_eq!(refusal(|path| path.position = 3), place(3, 3));
    assert_eq!(refusal(|path| path.votes = 0), place(0, 0));
    assert_eq!(refusal(|path| path.outputs = 0), place(0, 0));
    assert_eq!(refusal(|path| path.votes = u32::MAX), place(0, u32::MAX));
    assert_eq!(refusal(|path| path.outputs = 1 << 21), place(0, 1 << 21));
    assert_eq!(refusal(|path| path.votes = 1 << 20), ProofError::PathDepth);
    assert_eq!(refusal(|path| path.votes = 2), ProofError::PathDepth);
    assert_eq!(refusal(|path| path.siblings.clear()), ProofError::PathDepth);
    assert_eq!(
        refusal(|path| path.sums.resize(21, path.sums[0])),
        ProofError::PathDepth
    );
}

#[test]
fn one_output_has_one_place_in_the_tree() {
    // the second recipient's tree does not stand for the first one's output, nor the other way round
    let (proofs, chain) = batch_proofs();
    for vout in [0, 2] {
        let other = PaymentProof {
            vout,
            ..proofs[3].clone()
        };
        assert!(judge(&other, &chain).is_err(), "output {vout}");
    }
    // the commitment and the change are outputs, but not of those that are committed to
    let other = PaymentProof {
        vout: 3,
        ..proofs[3].clone()
    };
    let error = ProofError::PathPosition {
        position: 3,
        count: 3,
    };
    assert_eq!(judge(&other, &chain), Err(error));
}

#[test]
fn a_transaction_makes_one_commitment() {
    let (proofs, _) = batch_proofs();
    let none = with_transaction(&proofs[0], |transaction| {
        transaction.output.truncate(3);
    });
    assert_eq!(none, Err(ProofError::NoCommitment));
    let two = with_transaction(&proofs[0], |transaction| {
        transaction
            .output
            .push(output(commitment_script(&[7; 32]), 0));
    });
    assert_eq!(two, Err(ProofError::SeveralCommitments { found: 2 }));
    let twice = with_transaction(&proofs[0], |transaction| {
        let again = transaction.output[3].clone();
        transaction.output.push(again);
    });
    assert_eq!(twice, Err(ProofError::SeveralCommitments { found: 2 }));
    let other = with_transaction(&proofs[0], |transaction| {
        transaction.output[3] = output(commitment_script(&[7; 32]), 0);
    });
    assert_eq!(other, Err(ProofError::WrongCommitment));
    // where it stands says nothing
    let first = with_transaction(&proofs[0], |transaction| {
        transaction.output.push(output(ScriptBuf::new(), 1));
        transaction.output.swap(3, 4);
    });
    assert_eq!(first, Ok(1000));
}

#[test]
fn a_commitment_in_another_form_is_none() {
    let (proofs, _) = batch_proofs();
    let longer = with_transaction(&proofs[0], |transaction| {
        let script = &mut transaction.output[3].script_pubkey;
        let mut bytes = vec![0x6a, 0x4c];
        bytes.extend(&script.as_bytes()[1..]);
        *script = ScriptBuf::from_bytes(bytes);
    });
    assert_eq!(longer, Err(ProofError::NoCommitment));
}

#[test]
fn votes_claim_no_more_than_their_output_holds() {
    let (proofs, _) = batch_proofs();
    // the three votes of the first output claim 3,003 sats
    let exact = with_transaction(&proofs[0], |_| {});
    assert_eq!(exact, Ok(1000));
    let short = with_transaction(&proofs[0], |transaction| {
        transaction.output[0].value = Amount::from_sat(3002);
    });
    let error = ProofError::NotCovered {
        vout: 0,
        claimed: 3003,
        held: 3002,
    };
    assert_eq!(short, Err(error));
    let script = with_transaction(&proofs[0], |transaction| {
        transaction.output[0].script_pubkey = transaction.output[1].script_pubkey.clone();
    });
    assert_eq!(script, Err(ProofError::WrongCommitment));
}

#[test]
fn a_tree_that_hides_its_sum_is_refused() {
    // the output holds enough for the vote, but not for what its neighbour says to claim
    let (vote, neighbour) = ((entry(0), 1000), (entry(1), 1_000_000));
    let lying = crafted(&[vote, neighbour], 1001);
    let (proof, chain) = &lying[0];
    let error = ProofError::NotCovered {
        vout: 0,
        claimed: 1_001_000,
        held: 1001,
    };
    assert_eq!(judge(proof, chain), Err(error));
    let overflow = crafted(&[vote, (entry(1), u64::MAX)], 1001);
    let (proof, chain) = &overflow[0];
    assert_eq!(judge(proof, chain), Err(ProofError::SumOverflow));
    let nothing = crafted(&[(entry(0), 0), neighbour], 1_000_000);
    let (proof, chain) = &nothing[0];
    assert_eq!(judge(proof, chain), Err(ProofError::NothingPaid));
}

#[test]
fn a_vote_that_stands_twice_in_a_tree_counts_once() {
    let twice = crafted(&[(entry(0), 400), (entry(0), 600), (entry(1), 50)], 1050);
    let checked: Vec<_> = twice
        .iter()
        .map(|(proof, chain)| judge(proof, chain).unwrap().0)
        .collect();
    assert_eq!(counted_sats(&checked[..2]), 600);
    assert_eq!(counted_sats([&checked[0], &checked[0]]), 400);
    assert_eq!(counted_sats([&checked[1], &checked[0], &checked[2]]), 650);
    let (other, chain) = address_proof();
    let (other, _) = judge(&other, &chain).unwrap();
    assert_eq!(counted_sats([&checked[0], &other]), 2500);
    assert_eq!(counted_sats([]), 0);
}

#[test]
fn a_transaction_in_two_blocks_counts_once() {
    let (claim, paying) = address_payment(2100);
    let blocks = [
        block([stranger(1), paying.clone()]),
        block([stranger(2), paying]),
    ];
    let checked = blocks.map(|block| {
        let proof = prove(&block, 2, claim.clone()).unwrap();
        judge(&proof, &chain(block.header)).unwrap().0
    });
    assert_ne!(checked[0].block, checked[1].block);
    assert_eq!(counted_sats(&checked), 2100);
}

#[test]
fn every_vote_has_an_address_of_its_own() {
    let script = |network, hex, vote| address_script(network, &key(hex), &vote).unwrap();
    let one = script(NETWORK, KEY, vote());
    assert_ne!(one, script(NETWORK, KEY, entry(0)));
    assert_ne!(one, script(NETWORK, OTHER_KEY, vote()));
    assert_ne!(one, script(Network::Bitcoin, KEY, vote()));
    assert!(one.is_p2tr());
}
