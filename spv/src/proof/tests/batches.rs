//! Batches within their limits, and beyond.

use bitcoin::{Amount, ScriptBuf};

use super::world::*;
use crate::proof::{
    Batch, BatchError, KeyError, MAX_PROOF_BYTES, MAX_SCRIPT_BYTES, ProveError, Recipient,
    batch::{MAX_RECIPIENTS, MAX_VOTES},
    commitments, counted_sats, plain_script, prove,
};

fn refusal(recipients: &[Recipient]) -> BatchError {
    Batch::new(NETWORK, recipients).unwrap_err()
}

#[test]
fn a_batch_is_an_output_for_each_recipient_and_a_commitment() {
    let batch = batch(&[3, 1, 7]);
    let outputs = batch.outputs();
    assert_eq!(outputs.len(), 4);
    let sats: Vec<_> = outputs.iter().map(|output| output.value.to_sat()).collect();
    assert_eq!(sats, [3003, 1003, 7049, 0]);
    assert_eq!(batch.total_sats(), 11_055);
    assert_eq!(batch.claims().len(), 11);
    assert!(outputs[3].script_pubkey.is_op_return());
    let paying = transaction(1, outputs.to_vec());
    assert_eq!(commitments(&paying), [*batch.commitment()]);
}

#[test]
fn the_greatest_batch_has_proofs_that_fit() {
    let mut votes = [10; MAX_RECIPIENTS];
    let batch = batch(&votes);
    let mut paying = transaction(9, batch.outputs().to_vec());
    paying
        .output
        .push(output(plain_script(&key(KEY)).unwrap(), 5));
    while paying.base_size() + 41 <= batch.transaction_room() {
        let more = paying.input[0].clone();
        paying.input.push(more);
    }
    assert!(paying.input.len() > 40, "{} inputs", paying.input.len());
    let block = block([stranger(1), paying.clone()]);
    let proofs = batch.prove(&block, 2).unwrap();
    assert_eq!(proofs.len(), MAX_VOTES);
    let longest = proofs
        .iter()
        .map(|proof| proof.encode().len())
        .max()
        .unwrap();
    // a block of two levels: 13 more would fit
    assert!(longest + 13 * 32 <= MAX_PROOF_BYTES);
    assert!(longest + 13 * 32 + 41 > MAX_PROOF_BYTES);
    let chain = chain(block.header);
    let checked: Vec<_> = proofs
        .iter()
        .map(|proof| judge(proof, &chain).unwrap().0)
        .collect();
    assert_eq!(counted_sats(&checked), batch.total_sats());

    votes[0] = 11;
    assert_eq!(
        refusal(&recipients(&votes)),
        BatchError::Votes { found: 1001 }
    );
    let found = MAX_RECIPIENTS + 1;
    assert_eq!(
        refusal(&recipients(&vec![1; found])),
        BatchError::Recipients { found }
    );
}

#[test]
fn a_transaction_too_long_for_proofs_is_refused() {
    let batch = batch(&[1]);
    let mut paying = transaction(9, batch.outputs().to_vec());
    paying.input.resize(200, paying.input[0].clone());
    assert!(paying.base_size() > batch.transaction_room());
    let refused = batch.prove(&block([paying]), 1).unwrap_err();
    assert!(matches!(refused, ProveError::TooLong { found } if found > MAX_PROOF_BYTES));
    assert_eq!(
        batch.prove(&block([]), 1),
        Err(ProveError::NoTransaction { index: 1 })
    );
}

