//! Properties of proofs over generated batches and bytes.

use proptest::{collection::vec, prelude::*};

use super::world::*;
use crate::proof::{
    Batch, Binding, PaymentProof,
    commitment::{climb, tree},
    counted_sats,
};

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    vec(1..40_u64, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A batch proves every one of its votes, with its sats, and all that was paid.
    #[test]
    fn a_batch_proves_every_vote(sizes in sizes(), beside in 0..9_u8, after in 0..9_u8) {
        let batch = batch(&sizes);
        let paying = transaction(99, batch.outputs().to_vec());
        let others = (0..beside).map(stranger).chain([paying]);
        let block = block(others.chain((0..after).map(|seed| stranger(100 + seed))));
        let chain = chain(block.header);
        let proofs = batch.prove(&block, usize::from(beside) + 1).unwrap();
        let checked: Vec<_> = proofs.iter().map(|proof| judge(proof, &chain).unwrap().0).collect();
        prop_assert_eq!(counted_sats(&checked), batch.total_sats());
        for (number, checked) in (0..).zip(&checked) {
            prop_assert_eq!((checked.vote, checked.sats), (entry(number), 1000 + number));
        }
    }

    /// And nothing else: no proof of it can be turned into one of another vote, amount, recipient or
    /// output.
    #[test]
    fn a_batch_proves_nothing_else(
        sizes in sizes(),
        (from, to) in any::<(prop::sample::Index, prop::sample::Index)>(),
        field in 0..6_u8,
    ) {
        let batch = batch(&sizes);
        let block = block([transaction(99, batch.outputs().to_vec())]);
        let chain = chain(block.header);
        let proofs = batch.prove(&block, 1).unwrap();
        let one = from.get(&proofs);
        let other = to.get(&proofs);
        let mut turned = one.clone();
        let (Binding::Batch(path), Binding::Batch(its)) = (&mut turned.binding, &other.binding) else {
            panic!("proofs of a batch");
        };
        match field {
            0 => turned.vote = other.vote,
            1 => path.sats = its.sats,
            2 => path.position = its.position,
            3 => path.sums.clone_from(&its.sums),
            4 => turned.vout = other.vout,
            _ => turned.key_row = other.key_row,
        }
        let judged = judge(&turned, &chain);
        prop_assert_eq!(judged.is_ok(), turned == *one, "field {}", field);
    }

    /// No changed byte leaves a proof that holds and says something else.
    #[test]
    fn a_changed_byte_proves_nothing(
        of_batch in any::<bool>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        let (proof, chain) = if of_batch {
            let (mut proofs, chain) = batch_proofs();
            (proofs.swap_remove(4), chain)
        } else {
            address_proof()
        };
        let mut bytes = proof.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let changed = PaymentProof::decode(&bytes).and_then(|proof| judge(&proof, &chain));
        if let Ok((checked, _)) = changed {
            // the row that is cited stands beside an address, not in it: the node judges it
            let expected = PaymentProof { key_row: checked.key_row, ..proof };
            prop_assert_eq!(expected.encode(), bytes);
            prop_assert!(!checked.is_batch);
        }
    }

    /// What decodes is written the same, and its judgement does not panic.
    #[test]
    fn any_bytes_are_judged(bytes in vec(any::<u8>(), 0..400), cut in 0..300_usize) {
        let mut long = address_proof().0.encode();
        long.truncate(cut);
        long.extend(&bytes);
        for bytes in [bytes, long] {
            if let Ok(proof) = PaymentProof::decode(&bytes) {
                prop_assert_eq!(proof.encode(), bytes);
                let _ = proof.check();
            }
        }
    }

    /// Every leaf of a tree of any size climbs to its root, and only from its own position.
    #[test]
    fn leaves_climb_to_their_root(count in 1..200_u32, position in any::<prop::sample::Index>()) {
        let leaves: Vec<_> = (0..count).map(|leaf| (leaf, leaf)).collect();
        let join = |left: &(u32, u32), right: &(u32, u32)| {
            (left.1 + 1 == right.0).then_some((left.0, right.1))
        };
        let (root, paths) = tree(&leaves, join).unwrap();
        prop_assert_eq!(root, (0, count - 1));
        let position = position.index(leaves.len());
        let place = (u32::try_from(position).unwrap(), count);
        let climbed = climb(leaves[position], place, &paths[position], |left, right| {
            Ok(join(left, right).unwrap())
        });
        prop_assert_eq!(climbed, Ok(root));
    }
}

#[test]
fn a_batch_is_the_same_each_time() {
    let first = Batch::new(NETWORK, &recipients(&[5, 9])).unwrap();
    assert_eq!(first, Batch::new(NETWORK, &recipients(&[5, 9])).unwrap());
}
