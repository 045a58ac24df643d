//! Sums that are kept say what adding everything up anew would, and nothing true is lost for long.

use views::data::PaymentState;

use super::*;
use crate::payments::{
    index::PROOFS_OF_A_VOTE,
    proof::{Standing, Worth},
};

/// A proof of a block that isn't known yet, and what makes it known.
fn early(world: &World, vote: EntryId) -> PaymentProof {
    let block = world.miner.mine(vec![world.pay(&vote, "author", 5_000)]);
    world.proof(&block, vote, "author")
}

fn flood(world: &mut World, proof: &PaymentProof) {
    for at in 0..PROOFS_OF_A_VOTE {
        let name = format!("claim {at}");
        world.row(&name, proof, facts("voter"), key_state("author"));
    }
}

#[test]
fn a_proof_that_makes_room_for_junk_is_read_again_when_the_chain_has_its_block() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = early(&world, vote);
    flood(&mut world, &proof);
    assert!(!world.index.has_any_lost());
    world.row("true", &proof, facts("voter"), key_state("author"));
    assert_eq!(world.index.len(), PROOFS_OF_A_VOTE);
    assert!(world.index.has_lost(&id("root")), "the row may come back");
    let lost = world.index.take_lost();
    assert!(lost.contains(&id("root")) && !world.index.has_any_lost());
    // with the block, whatever comes again is worth more than what never was true
    let mut junk = proof.clone();
    junk.block = bitcoin::hashes::Hash::all_zeros();
    flood(&mut world, &junk);
    world.follow();
    world.row("true", &proof, facts("voter"), key_state("author"));
    assert_eq!(world.sum(&vote).state, PaymentState::Confirmed);
}

#[test]
fn what_is_false_makes_room_for_good() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    flood(&mut world, &proof);
    world.row("false", &proof, facts("voter"), KeyState::NoKey);
    assert_eq!(world.index.len(), PROOFS_OF_A_VOTE);
    assert!(world.index.proof(&id("false")).is_none());
    assert!(!world.index.has_any_lost());
}

#[test]
fn a_block_with_the_payment_is_worth_more_than_a_claim_before_the_key_comes() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    let mut junk = proof.clone();
    junk.block = bitcoin::hashes::Hash::all_zeros();
    world.row("true", &proof, facts("voter"), KeyState::Absent);
    flood(&mut world, &junk);
    let row = world.index.proof(&id("true")).unwrap();
    assert_eq!(row.standing.worth(), Worth::Mined);
    assert!(matches!(&row.standing, Standing::Sound(_)));
}

#[test]
fn payments_for_posts_that_are_hidden_lift_no_thread() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), key_state("author"));
    world.index.take_changes(SETTLED);
    assert_eq!(world.index.paid_in(&id("root")).unwrap().sats, 5_000);
    assert_eq!(world.index.counted().count(), 1);
    let hidden = VoteFacts {
        hidden: true,
        ..facts("voter")
    };
    world.index.set_facts(vote, hidden);
    assert_eq!(world.index.take_changes(SETTLED).len(), 1);
    let paid = world.index.paid_in(&id("root")).unwrap();
    assert_eq!((paid.sats, paid.uncounted_votes), (0, 1));
    assert_eq!(world.index.counted().count(), 0);
    world.index.set_facts(vote, facts("voter"));
    world.index.take_changes(SETTLED);
    assert_eq!(world.index.paid_in(&id("root")).unwrap().sats, 5_000);
    // gone from here, with all that was said of it
    world.index.forget(&vote);
    assert_eq!(world.index.take_changes(SETTLED).len(), 1);
    assert_eq!(world.index.paid_in(&id("root")), None);
    assert!(world.index.has_lost(&id("root")) && world.index.is_empty());
}

#[test]
fn totals_are_what_adding_up_anew_says_whatever_happens() {
    let mut world = World::new();
    let votes: Vec<EntryId> = (0..6).map(|at| id(&format!("vote {at}"))).collect();
    let of_post = |at: usize| id(["one", "two"][at % 2]);
    let about = |at: usize, superseded| VoteFacts {
        post: of_post(at),
        superseded,
        ..facts(["voter", "author"][at % 2])
    };
    let mut proofs = Vec::new();
    for vote in &votes {
        proofs.push(world.paid(*vote, "author", 5_000));
        proofs.push(world.paid(*vote, "author", 700));
    }
    // Knuth's linear congruential generator: the same steps every time
    let mut state = 5_u64;
    let mut pick = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for step in 0..600 {
        let at = pick(votes.len());
        match pick(7) {
            0..=2 => {
                let key = [key_state("author"), KeyState::NoKey, KeyState::Gone];
                let (one, key) = (pick(2), key[pick(4).saturating_sub(1)].clone());
                let name = format!("{at} {one}");
                world.row(&name, &proofs[at * 2 + one], about(at, false), key);
            }
            3 => world.index.remove(&id(&format!("{at} {}", pick(2)))),
            4 => world.index.set_facts(votes[at], about(at, pick(2) == 0)),
            5 => world.index.judge_all::<HeaderChain>(&View::None),
            _ => world.judge(),
        }
        world.index.take_changes(SETTLED);
        for post in [id("one"), id("two")] {
            let on_post = world.index.votes_on(&post).map(|vote| world.sum(vote));
            let sums: Vec<VoteSum> = on_post.collect();
            let sats: u64 = sums.iter().map(|sum| sum.counted_sats).sum();
            let shown = world.index.paid_on(&post).unwrap_or_default();
            assert_eq!(shown.sats, sats, "step {step}");
            let known = sums.iter().filter(|sum| sum.state != PaymentState::Unpaid);
            assert_eq!(shown.votes as usize, known.count(), "step {step}");
            let of_state = |state| sums.iter().filter(|sum| sum.state == state).count();
            let unchecked = of_state(PaymentState::Unchecked);
            assert_eq!(shown.unchecked_votes as usize, unchecked, "step {step}");
            let lies = of_state(PaymentState::False);
            assert_eq!(shown.false_votes as usize, lies, "step {step}");
        }
    }
}

#[test]
fn of_many_votes_those_with_the_most_sats_are_chosen() {
    let mut world = World::new();
    for (voter, sats) in [("a", 700), ("b", 900), ("c", 800), ("d", 600)] {
        let vote = id(voter);
        let proof = world.paid(vote, "author", sats);
        world.row(
            &format!("row {voter}"),
            &proof,
            facts(voter),
            key_state("author"),
        );
    }
    world.index.take_changes(SETTLED);
    let mut best = world.index.best_on(&id("post"), 2);
    best.sort_unstable();
    let mut expected = [id("b"), id("c")];
    expected.sort_unstable();
    assert_eq!(best, expected);
    assert_eq!(world.index.best_on(&id("post"), 9).len(), 4);
}
