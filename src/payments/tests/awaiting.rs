//! Offers, and the blocks that are read for them.

use spv::proof::{
    batch::{Batch, Recipient},
    plain_script,
};
use views::data::PayTo;

use super::*;
use crate::{
    data_folder::DataFolder,
    payments::{
        awaited::{Awaited, Found, Offer, Planned, PlannedPayee, State},
        reading::Reading,
        scan::scan,
    },
};

pub(super) fn offer(payee: &str, sats: u64) -> Offer {
    Offer {
        post: id("post"),
        root: id("root"),
        space: SpaceId::of(b"board"),
        to: PayTo::Author,
        recipient: person(payee),
        network: Network::Regtest,
        key: key_of(payee),
        key_row: key_row(payee),
        sats,
        offered_ms: 1_000,
        renewed_ms: 0,
        from_height: None,
        anyway: false,
        holders: Default::default(),
        seen: None,
        found: Vec::new(),
    }
}

pub(super) fn state(offers: &[(EntryId, Offer)]) -> State {
    State {
        offers: offers.iter().cloned().collect(),
        ..State::default()
    }
}

pub(super) fn found(state: &State, block: &Block, height: u32) -> Vec<(EntryId, Found)> {
    let wanted = state.wanted(Network::Regtest, |_| true);
    let payments = scan(state, &wanted, block, height);
    payments.into_iter().map(Result::unwrap).collect()
}

#[test]
fn what_is_awaited_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    let world = World::new();
    let vote = id("vote");
    let payment = world.pay(&vote, "author", 5_000);
    let block = world.miner.mine(vec![payment.clone()]);
    let awaited = Awaited::open(&folder).unwrap();
    let mut before = State::default();
    awaited
        .change(&folder, |state| {
            let mut offer = offer("author", 5_000);
            offer.seen = Some(payment.compute_txid());
            state.offers.insert(vote, offer);
            let (_, mut one) = found(state, &block, 111).remove(0);
            one.proof = None;
            state.offers.get_mut(&vote).unwrap().note(one);
            let payee = PlannedPayee {
                script: plain_script(&key_of("author")).unwrap(),
                key: key_of("author"),
                key_row: key_row("author"),
                votes: vec![(vote, 400)],
            };
            let planned = Planned {
                network: Network::Regtest,
                payees: vec![payee],
                planned_ms: 7,
            };
            state.batches.insert("00".to_owned(), planned);
            state.reading.begin(&world.chain);
            before = state.clone();
        })
        .unwrap();
    let holder = model::EndpointKey::from_bytes([9; 32]);
    awaited
        .note_holder(&folder, &[vote].into(), holder)
        .unwrap();
    before.offers.get_mut(&vote).unwrap().holders.insert(holder);
    drop(awaited);
    let again = Awaited::open(&folder).unwrap();
    assert_eq!(again.with(State::clone), before);
    assert_eq!(before.offers[&vote].found_sats(), 5_000);
}

#[test]
fn a_block_proves_what_was_awaited_and_nothing_else() {
    let world = World::new();
    let (one, two, other) = (id("one"), id("two"), id("other"));
    let mut state = state(&[(one, offer("author", 5_000)), (two, offer("author", 900))]);
    let recipient = Recipient {
        script: plain_script(&key_of("author")).unwrap(),
        key: key_of("author"),
        key_row: key_row("author"),
        votes: vec![(two, 900), (other, 100)],
    };
    let batch = Batch::new(Network::Regtest, std::slice::from_ref(&recipient)).unwrap();
    let planned = Planned {
        network: Network::Regtest,
        payees: vec![PlannedPayee {
            script: recipient.script,
            key: recipient.key,
            key_row: recipient.key_row,
            votes: recipient.votes,
        }],
        planned_ms: 1,
    };
    assert_eq!(planned.batch().unwrap(), batch);
    state.batches.insert("id".to_owned(), planned);
    let block = world.miner.mine(vec![
        world.pay(&other, "author", 1_000),
        world.pay(&one, "author", 5_000),
        world.miner.pay(batch.outputs().to_vec()).unwrap(),
    ]);
    let payments = found(&state, &block, 111);
    let sats: Vec<_> = payments
        .iter()
        .map(|(vote, one)| (*vote, one.sats))
        .collect();
    assert_eq!(sats, [(one, 5_000), (two, 900)]);
    for (vote, one) in &payments {
        let proof = PaymentProof::decode(one.proof.as_ref().unwrap()).unwrap();
        let checked = proof.check().unwrap();
        assert_eq!((checked.vote, checked.sats), (*vote, one.sats));
    }
    let wanted = state.wanted(Network::Regtest, |_| true);
    let matched = state.matches(&wanted, &block.txdata[3]);
    assert_eq!((matched.len(), matched[0].sats), (1, 900));
    assert!(state.matches(&wanted, &block.txdata[1]).is_empty());
    assert!(state.wanted(Network::Signet, |_| true).is_empty());
}

