//! What proofs are worth by rows and headers.

use bitcoin::hashes::Hash as _;
use spv::proof::{
    ProofError,
    batch::{Batch, Recipient},
    plain_script,
};
use views::data::{PayTo, PaymentState};

use super::*;
use crate::payments::{
    facts::Falsehood,
    index::PROOFS_OF_A_VOTE,
    proof::{Standing, Worth},
};

#[test]
fn a_payment_is_confirmed_settles_and_goes_back_when_its_block_is_replaced() {
    let mut world = World::new();
    let vote = id("vote");
    let payment = world.pay(&vote, "author", 5_000);
    let block = world.miner.mine(vec![payment.clone()]);
    world.follow();
    let proof = world.proof(&block, vote, "author");
    world.row("row", &proof, facts("voter"), key_state("author"));
    let sum = world.sum(&vote);
    assert_eq!((sum.state, sum.confirmations), (PaymentState::Confirmed, 1));
    assert_eq!((sum.counted_sats, sum.sats), (5_000, 5_000));
    assert_eq!(sum.payee, Some((PayTo::Author, person("author"))));
    world.miner.mine_many(5);
    world.follow();
    assert_eq!(world.sum(&vote).state, PaymentState::Settled);
    // A longer branch without the payment.
    world.miner.fork_at(110);
    world.miner.mine_many(8);
    world.follow();
    let sum = world.sum(&vote);
    assert_eq!(sum.state, PaymentState::Disconnected);
    assert_eq!((sum.counted_sats, sum.pending_sats), (0, 5_000));
    assert!(sum.why.unwrap().contains(&block.block_hash().to_string()));
    // It is mined again; another row proves it.
    let again = world.miner.mine(vec![payment]);
    world.follow();
    let again = world.proof(&again, vote, "author");
    world.row("again", &again, facts("voter"), key_state("author"));
    let sum = world.sum(&vote);
    assert_eq!(
        (sum.state, sum.counted_sats),
        (PaymentState::Confirmed, 5_000)
    );
    assert_eq!(sum.pending_sats, 0, "the same payment is not pending too");
}

#[test]
fn changes_are_told_once_and_depth_beyond_settled_is_not() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), key_state("author"));
    let told = |world: &mut World| -> Vec<(PaymentState, u32)> {
        let changes = world.index.take_changes(SETTLED);
        changes
            .iter()
            .map(|(_, _, sum)| (sum.state, sum.confirmations))
            .collect()
    };
    assert_eq!(told(&mut world), [(PaymentState::Confirmed, 1)]);
    world.judge();
    assert!(told(&mut world).is_empty());
    for (blocks, expected) in [
        (1, vec![(PaymentState::Confirmed, 2)]),
        (4, vec![(PaymentState::Settled, 6)]),
        (3, vec![]),
    ] {
        world.miner.mine_many(blocks);
        world.follow();
        assert_eq!(told(&mut world), expected);
    }
    world.index.remove(&id("row"));
    assert_eq!(told(&mut world), [(PaymentState::Unpaid, 0)]);
    assert!(world.index.facts(&vote).is_none(), "and it is forgotten");
}

#[test]
fn a_superseded_vote_is_shown_and_not_counted() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), key_state("author"));
    let superseded = VoteFacts {
        superseded: true,
        ..facts("voter")
    };
    world.index.set_facts(vote, superseded);
    let sum = world.sum(&vote);
    assert_eq!((sum.state, sum.sats), (PaymentState::Confirmed, 5_000));
    assert_eq!(sum.counted_sats, 0);
    assert_eq!(world.index.take_changes(SETTLED).len(), 1);
    assert_eq!(world.index.paid_on(&id("post")).unwrap().sats, 0);
}

#[test]
fn who_may_be_paid_is_judged_by_the_key_row() {
    let mut world = World::new();
    let vote = id("vote");
    let to = |identity: &str, change: fn(&mut KeyRow)| {
        let mut row = KeyRow {
            identity: person(identity),
            network: Network::Regtest,
            key: key_of("author"),
            address: None,
            off: false,
        };
        change(&mut row);
        KeyState::Key(row)
    };
    let proof = world.paid(vote, "author", 5_000);
    let cited = key_row("author");
    for (key, expected) in [
        (KeyState::NoKey, Falsehood::NoKey(cited)),
        (
            to("stranger", |_| {}),
            Falsehood::Stranger(person("stranger")),
        ),
        (to("author", |row| row.off = true), Falsehood::KeyOff(cited)),
        (
            to("author", |row| row.key[0] ^= 1),
            Falsehood::OtherKey(cited),
        ),
        (
            to("author", |row| row.network = Network::Bitcoin),
            Falsehood::KeyNetwork {
                row: Network::Bitcoin,
                proof: Network::Regtest,
            },
        ),
    ] {
        world.row("row", &proof, facts("voter"), key);
        let sum = world.sum(&vote);
        assert_eq!(sum.state, PaymentState::False, "{expected}");
        assert_eq!(sum.why, Some(expected.to_string()));
        assert_eq!((sum.sats, sum.counted_sats), (0, 0));
    }
    for (key, payee) in [
        (to("author", |_| {}), PayTo::Author),
        (to("owner", |_| {}), PayTo::Board),
    ] {
        world.row("row", &proof, facts("voter"), key);
        let sum = world.sum(&vote);
        assert_eq!(sum.payee.unwrap().0, payee);
        assert_eq!(sum.counted_sats, 5_000);
        assert!(!sum.to_self);
    }
    world.row("row", &proof, facts("author"), to("author", |_| {}));
    assert!(world.sum(&vote).to_self);
}

