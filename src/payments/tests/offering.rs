//! Offers that are taken up, raised, seen and given up, and which blocks are read for them.

use bitcoin::{block::Header, consensus::deserialize};
use model::EndpointKey;
use spv::proof::plain_script;

use super::{
    awaiting::{found, offer, state},
    *,
};
use crate::{
    data_folder::DataFolder,
    payments::{
        awaited::{Awaited, BATCHES, FOUND, Found, Planned, PlannedPayee, State},
        batch::Misfit,
        offering::Refusal,
        reading::{Reading, first_block},
        watch::step_back,
    },
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The first blocks of Bitcoin, of January 2009.
const BITCOIN: &[u8] = include_bytes!("../../../spv/src/chain/tests/real/bitcoin-first.bin");

fn bitcoin(count: usize) -> Vec<Header> {
    let headers = BITCOIN.chunks_exact(80);
    let headers = headers.map(|bytes| deserialize::<Header>(bytes).unwrap());
    let genesis = HeaderChain::new(Network::Bitcoin).tip().hash;
    headers
        .skip_while(|header| header.block_hash() == genesis)
        .take(count)
        .collect()
}

fn read_all(state: &mut State, chain: &HeaderChain) -> Vec<u32> {
    let mut heights = Vec::new();
    while let Some((height, hash)) = state.reading.next(chain) {
        state.reading.read(height, hash, 1_000, 0);
        heights.push(height);
    }
    heights
}

fn planned(votes: &[EntryId], planned_ms: u64) -> Planned {
    Planned {
        network: Network::Regtest,
        payees: vec![PlannedPayee {
            script: plain_script(&key_of("author")).unwrap(),
            key: key_of("author"),
            key_row: key_row("author"),
            votes: votes.iter().map(|vote| (*vote, 900)).collect(),
        }],
        planned_ms,
    }
}

#[test]
fn no_block_of_a_real_chain_is_passed_over_whatever_the_clock_says() {
    let mut chain = HeaderChain::new(Network::Bitcoin);
    let headers = bitcoin(20);
    chain.accept(&headers[..10], NOW_S).unwrap();
    let mut state = State::default();
    let mut asked = offer("author", 5_000);
    asked.network = Network::Bitcoin;
    // Clocks years ahead of the chain's.
    asked.offered_ms = u64::from(NOW_S) * 1_000;
    let now_ms = asked.offered_ms;
    state
        .take(id("vote"), asked.clone(), Some(&chain), now_ms)
        .unwrap();
    assert_eq!(state.offers[&id("vote")].from_height, Some(11));
    assert!(read_all(&mut state, &chain).is_empty());
    chain.accept(&headers[10..], NOW_S).unwrap();
    state
        .take(id("vote"), asked, Some(&chain), now_ms + DAY_MS)
        .unwrap();
    assert_eq!(state.offers[&id("vote")].from_height, Some(11));
    assert_eq!(read_all(&mut state, &chain), (11..=20).collect::<Vec<_>>());
}

#[test]
fn what_is_offered_without_headers_is_looked_for_from_its_time_on() {
    let mut chain = HeaderChain::new(Network::Bitcoin);
    let headers = bitcoin(800);
    chain.accept(&headers, NOW_S).unwrap();
    let mut state = State::default();
    let mut asked = offer("author", 5_000);
    asked.network = Network::Bitcoin;
    let time_s = u64::from(headers[700].time);
    asked.offered_ms = time_s * 1_000;
    let now_ms = asked.offered_ms;
    state.take(id("vote"), asked, None, now_ms).unwrap();
    assert_eq!(
        first_block(&HeaderChain::new(Network::Bitcoin), now_ms),
        None
    );
    state.settle_heights(&chain, now_ms);
    let (height, _) = state.reading.next(&chain).unwrap();
    assert!((2..701).contains(&height), "{height}");
    let below = chain.header(height - 1).unwrap();
    assert!(u64::from(below.time) + 24 * 60 * 60 < time_s);
    assert_eq!(state.offers[&id("vote")].from_height, Some(height));
}

#[test]
fn blocks_are_read_again_for_a_transaction_that_was_handed_in_late() {
    let mut world = World::new();
    let vote = id("vote");
    let mut state = State::default();
    state
        .take(vote, offer("author", 5_000), Some(&world.chain), 1_000)
        .unwrap();
    let payment = world.pay(&vote, "author", 5_000);
    world.miner.mine(vec![payment.clone()]);
    world.miner.mine_many(3);
    world.follow();
    assert_eq!(read_all(&mut state, &world.chain), [111, 112, 113, 114]);
    let late_ms = 1_000 + 31 * DAY_MS;
    assert!(!state.offers[&vote].is_looked_for(late_ms));
    let wanted = state.wanted(Network::Regtest, |_| true);
    let votes = state.paid_by(&wanted, &payment).unwrap();
    assert_eq!(votes, [vote].into());
    state.see(&votes, &payment, late_ms).unwrap();
    assert!(state.offers[&vote].is_looked_for(late_ms));
    assert_eq!(read_all(&mut state, &world.chain), [111, 112, 113, 114]);
    // Read for all the time: handed in once more, nothing is read again.
    state.see(&votes, &payment, late_ms).unwrap();
    assert!(read_all(&mut state, &world.chain).is_empty());
}

#[test]
fn a_reorganisation_just_before_an_offer_leaves_no_stale_blocks() {
    let mut world = World::new();
    let mut reading = Reading::default();
    reading.begin(&world.chain);
    world.miner.mine_many(3);
    world.follow();
    while let Some((height, hash)) = reading.next(&world.chain) {
        reading.read(height, hash, 1_000, 0);
    }
    world.miner.fork_at(111);
    world.miner.mine_many(4);
    world.follow();
    reading.begin(&world.chain);
    reading.follow(&world.chain);
    assert_eq!(
        reading.next(&world.chain),
        None,
        "nothing was awaited before"
    );
    world.miner.mine_many(1);
    world.follow();
    assert_eq!(reading.next(&world.chain).unwrap().0, 116);
}

#[test]
fn a_payment_whose_block_is_gone_is_looked_for_again() {
    let mut world = World::new();
    let vote = id("vote");
    let mut state = State::default();
    state
        .take(vote, offer("author", 5_000), Some(&world.chain), 1_000)
        .unwrap();
    let payment = world.pay(&vote, "author", 5_000);
    let block = world.miner.mine(vec![payment.clone()]);
    world.follow();
    let (_, one) = found(&state, &block, 111).remove(0);
    read_all(&mut state, &world.chain);
    state.offers.get_mut(&vote).unwrap().note(one);
    assert!(step_back(&mut state, &world.chain).is_empty());
    // Another payment is asked for: blocks before it don't matter to that one.
    world.miner.mine_many(2);
    world.follow();
    read_all(&mut state, &world.chain);
    state
        .take(vote, offer("author", 700), Some(&world.chain), 2_000)
        .unwrap();
    let raised = &state.offers[&vote];
    assert_eq!((raised.sats, raised.due_sats(0)), (5_700, 700));
    assert_eq!(raised.from_height, Some(114));
    world.miner.fork_at(110);
    world.miner.mine_many(4);
    world.follow();
    assert_eq!(step_back(&mut state, &world.chain), [vote].into());
    assert_eq!(read_all(&mut state, &world.chain), [111, 112, 113, 114]);
}

#[test]
fn a_transaction_is_kept_until_it_is_deep_and_given_up_when_it_never_comes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    let mut world = World::new();
    let vote = id("vote");
    let awaited = Awaited::open(&folder).unwrap();
    let payment = world.pay(&vote, "author", 5_000);
    awaited
        .change(&folder, |state| {
            let asked = offer("author", 5_000);
            state.take(vote, asked, Some(&world.chain), 1_000).unwrap();
            state.see(&[vote].into(), &payment, 1_000).unwrap();
        })
        .unwrap();
    drop(awaited);
    let mut state = Awaited::open(&folder).unwrap().with(State::clone);
    let digits = bitcoin::consensus::encode::serialize_hex(&payment);
    assert_eq!(state.unmined().collect::<Vec<_>>(), [&digits]);
    let mut given_up = state.clone();
    given_up.offers.get_mut(&vote).unwrap().unsee();
    assert!(!given_up.offers[&vote].is_underway());
    given_up.drop_given(|_| false);
    assert!(given_up.given.is_empty());
    let block = world.miner.mine(vec![payment]);
    world.follow();
    let (_, one) = found(&state, &block, 111).remove(0);
    state.offers.get_mut(&vote).unwrap().note(one);
    assert_eq!(state.unmined().count(), 0);
    state.drop_given(|height| height < 111);
    assert_eq!(state.given.len(), 1, "a reorganisation may throw it out");
    state.drop_given(|height| height <= 111);
    assert!(state.given.is_empty());
    state.offers.get_mut(&vote).unwrap().unsee();
    assert!(state.offers[&vote].seen.is_some(), "it came");
}

