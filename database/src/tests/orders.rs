//! Random histories in random orders of arrival: the same verdicts and views on every replica.

use std::ops::ControlFlow;

use model::EntryId;
use proptest::prelude::*;

use super::world::{NOW, Parcel, Person, World, dump, empty, give, post_row, row, text, vote_row};
use crate::Verdict;

#[derive(Clone, Debug)]
enum Act {
    Thread {
        who: usize,
    },
    Reply {
        who: usize,
        thread: usize,
        to: usize,
    },
    Vote {
        who: usize,
        thread: usize,
        on: usize,
        dir: i128,
    },
    Revise {
        thread: usize,
    },
    Mark {
        thread: usize,
        on: usize,
        act: usize,
        off: bool,
    },
    Profile {
        who: usize,
    },
    /// A second entry in the place of one that was signed before.
    Fork {
        of: usize,
    },
    /// A second row that names a device, in the place of the first.
    RootFork {
        who: usize,
    },
    Bad {
        of: usize,
        how: usize,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 0..3usize;
    let any = 0..1_000usize;
    let act = prop_oneof![
        2 => who.clone().prop_map(|who| Act::Thread { who }),
        6 => (who.clone(), any.clone(), any.clone()).prop_map(|(who, thread, to)| Act::Reply { who, thread, to }),
        6 => (who.clone(), any.clone(), any.clone(), -1..=1i128)
            .prop_map(|(who, thread, on, dir)| Act::Vote { who, thread, on, dir }),
        2 => any.clone().prop_map(|thread| Act::Revise { thread }),
        2 => (any.clone(), any.clone(), 0..4usize, prop::bool::ANY)
            .prop_map(|(thread, on, act, off)| Act::Mark { thread, on, act, off }),
        1 => who.clone().prop_map(|who| Act::Profile { who }),
        2 => any.clone().prop_map(|of| Act::Fork { of }),
        1 => who.prop_map(|who| Act::RootFork { who }),
        2 => (any, 0..4usize).prop_map(|(of, how)| Act::Bad { of, how }),
    ];
    prop::collection::vec(act, 1..25)
}

struct Scene {
    world: World,
    people: Vec<Person>,
    /// Beside what the world's node took in.
    extra: Vec<Parcel>,
    threads: Vec<Vec<EntryId>>,
    space: model::SpaceId,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new();
        let people: Vec<Person> = (1..=3).map(|seed| world.person(seed)).collect();
        let space = world.board(&people[0]);
        Self {
            world,
            people,
            extra: Vec::new(),
            threads: Vec::new(),
            space,
        }
    }

    fn pick(&self, thread: usize, post: usize) -> Option<(EntryId, EntryId)> {
        let posts = self.threads.get(thread % self.threads.len().max(1))?;
        Some((posts[0], posts[post % posts.len()]))
    }

    fn play(&mut self, act: &Act) {
        let space = self.space;
        match *act {
            Act::Thread { who } => {
                let person = self.people[who].clone();
                let id = self.world.thread(&person, space, "first");
                self.threads.push(vec![id]);
            }
            Act::Reply { who, thread, to } => {
                if let Some((root, parent)) = self.pick(thread, to) {
                    let person = self.people[who].clone();
                    let id = self.world.reply(&person, space, root, parent, "more");
                    let at = thread % self.threads.len();
                    self.threads[at].push(id);
                }
            }
            Act::Vote {
                who,
                thread,
                on,
                dir,
            } => {
                if let Some((root, on)) = self.pick(thread, on) {
                    let person = self.people[who].clone();
                    self.world.vote(&person, space, root, on, dir);
                }
            }
            Act::Revise { thread } => {
                if let Some((root, _)) = self.pick(thread, 0) {
                    let author = self.world.node.state(&root).unwrap().unwrap().identity;
                    let person = self
                        .people
                        .iter()
                        .find(|p| p.identity == author)
                        .unwrap()
                        .clone();
                    let row = row(&[("of", super::world::link(&root)), ("body", text("edited"))]);
                    self.world.write(&person, space, Some(root), "revise", &row);
                }
            }
            Act::Mark {
                thread,
                on,
                act,
                off,
            } => {
                if let Some((root, on)) = self.pick(thread, on) {
                    let act = ["hide", "lock", "pin", "nsfw"][act];
                    let row = row(&[
                        ("on", super::world::link(&on)),
                        ("act", text(act)),
                        ("off", model::Ipld::Bool(off)),
                    ]);
                    let owner = self.people[0].clone();
                    self.world.write(&owner, space, Some(root), "mark", &row);
                }
            }
            Act::Profile { who } => {
                let person = self.people[who].clone();
                let row = row(&[
                    ("name", text(&format!("n{}", self.world.now_ms))),
                    ("about", text("")),
                    ("homes", model::Ipld::List(Vec::new())),
                ]);
                self.world
                    .write(&person, person.identity.space(), None, "profile", &row);
            }
            Act::Fork { of } => self.vary(of, |_| {}),
            Act::RootFork { who } => {
                let person = self.people[who].clone();
                let rows = self.world.parcels.iter();
                let named = rows
                    .filter(|parcel| parcel.entry.header().device == person.root.public())
                    .find(|parcel| parcel.entry.header().seq == 1)
                    .unwrap()
                    .clone();
                let parcel = self.world.altered(&named, &person.root, |_| {});
                self.extra.push(parcel);
            }
            Act::Bad { of, how } => self.vary(of, move |header| match how {
                0 => header.depth += 1,
                1 => header.time_ms = NOW - 1,
                2 => header.table = "board".to_owned(),
                _ => header.table = "vote".to_owned(),
            }),
        }
    }

