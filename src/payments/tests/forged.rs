//! What others can say of a vote, and what can't be told: neither is shown as money that moved.

use bitcoin::{BlockHash, hashes::Hash as _};
use spv::proof::ProofError;
use views::data::PaymentState;

use super::*;
use crate::payments::{
    facts::Falsehood,
    proof::{NoPayee, Standing, Worth, owner_of},
};

/// A sound proof in a block that there isn't.
fn invented(world: &World, vote: EntryId, sats: u64) -> PaymentProof {
    let elsewhere = Miner::new(2, NOW_S - 10_000_000);
    elsewhere.mine_many(110);
    let output = TxOut {
        value: Amount::from_sat(sats),
        script_pubkey: script(&vote, "author"),
    };
    let payment = elsewhere.pay(vec![output]).unwrap();
    let proof = world.proof(&elsewhere.mine(vec![payment]), vote, "author");
    assert!(proof.check().is_ok());
    proof
}

#[test]
fn a_block_that_nobody_knows_is_no_payment_that_was_taken_back() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = invented(&world, vote, 1_000_000_000);
    world.row("forged", &proof, facts("voter"), key_state("author"));
    let sum = world.sum(&vote);
    assert_eq!(sum.state, PaymentState::Unchecked);
    assert_eq!((sum.sats, sum.pending_sats, sum.counted_sats), (0, 0, 0));
    assert!(sum.is_invented && sum.payee.is_none() && sum.outpoint.is_none());
    assert!(sum.why.unwrap().contains("no header of it is known"));
    world.index.take_changes(SETTLED);
    assert_eq!(world.index.paid_on(&id("post")), None);
    // nor does it hide what is true
    let proof = world.paid(vote, "author", 5_000);
    world.row("true", &proof, facts("voter"), key_state("author"));
    let sum = world.sum(&vote);
    assert_eq!(
        (sum.state, sum.counted_sats),
        (PaymentState::Confirmed, 5_000)
    );
}

#[test]
fn where_a_replaced_block_stands_is_the_same_after_a_restart() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), key_state("author"));
    let mut old: Vec<_> = world.miner.blocks();
    world.miner.fork_at(110);
    world.miner.mine_many(3);
    world.follow();
    let before = world.sum(&vote);
    assert_eq!(before.state, PaymentState::Disconnected);
    assert_eq!((before.sats, before.pending_sats), (5_000, 5_000));
    // all headers are read again, and all rows
    old.extend(world.miner.blocks());
    let headers: Vec<_> = old.iter().map(|block| block.header).collect();
    world.chain = HeaderChain::new(Network::Regtest);
    world.chain.accept(&headers, NOW_S).unwrap();
    world.index = Index::default();
    world.row("row", &proof, facts("voter"), key_state("author"));
    assert_eq!(world.sum(&vote), before);
    // a replaced block that doesn't hold the payment proves it as little as any other
    let mut other = proof;
    other.branch[0][0] ^= 1;
    world.row("row", &other, facts("voter"), key_state("author"));
    let sum = world.sum(&vote);
    let expected = ProofError::WrongBranch(other.block).to_string();
    assert_eq!((sum.state, sum.why), (PaymentState::False, Some(expected)));
}

#[test]
fn a_recipient_whose_key_row_is_disputed_makes_no_payer_a_liar() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), KeyState::Gone);
    let sum = world.sum(&vote);
    assert_eq!((sum.state, sum.counted_sats), (PaymentState::Unchecked, 0));
    assert_eq!(sum.sats, 5_000, "it moved");
    assert!(sum.why.unwrap().contains("no longer counts"));
    let row = world.index.proof(&id("row")).unwrap();
    assert_eq!(row.standing.worth(), Worth::Mined);
    world.index.take_changes(SETTLED);
    let paid = world.index.paid_on(&id("post")).unwrap();
    assert_eq!((paid.false_votes, paid.unchecked_votes), (0, 1));
}

#[test]
fn of_a_vote_that_is_not_held_the_key_is_judged_all_the_same() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    let checked = proof.check().unwrap();
    let other = key_state("owner");
    let why = Falsehood::OtherKey(key_row("author"));
    assert_eq!(owner_of(&checked, &other), Err(why.clone()));
    assert_eq!(
        Standing::alone(checked.clone(), &other),
        Standing::False(why)
    );
    for (key, why) in [
        (key_state("author"), NoPayee::VoteAbsent),
        (KeyState::Absent, NoPayee::KeyAbsent),
        (KeyState::Gone, NoPayee::KeyGone),
    ] {
        let mut standing = Standing::alone(checked.clone(), &key);
        standing.judge(&View::Chain(&world.chain));
        let Standing::Sound(sound) = &standing else {
            panic!("{standing:?}");
        };
        assert_eq!(sound.payee, Err(why));
        let (state, said) = standing.told(SETTLED);
        assert_eq!(state, PaymentState::Unchecked);
        assert!(said.is_some(), "{why:?}");
    }
    let unknown = PaymentProof {
        block: BlockHash::all_zeros(),
        ..proof
    };
    let mut standing = Standing::alone(unknown.check().unwrap(), &key_state("author"));
    standing.judge(&View::Chain(&world.chain));
    assert_eq!(standing.worth(), Worth::Claimed);
}