#[test]
fn outputs_keep_their_positions() {
    let batch = batch(&[2, 2]);
    let planned = batch.outputs().to_vec();
    let fits = |change: fn(&mut Vec<bitcoin::TxOut>)| {
        let mut outputs = planned.clone();
        change(&mut outputs);
        batch
            .prove(&block([transaction(9, outputs)]), 1)
            .map(|proofs| proofs.len())
    };
    let change = || output(ScriptBuf::new(), 3);
    assert_eq!(change().value, Amount::from_sat(3));
    assert_eq!(fits(|_| {}), Ok(4));
    assert_eq!(
        fits(|outputs| outputs.push(output(ScriptBuf::new(), 3))),
        Ok(4)
    );
    assert_eq!(
        fits(|outputs| outputs[0].value = Amount::from_sat(9000)),
        Ok(4)
    );
    let moved = |vout| Err(ProveError::Moved { vout });
    assert_eq!(
        fits(|outputs| outputs.insert(0, output(ScriptBuf::new(), 3))),
        moved(0)
    );
    assert_eq!(fits(|outputs| outputs.swap(0, 1)), moved(0));
    assert_eq!(
        fits(|outputs| outputs[1].value = Amount::from_sat(1)),
        moved(1)
    );
    assert_eq!(fits(|outputs| outputs.truncate(2)), moved(2));
}

#[test]
fn what_makes_no_output_is_refused() {
    assert_eq!(refusal(&[]), BatchError::Empty);
    assert_eq!(refusal(&recipients(&[1, 0])), BatchError::Empty);
    let one = |change: fn(&mut Recipient)| {
        let mut recipients = recipients(&[1, 2]);
        change(&mut recipients[1]);
        refusal(&recipients)
    };
    let recipient = 1;
    assert_eq!(one(|one| one.votes[0].1 = 0), BatchError::Nothing(entry(1)));
    assert_eq!(
        one(|one| one.votes[1] = (entry(1), 5)),
        BatchError::Repeated(entry(1))
    );
    assert_eq!(
        one(|one| one.votes[0].1 = u64::MAX),
        BatchError::Overflow { recipient }
    );
    assert_eq!(
        one(|one| one.votes[0].1 = Amount::MAX_MONEY.to_sat()),
        BatchError::Overflow { recipient }
    );
    assert_eq!(
        one(|one| one.votes = vec![(entry(1), 329)]),
        BatchError::Dust {
            recipient,
            sats: 329,
            least: 330
        }
    );
    assert_eq!(
        one(|one| one.script = ScriptBuf::from_bytes(vec![0x6a])),
        BatchError::Unspendable { recipient }
    );
    assert_eq!(
        one(|one| one.key = [0xff; 32]),
        BatchError::Key {
            recipient,
            source: KeyError::NotAKey
        }
    );
    assert_eq!(
        one(|one| one.script = ScriptBuf::from_bytes(vec![0x51; MAX_SCRIPT_BYTES + 1])),
        BatchError::ScriptTooLong {
            recipient,
            found: MAX_SCRIPT_BYTES + 1
        }
    );
    let mut long = recipients(&[1; MAX_RECIPIENTS]);
    for one in &mut long {
        one.script = ScriptBuf::from_bytes(vec![0x51; MAX_SCRIPT_BYTES]);
        one.votes[0].1 = 100_000;
    }
    assert_eq!(refusal(&long), BatchError::TooLong);
    long.truncate(2);
    let batch = Batch::new(NETWORK, &long).unwrap();
    let block = block([transaction(9, batch.outputs().to_vec())]);
    assert_eq!(batch.prove(&block, 1).map(|proofs| proofs.len()), Ok(2));
}

#[test]
fn a_recipient_may_be_paid_at_any_address() {
    let mut recipients = recipients(&[2]);
    recipients[0].script =
        ScriptBuf::from_hex("0014751e76e8199196d454941c45d1b3a323f1433bd6").unwrap();
    let batch = Batch::new(NETWORK, &recipients).unwrap();
    let block = block([transaction(9, batch.outputs().to_vec())]);
    let claim = batch.claims()[1].clone();
    let proof = prove(&block, 1, claim).unwrap();
    let (checked, _) = judge(&proof, &chain(block.header)).unwrap();
    assert_eq!(checked.script, recipients[0].script);
}