#[test]
fn a_payment_is_noted_once_and_anew_in_another_block() {
    let world = World::new();
    let vote = id("vote");
    let state = state(&[(vote, offer("author", 6_000))]);
    let payment = world.pay(&vote, "author", 5_000);
    let block = world.miner.mine(vec![payment.clone()]);
    let (_, first) = found(&state, &block, 111).remove(0);
    let mut offer = state.offers[&vote].clone();
    assert!(offer.note(first.clone()));
    assert!(!offer.note(first));
    offer.found[0].row = Some(id("row"));
    assert!(offer.is_looked_for(2_000), "a part of it is missing");
    world.miner.fork_at(110);
    let again = world.miner.mine(vec![payment]);
    let (_, again) = found(&state, &again, 111).remove(0);
    assert!(offer.note(again));
    assert_eq!(offer.found.len(), 1);
    assert_eq!(offer.found[0].row, None, "it has to be proved anew");
    offer.sats = 5_000;
    assert!(!offer.is_looked_for(2_000));
}

#[test]
fn blocks_are_read_once_and_again_where_others_take_their_place() {
    let mut world = World::new();
    let mut reading = Reading::default();
    let read = |reading: &mut Reading, chain: &HeaderChain| -> Vec<u32> {
        reading.follow(chain);
        let mut heights = Vec::new();
        while let Some((height, hash)) = reading.next(chain) {
            assert_eq!(chain.hash(height), Some(hash));
            reading.read(height, hash, 1_000, 0);
            heights.push(height);
        }
        heights
    };
    reading.begin(&world.chain);
    assert!(read(&mut reading, &world.chain).is_empty());
    world.miner.mine_many(3);
    world.follow();
    assert_eq!(read(&mut reading, &world.chain), [111, 112, 113]);
    let text = serde_json::to_string(&reading).unwrap();
    let mut reading: Reading = serde_json::from_str(&text).unwrap();
    assert!(read(&mut reading, &world.chain).is_empty());
    world.miner.fork_at(111);
    world.miner.mine_many(4);
    world.follow();
    assert_eq!(read(&mut reading, &world.chain), [112, 113, 114, 115]);
    // A payment that was found in a block that is gone.
    reading.look_again_from(113);
    assert_eq!(read(&mut reading, &world.chain), [113, 114, 115]);
    assert!(reading.is_spent(1, 0) && !reading.is_spent(1, 24 * 60 * 60 * 1_000));
}

#[test]
fn a_reorganisation_between_two_blocks_that_are_read_is_noticed() {
    let mut world = World::new();
    let mut reading = Reading::default();
    reading.begin(&world.chain);
    world.miner.mine_many(3);
    world.follow();
    let (height, hash) = reading.next(&world.chain).unwrap();
    reading.read(height, hash, 1_000, 0);
    assert!(reading.stands_on(&world.chain));
    world.miner.fork_at(height - 1);
    world.miner.mine_many(5);
    world.follow();
    assert!(
        !reading.stands_on(&world.chain),
        "the next would follow a block that is gone"
    );
    reading.follow(&world.chain);
    assert_eq!(reading.next(&world.chain).unwrap().0, height);
    assert!(reading.stands_on(&world.chain));
}

#[test]
fn what_nobody_wanted_is_not_read_after_a_reorganisation() {
    let mut world = World::new();
    let mut reading = Reading::default();
    reading.begin(&world.chain);
    world.miner.mine_many(40);
    world.follow();
    reading.begin(&world.chain);
    let tip = world.chain.tip().height;
    world.miner.fork_at(tip - 1);
    world.miner.mine_many(3);
    world.follow();
    reading.follow(&world.chain);
    let (height, _) = reading.next(&world.chain).unwrap();
    assert!(height <= tip && height >= tip - 21, "{height}");
}

#[test]
fn a_reorganisation_below_the_first_block_read_goes_back_far_enough() {
    let mut world = World::new();
    let mut reading = Reading::default();
    reading.begin(&world.chain);
    world.miner.fork_at(105);
    world.miner.mine_many(7);
    world.follow();
    reading.follow(&world.chain);
    let (height, _) = reading.next(&world.chain).unwrap();
    assert!(height <= 106, "{height}");
}
