//! How much strangers may fill, by whatever names they go.

use model::{EntryId, IdentityId};

use super::world::{Parcel, Person, World, empty_with, give};
use crate::{Budget, Database, Missing, Options, Outcome, Reason, Scope};

fn size(parcel: &Parcel) -> u64 {
    (parcel.entry.bytes().len() + parcel.payload.bytes().len()) as u64
}

struct Scene {
    world: World,
    owner: Person,
    space: model::SpaceId,
    posts: Vec<EntryId>,
}

fn scene() -> Scene {
    let mut world = World::new();
    let owner = world.person(1);
    let space = world.board(&owner);
    let posts = ["a", "b", "c", "d", "e", "f"].map(|body| world.thread(&owner, space, body));
    Scene {
        world,
        owner,
        space,
        posts: posts.to_vec(),
    }
}

impl Scene {
    fn node(&self, options: Options) -> Database {
        let node = empty_with(options);
        let all = self.world.parcels.iter().map(Parcel::incoming).collect();
        give(&node, all, self.world.now_ms);
        node
    }

    /// First posts of another device, each under another name.
    fn renamed(&mut self, rename: impl Fn(&mut model::Header, EntryId)) -> Vec<Parcel> {
        let stranger = model::SecretKey::from_bytes(&[77; 32]);
        let of = self.world.parcels.last().unwrap().clone();
        let posts = self.posts.clone();
        let renamed = posts.into_iter().map(|post| {
            self.world.altered(&of, &stranger, |header| {
                header.device = stranger.public();
                header.seq = 0;
                header.backlink = None;
                rename(header, post);
            })
        });
        renamed.collect()
    }

    fn give_each(&self, node: &Database, parcels: &[Parcel]) -> Vec<Outcome> {
        let give = |parcel: &Parcel| give(node, vec![parcel.incoming()], self.world.now_ms);
        parcels
            .iter()
            .map(|parcel| give(parcel).outcomes[0].1.clone())
            .collect()
    }
}

#[test]
fn made_up_authors_share_one_budget() {
    let mut scene = scene();
    let strays = scene.renamed(|header, post| header.identity = Some(IdentityId::from(post)));
    let node = scene.node(Options {
        unknown_bytes: 2 * size(&strays[0]),
        ..Options::default()
    });
    let outcomes = scene.give_each(&node, &strays);
    let taken = Outcome::Invalid(Reason::Identity);
    assert_eq!(outcomes[..2], [taken.clone(), taken]);
    let refused = Outcome::Refused(Budget::Stray);
    assert!(outcomes[2..].iter().all(|outcome| *outcome == refused));
    let held = scene.world.parcels.len() as u64 + 2;
    assert_eq!(node.counts().unwrap().entries, held);
    // The honest go on.
    let owner = scene.owner.clone();
    scene.world.thread(&owner, scene.space, "g");
    let honest = [scene.world.parcels.last().unwrap().clone()];
    assert_eq!(scene.give_each(&node, &honest), [Outcome::Valid]);
}

#[test]
fn made_up_spaces_share_one_budget() {
    let mut scene = scene();
    let owner = scene.owner.clone();
    let of = scene.world.parcels.last().unwrap().clone();
    let posts = scene.posts.clone();
    let strays: Vec<Parcel> = posts
        .into_iter()
        .map(|post| {
            scene.world.altered(&of, &owner.device, |header| {
                header.space = Some(model::SpaceId::from(post));
            })
        })
        .collect();
    let node = scene.node(Options {
        unknown_bytes: 2 * size(&strays[0]),
        ..Options::default()
    });
    let outcomes = scene.give_each(&node, &strays);
    assert_eq!(outcomes[0], Outcome::Invalid(Reason::Space));
    assert_eq!(outcomes[5], Outcome::Refused(Budget::Stray));
}

#[test]
fn made_up_authors_that_waited_are_forgotten_once_known() {
    let mut scene = scene();
    let last = scene.world.parcels.pop().unwrap();
    let name = IdentityId::from(last.id());
    let strays = {
        scene.world.parcels.push(last.clone());
        let strays = scene.renamed(|header, _| header.identity = Some(name));
        scene.world.parcels.pop();
        strays
    };
    let node = scene.node(Options {
        unknown_bytes: 6 * size(&strays[0]) + 100,
        ..Options::default()
    });
    let waits = Outcome::Pending {
        missing: vec![Missing::Entry(last.id())],
    };
    let outcomes = scene.give_each(&node, &strays);
    assert!(outcomes.iter().all(|outcome| *outcome == waits));
    let before = node.counts().unwrap().entries;
    scene.give_each(&node, &[last]);
    assert_eq!(node.counts().unwrap().entries, before + 1);
    assert_eq!(node.counts().unwrap().pending, 0);

    // Those that come by the same way again find the budget used up.
    let mut second = scene.world.parcels.clone();
    let late = second.pop().unwrap();
    let node = empty_with(Options {
        unknown_bytes: size(&strays[0]),
        ..Options::default()
    });
    let known = second.iter().map(Parcel::incoming).collect();
    give(&node, known, scene.world.now_ms);
    let name = IdentityId::from(late.id());
    scene.world.parcels.push(late.clone());
    let waiting = scene.renamed(|header, _| header.identity = Some(name));
    let bogus = scene.renamed(|header, post| header.identity = Some(IdentityId::from(post)));
    assert_eq!(
        scene.give_each(&node, &bogus[..1]),
        [Outcome::Invalid(Reason::Identity)]
    );
    let outcomes = scene.give_each(&node, &waiting[..1]);
    assert!(matches!(outcomes[0], Outcome::Pending { .. }));
    let before = node.counts().unwrap().entries;
    assert_eq!(scene.give_each(&node, &[late]), [Outcome::Valid]);
    assert!(!node.has(&waiting[0].id()).unwrap());
    assert_eq!(node.counts().unwrap().entries, before);
    let listed = node.read().unwrap().items(&Scope::Thread(waiting[0].id()));
    assert!(listed.unwrap().is_empty());
}

#[test]
fn a_board_has_a_budget_for_all_authors_together() {
    let mut scene = scene();
    let mut writers = Vec::new();
    for seed in 2..8 {
        writers.push(scene.world.person(seed));
    }
    let before = scene.world.parcels.len();
    for writer in &writers {
        scene.world.thread(writer, scene.space, "words");
    }
    let parcels = scene.world.parcels.split_off(before);
    let on_board = |parcel: &&Parcel| {
        let space = parcel.entry.header().space;
        space == Some(scene.space) || parcel.id() == scene.space.entry()
    };
    let used: u64 = scene.world.parcels.iter().filter(on_board).map(size).sum();
    let node = scene.node(Options {
        space_bytes: used + 1,
        ..Options::default()
    });
    let outcomes = scene.give_each(&node, &parcels);
    assert_eq!(outcomes[0], Outcome::Valid);
    let refused = Outcome::Refused(Budget::Space);
    assert!(outcomes[1..].iter().all(|outcome| *outcome == refused));
    // Another board has its own.
    let owner = scene.owner.clone();
    let other = scene.world.board(&owner);
    let fresh = scene.world.parcels.split_off(before);
    assert_eq!(fresh[0].id(), other.entry());
    assert_eq!(scene.give_each(&node, &fresh), [Outcome::Valid]);
}