#[test]
fn a_transaction_that_another_one_took_the_place_of_is_waited_for_no_longer() {
    let mut world = World::new();
    let vote = id("vote");
    let mut state = state(&[(vote, offer("author", 5_000))]);
    let first = world.pay(&vote, "author", 5_000);
    state.see(&[vote].into(), &first, 1_000).unwrap();
    let second = world.pay(&vote, "author", 5_000);
    assert_ne!(first.compute_txid(), second.compute_txid());
    let block = world.miner.mine(vec![second]);
    world.follow();
    let (_, one) = found(&state, &block, 111).remove(0);
    state.offers.get_mut(&vote).unwrap().note(one);
    let paid = &state.offers[&vote];
    assert!(!paid.is_underway() && !paid.is_looked_for(2_000));
    assert_eq!(state.unmined().count(), 0);
    state.drop_given(|height| height < 111);
    assert_eq!(state.given.len(), 1, "a reorganisation may bring it back");
    state.drop_given(|height| height <= 111);
    assert!(state.given.is_empty());
    // Another payment is asked for: the first one doesn't stand for it.
    let more = offer("author", 700);
    state.take(vote, more, Some(&world.chain), 2_000).unwrap();
    let asked = &state.offers[&vote];
    assert_eq!((asked.seen, asked.due_sats(0)), (None, 700));
}