#[test]
fn a_key_that_is_not_held_yet_leaves_the_payment_unchecked_until_it_comes() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), KeyState::Absent);
    let sum = world.sum(&vote);
    assert_eq!((sum.state, sum.counted_sats), (PaymentState::Unchecked, 0));
    assert!(sum.why.unwrap().contains("profile"));
    assert_eq!(world.index.citing(&key_row("author")), [id("row")]);
    world.row("row", &proof, facts("voter"), key_state("author"));
    assert_eq!(world.sum(&vote).state, PaymentState::Confirmed);
}

#[test]
fn a_false_proof_is_remembered_with_its_reason() {
    let mut world = World::new();
    let vote = id("vote");
    let mut proof = world.paid(vote, "author", 5_000);
    // Another vote than the row names.
    world.index.insert(NewProof {
        row: id("other"),
        vote: id("other vote"),
        facts: facts("voter"),
        checked: proof.check(),
        key: key_state("author"),
        arrived_ms: 1,
    });
    let other = world.sum(&id("other vote"));
    assert_eq!(other.why, Some(Falsehood::OtherVote(vote).to_string()));
    // A branch that leads elsewhere is found out by the chain alone.
    proof.branch[0][0] ^= 1;
    world.row("row", &proof, facts("voter"), key_state("author"));
    for _ in 0..2 {
        let sum = world.sum(&vote);
        assert_eq!(sum.state, PaymentState::False);
        let expected = ProofError::WrongBranch(proof.block);
        assert_eq!(sum.why, Some(expected.to_string()));
        world.judge();
    }
    world.index.take_changes(SETTLED);
    let paid = world.index.paid_on(&id("post")).unwrap();
    assert_eq!((paid.sats, paid.votes, paid.false_votes), (0, 2, 2));
}

#[test]
fn a_payment_counts_once_and_several_add_up() {
    let mut world = World::new();
    let vote = id("vote");
    let first = world.paid(vote, "author", 5_000);
    let second = world.paid(vote, "author", 700);
    world.row("a", &first, facts("voter"), key_state("author"));
    world.row("b", &first, facts("voter"), key_state("author"));
    assert_eq!(world.sum(&vote).counted_sats, 5_000);
    world.row("c", &second, facts("voter"), key_state("author"));
    let sum = world.sum(&vote);
    assert_eq!((sum.counted_sats, sum.confirmations), (5_700, 1));
    world.index.take_changes(SETTLED);
    let paid = world.index.paid_in(&id("root")).unwrap();
    assert_eq!((paid.sats, paid.votes), (5_700, 1));
}

#[test]
fn without_headers_or_with_those_of_another_chain_nothing_is_counted() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), key_state("author"));
    let signet = HeaderChain::new(Network::Signet);
    for view in [View::None, View::Young(&world.chain), View::Chain(&signet)] {
        world.index.judge_all(&view);
        let sum = world.sum(&vote);
        assert_eq!((sum.state, sum.counted_sats), (PaymentState::Unchecked, 0));
        assert!(sum.why.is_some());
    }
}

#[test]
fn a_batch_must_pay_where_the_recipient_says() {
    let mut world = World::new();
    let (one, two) = (id("one"), id("two"));
    let recipient = Recipient {
        script: plain_script(&key_of("author")).unwrap(),
        key: key_of("author"),
        key_row: key_row("author"),
        votes: vec![(one, 300), (two, 40)],
    };
    let batch = Batch::new(Network::Regtest, &[recipient]).unwrap();
    let payment = world.miner.pay(batch.outputs().to_vec()).unwrap();
    let block = world.miner.mine(vec![payment]);
    world.follow();
    for proof in batch.prove(&block, 1).unwrap() {
        let name = proof.vote.to_string();
        world.row(&name, &proof, facts("voter"), key_state("author"));
    }
    assert_eq!(world.sum(&one).counted_sats, 300);
    world.index.take_changes(SETTLED);
    assert_eq!(world.index.paid_on(&id("post")).unwrap().sats, 340);
    let elsewhere = KeyState::Key(KeyRow {
        identity: person("author"),
        network: Network::Regtest,
        key: key_of("author"),
        address: Some("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".to_owned()),
        off: false,
    });
    let proof = batch.prove(&block, 1).unwrap().remove(0);
    world.row(&one.to_string(), &proof, facts("voter"), elsewhere);
    let sum = world.sum(&one);
    assert_eq!(
        sum.why,
        Some(Falsehood::OtherAddress(key_row("author")).to_string())
    );
}

#[test]
fn a_flood_of_claims_leaves_what_is_proved() {
    let mut world = World::new();
    let vote = id("vote");
    let proof = world.paid(vote, "author", 5_000);
    let mut claimed = proof.clone();
    claimed.block = bitcoin::BlockHash::all_zeros();
    for at in 0..PROOFS_OF_A_VOTE {
        world.row(
            &format!("claim {at}"),
            &claimed,
            facts("voter"),
            key_state("author"),
        );
    }
    world.row("true", &proof, facts("voter"), key_state("author"));
    assert_eq!(world.index.len(), PROOFS_OF_A_VOTE);
    let row = world.index.proof(&id("true")).unwrap();
    assert_eq!(row.standing.worth(), Worth::Confirmed);
    world.row("late", &claimed, facts("voter"), key_state("author"));
    assert_eq!(world.index.len(), PROOFS_OF_A_VOTE);
    let sum = world.sum(&vote);
    assert_eq!((sum.counted_sats, sum.pending_sats), (5_000, 0));
    assert!(matches!(row_of(&world, "true"), Standing::Sound(_)));
}

fn row_of<'a>(world: &'a World, name: &str) -> &'a Standing {
    &world.index.proof(&id(name)).unwrap().standing
}