    fn vary(&mut self, of: usize, change: impl FnOnce(&mut model::Header)) {
        let parcel = self.world.parcels[of % self.world.parcels.len()].clone();
        let header = parcel.entry.header().clone();
        let person = self
            .people
            .iter()
            .find(|p| p.device.public() == header.device);
        let Some(person) = person.filter(|_| header.depth > 0).cloned() else {
            return;
        };
        let parcel = self.world.altered(&parcel, &person.device, change);
        self.extra.push(parcel);
    }
}

/// A cheap shuffle that a seed decides.
fn shuffled(mut parcels: Vec<Parcel>, mut seed: u64) -> Vec<Parcel> {
    for at in (1..parcels.len()).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(seed >> 33).unwrap() % (at + 1);
        parcels.swap(at, other);
    }
    parcels
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_arrival_gives_the_same_verdicts_and_views(acts in acts(), seed in any::<u64>()) {
        let mut scene = Scene::new();
        for act in &acts {
            scene.play(act);
        }
        let mut all = scene.world.parcels.clone();
        all.extend(scene.extra.iter().cloned());
        let ids: Vec<EntryId> = all.iter().map(Parcel::id).collect();
        let people: Vec<_> = scene.people.iter().map(|person| person.identity).collect();
        let now_ms = scene.world.now_ms;

        let extra = scene.extra.iter().map(Parcel::incoming).collect();
        give(&scene.world.node, extra, now_ms);
        let expected = dump(&scene.world.node, &ids, &people);

        for round in 0..3 {
            let replica = empty();
            let order = shuffled(all.clone(), seed.wrapping_add(round));
            let size = [1, 3, all.len()][usize::try_from(round).unwrap()];
            for (at, batch) in order.chunks(size).enumerate() {
                // Now and then the header comes first, and the payload with a later repetition.
                let headers = batch.iter().filter(|_| at % 3 == 1).map(Parcel::header_only).collect();
                give(&replica, headers, now_ms);
                if at % 6 != 1 {
                    give(&replica, batch.iter().map(Parcel::incoming).collect(), now_ms);
                }
            }
            give(&replica, all.iter().map(Parcel::incoming).collect(), now_ms);
            prop_assert_eq!(&dump(&replica, &ids, &people), &expected);
            let problems = replica.verify(now_ms, &mut |_| ControlFlow::Continue(())).unwrap();
            prop_assert!(problems.is_empty(), "{:?}", problems);
            replica.rebuild(now_ms).unwrap();
            prop_assert_eq!(&dump(&replica, &ids, &people), &expected);
        }
    }
}

#[test]
fn the_histories_meet_every_verdict() {
    let mut scene = Scene::new();
    for act in [
        Act::Thread { who: 1 },
        Act::Reply {
            who: 2,
            thread: 0,
            to: 0,
        },
        Act::Vote {
            who: 2,
            thread: 0,
            on: 0,
            dir: 1,
        },
        Act::Bad { of: 8, how: 0 },
    ] {
        scene.play(&act);
    }
    let vote = scene.world.parcels.last().unwrap().clone();
    let device = scene.people[2].device.clone();
    let root = scene.threads[0][0];
    let fork = scene
        .world
        .other_row(&vote, &device, &vote_row(&root, -1), |_| {});
    let late = scene
        .world
        .other_row(&vote, &device, &post_row("x", Some(&root)), |header| {
            header.seq += 1;
            header.backlink = Some(vote.id());
            header.table = "post".to_owned();
        });
    assert_eq!(
        scene
            .world
            .node
            .read()
            .unwrap()
            .fold("score", &root)
            .unwrap(),
        1
    );
    let report = give(
        &scene.world.node,
        vec![fork.incoming(), late.incoming()],
        scene.world.now_ms,
    );
    assert_eq!(report.forks.len(), 1);
    let verdict = |id| scene.world.node.state(&id).unwrap().unwrap().verdict;
    assert_eq!(verdict(fork.id()), Verdict::Disputed);
    assert_eq!(verdict(vote.id()), Verdict::Disputed);
    assert_eq!(verdict(late.id()), Verdict::Disputed);
    assert_eq!(
        scene
            .world
            .node
            .read()
            .unwrap()
            .fold("score", &root)
            .unwrap(),
        0
    );
}