#[test]
fn only_what_the_recipient_is_paid_pays_an_offer() {
    let mut world = World::new();
    let vote = id("vote");
    let offer = offer("author", 5_000);
    let other = world.paid(vote, "owner", 5_000);
    world.row("other", &other, facts("voter"), key_state("owner"));
    assert_eq!(world.sum(&vote).counted_sats, 5_000);
    let proved = offer.proved(&vote, &world.index);
    assert_eq!(offer.due_sats(proved.sats()), 5_000);
    let own = world.paid(vote, "author", 700);
    for row in ["a", "b"] {
        world.row(row, &own, facts("voter"), key_state("author"));
    }
    let proved = offer.proved(&vote, &world.index);
    assert_eq!((proved.confirmed_sats, proved.replaced_sats), (700, 0));
}

#[test]
fn a_payment_whose_block_was_replaced_is_not_asked_for_again() {
    let mut world = World::new();
    let vote = id("vote");
    let offer = offer("author", 5_000);
    let proof = world.paid(vote, "author", 5_000);
    world.row("row", &proof, facts("voter"), key_state("author"));
    world.miner.fork_at(110);
    world.miner.mine_many(3);
    world.follow();
    assert_eq!(world.sum(&vote).counted_sats, 0);
    let proved = offer.proved(&vote, &world.index);
    assert_eq!((proved.confirmed_sats, proved.replaced_sats), (0, 5_000));
    assert_eq!(offer.due_sats(proved.sats()), 0);
}

#[test]
fn a_transaction_that_differs_from_its_batch_is_refused() {
    let world = World::new();
    let vote = id("vote");
    let mut state = state(&[(vote, offer("author", 900))]);
    let batch = planned(&[vote], 1);
    let mut outputs = batch.batch().unwrap().outputs().to_vec();
    state.plan("id".to_owned(), batch).unwrap();
    let wanted = state.wanted(Network::Regtest, |_| true);
    let right = world.miner.pay(outputs.clone()).unwrap();
    assert_eq!(state.paid_by(&wanted, &right).unwrap(), [vote].into());
    outputs[0].value = Amount::from_sat(899);
    let wrong = world.miner.pay(outputs).unwrap();
    let misfit = state.paid_by(&wanted, &wrong).unwrap_err();
    assert!(matches!(misfit, Misfit::Amount { .. }), "{misfit}");
}

