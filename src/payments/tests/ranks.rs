//! Threads by sats, and prices.

use super::*;
use crate::payments::ranking::{Place, Ranking, Weights};

/// A payment of `sats` for a vote of `voter` in a thread of its own.
fn thread(world: &mut World, voter: &str, sats: u64) -> EntryId {
    let (root, vote) = (
        id(&format!("thread of {voter}")),
        id(&format!("vote of {voter}")),
    );
    let proof = world.paid(vote, "author", sats);
    let facts = VoteFacts {
        root,
        post: root,
        ..facts(voter)
    };
    world.row(
        &format!("row of {voter}"),
        &proof,
        facts,
        key_state("author"),
    );
    root
}

fn order(ranking: &Ranking, from: Option<Place>) -> Vec<EntryId> {
    ranking.after(from).map(|(root, _)| root).collect()
}

#[test]
fn threads_rank_by_sats_weighed_by_who_paid() {
    let mut world = World::new();
    let stranger = thread(&mut world, "stranger", 9_000);
    let second = thread(&mut world, "second", 3_000);
    let friend = thread(&mut world, "friend", 1_000);
    let mine = thread(&mut world, "me", 900);
    let alone = Weights {
        me: Some(person("me")),
        ..Weights::default()
    };
    world.index.take_changes(SETTLED);
    let ranking = Ranking::new(&world.index, &alone);
    assert_eq!(order(&ranking, None), [stranger, second, friend, mine]);
    let weights = Weights {
        followed: [person("friend")].into(),
        second: [person("second")].into(),
        ..alone
    };
    let ranking = Ranking::new(&world.index, &weights);
    assert_eq!(order(&ranking, None), [friend, mine, second, stranger]);
    assert!(ranking.contains(&friend) && !ranking.contains(&id("root")));
    let (_, place) = ranking.after(None).nth(1).unwrap();
    let again = Place::read(&place.cursor()).unwrap();
    assert_eq!(again, Some(place));
    assert_eq!(order(&ranking, again), [second, stranger]);
    assert_eq!(
        Place::read("00ff"),
        Ok(None),
        "a cursor of the threads behind"
    );
    for bad in ["s", "s12", "szzzzzzzzzzzzzzzzcid", "s00000000000000é0"] {
        assert!(Place::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_not_confirmed_does_not_rank() {
    let mut world = World::new();
    thread(&mut world, "voter", 9_000);
    world.index.judge_all::<HeaderChain>(&View::None);
    world.index.take_changes(SETTLED);
    let ranking = Ranking::new(&world.index, &Weights::default());
    assert!(order(&ranking, None).is_empty());
}

#[test]
fn a_price_is_paid_to_the_owner_only() {
    let mut world = World::new();
    let (one, two) = (id("one"), id("two"));
    let to_author = world.paid(one, "author", 5_000);
    let to_owner = world.paid(two, "owner", 600);
    world.row("a", &to_author, facts("author"), key_state("author"));
    world.row("b", &to_owner, facts("author"), key_state("owner"));
    let paid = |world: &World, claims| world.index.paid_to(&id("post"), &person("owner"), claims);
    assert_eq!(paid(&world, false), 600);
    world.index.judge_all::<HeaderChain>(&View::None);
    assert_eq!((paid(&world, false), paid(&world, true)), (0, 600));
    world.judge();
    let superseded = VoteFacts {
        superseded: true,
        ..facts("author")
    };
    world.index.set_facts(two, superseded);
    assert_eq!(paid(&world, true), 0);
}