#[test]
fn batches_that_proofs_need_make_no_room() {
    let world = World::new();
    let (paid, seen) = (id("paid"), id("seen"));
    let mut state = state(&[(paid, offer("author", 900)), (seen, offer("author", 900))]);
    state.plan("paid".to_owned(), planned(&[paid], 0)).unwrap();
    state.plan("seen".to_owned(), planned(&[seen], 1)).unwrap();
    let block = world.miner.mine(vec![world.pay(&paid, "author", 900)]);
    let (_, one) = found(&state, &block, 111).remove(0);
    state.offers.get_mut(&paid).unwrap().note(one);
    state.offers.get_mut(&seen).unwrap().seen = Some(block.txdata[1].compute_txid());
    for number in 0..2 * BATCHES as u64 {
        let name = format!("other {number}");
        state
            .plan(name, planned(&[id("other")], 2 + number))
            .unwrap();
    }
    assert_eq!(state.batches.len(), BATCHES);
    assert!(state.batches.contains_key("paid") && state.batches.contains_key("seen"));
    for batch in state.batches.values_mut() {
        *batch = planned(&[paid], 1);
    }
    let refused = state.plan("one more".to_owned(), planned(&[seen], 1));
    assert_eq!(refused, Err(Refusal::TooManyBatches));
    state.offers.get_mut(&paid).unwrap().found[0].row = Some(id("row"));
    state
        .plan("one more".to_owned(), planned(&[seen], 1))
        .unwrap();
}

#[test]
fn dust_to_a_public_address_hides_no_payment() {
    let world = World::new();
    let vote = id("vote");
    let state = state(&[(vote, offer("author", 5_000))]);
    let block = world.miner.mine(vec![world.pay(&vote, "author", 330)]);
    let (_, dust) = found(&state, &block, 111).remove(0);
    let mut offer = state.offers[&vote].clone();
    let at = |vout: u32, sats: u64| {
        let mut one: Found = dust.clone();
        (one.outpoint.vout, one.sats) = (vout, sats);
        one
    };
    for vout in 0..200 {
        assert_eq!(offer.note(at(vout, 2)), (vout as usize) < FOUND);
    }
    assert!(offer.note(at(200, 5_000)));
    assert_eq!(offer.found.len(), FOUND);
    assert_eq!(offer.due_sats(0), 0);
}

#[test]
fn holders_matter_while_something_is_due_and_few_are_known() {
    let mut offer = offer("author", 5_000);
    let peer = |number: u8| EndpointKey::from_bytes([number; 32]);
    assert!(offer.needs_holder(&peer(0)));
    offer.holders = (0..64).map(peer).collect();
    assert!(!offer.needs_holder(&peer(0)) && !offer.needs_holder(&peer(99)));
    offer.holders.clear();
    offer.sats = 0;
    assert!(!offer.needs_holder(&peer(0)), "it is paid");
}

#[test]
fn what_is_looked_for_is_made_anew_only_where_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    let awaited = Awaited::open(&folder).unwrap();
    let add = |name: &str| {
        let vote = id(name);
        let asked = offer("author", 5_000);
        awaited
            .change(&folder, |state| state.take(vote, asked, None, 1))
            .unwrap()
            .unwrap();
    };
    let wanted = || awaited.wanted(&awaited.state(), Network::Regtest, |_| true);
    add("one");
    let first = wanted();
    assert!(std::sync::Arc::ptr_eq(&first, &wanted()));
    add("two");
    assert!(!std::sync::Arc::ptr_eq(&first, &wanted()));
    // How far blocks were read is in the file with the next change at the latest.
    awaited.pass(|reading| reading.read(0, first_hash(), 7, 0));
    awaited.change(&folder, |_| ()).unwrap();
    let again = Awaited::open(&folder).unwrap();
    assert_eq!(*again.state(), *awaited.state());
}

fn first_hash() -> bitcoin::BlockHash {
    HeaderChain::new(Network::Regtest).tip().hash
}
