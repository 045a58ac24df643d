//! What comes in, waits, is held back, erased, counted and told.

use std::{ops::ControlFlow, sync::Arc};

use model::{EntryId, limits};

use super::world::{NOW, Parcel, World, dump, empty, empty_with, give, post_row, vote_row};
use crate::{
    Budget, Cursor, Database, DatabaseError, Durability, EventKind, Incoming, Missing, OpenError,
    Options, Outcome, PacketError, PayloadState, Problem, Scope, Source, Verdict,
    authoring::{Draft, PrepareError},
    store::{Batch, MemoryStore, RedbStore, SledStore, Store, Tree},
    verify_ahead, verify_batch,
};

struct Small {
    world: World,
    owner: super::world::Person,
    space: model::SpaceId,
    root: EntryId,
    reply: EntryId,
    vote: EntryId,
}

fn small() -> Small {
    let mut world = World::new();
    let owner = world.person(1);
    let space = world.board(&owner);
    let root = world.thread(&owner, space, "first");
    let reply = world.reply(&owner, space, root, root, "second");
    let vote = world.vote(&owner, space, root, root, 1);
    Small {
        world,
        owner,
        space,
        root,
        reply,
        vote,
    }
}

impl Small {
    fn parcel(&self, id: EntryId) -> Parcel {
        self.world
            .parcels
            .iter()
            .find(|parcel| parcel.id() == id)
            .unwrap()
            .clone()
    }

    fn verdict(&self, node: &Database, id: EntryId) -> Verdict {
        node.state(&id).unwrap().unwrap().verdict
    }
}

#[test]
fn what_waits_says_for_what_and_is_promoted_in_one_batch() {
    let small = small();
    let node = empty();
    let mut parcels = small.world.parcels.clone();
    let first = parcels.remove(0);
    let report = give(
        &node,
        vec![small.parcel(small.vote).incoming()],
        small.world.now_ms,
    );
    let Outcome::Pending { missing } = &report.outcomes[0].1 else {
        panic!("{report:?}");
    };
    assert!(
        missing.contains(&Missing::Entry(first.id())),
        "the author's identity"
    );
    assert!(missing.contains(&Missing::Entry(small.space.entry())));
    assert!(missing.contains(&Missing::Entry(small.root)));
    // Its id is reconciled although it waits.
    let items = node
        .read()
        .unwrap()
        .items(&Scope::Thread(small.root))
        .unwrap();
    assert_eq!(
        items.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        [small.vote]
    );

    parcels.reverse();
    let report = give(
        &node,
        parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    assert!(report.outcomes.iter().all(|(_, outcome)| {
        matches!(outcome, Outcome::Pending { .. } | Outcome::Duplicate(_))
    }));
    assert!(report.events.is_empty());
    let report = give(&node, vec![first.incoming()], small.world.now_ms);
    assert_eq!(report.outcomes[0].1, Outcome::Valid);
    assert_eq!(report.promoted.len(), parcels.len());
    assert!(node.read().unwrap().missing(10).unwrap().is_empty());
    let ids: Vec<EntryId> = small.world.parcels.iter().map(Parcel::id).collect();
    let people = [small.owner.identity];
    assert_eq!(
        dump(&node, &ids, &people),
        dump(&small.world.node, &ids, &people)
    );
    let report = give(
        &node,
        parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    assert!(
        report
            .outcomes
            .iter()
            .all(|(_, o)| *o == Outcome::Duplicate(Verdict::Valid))
    );
    assert!(report.events.is_empty() && report.changed.is_empty());
}

#[test]
fn an_entry_from_the_future_is_held_and_promoted() {
    let small = small();
    let node = empty();
    let early = NOW - limits::FUTURE_HOLD_MS - 1;
    let report = give(
        &node,
        small.world.parcels.iter().map(Parcel::incoming).collect(),
        early,
    );
    let until_ms = NOW - limits::FUTURE_HOLD_MS;
    assert_eq!(report.outcomes[0].1, Outcome::Held { until_ms });
    assert!(node.tick(early).unwrap().promoted.is_empty());
    assert_eq!(node.counts().unwrap().held, 1);
    let report = node.tick(small.world.now_ms).unwrap();
    assert_eq!(report.promoted.len(), small.world.parcels.len());
    assert_eq!(
        (node.counts().unwrap().held, node.counts().unwrap().pending),
        (0, 0)
    );
    assert_eq!(small.verdict(&node, small.vote), Verdict::Valid);
}

#[test]
fn a_payload_may_come_later_be_erased_and_come_back() {
    let small = small();
    let node = empty();
    let others = small
        .world
        .parcels
        .iter()
        .filter(|p| p.id() != small.vote && p.id() != small.reply);
    give(
        &node,
        others.map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    let (vote, reply) = (small.parcel(small.vote), small.parcel(small.reply));
    give(
        &node,
        vec![reply.header_only(), vote.header_only()],
        small.world.now_ms,
    );
    let score = || node.read().unwrap().fold("score", &small.root).unwrap();
    let post = || {
        node.read()
            .unwrap()
            .post(&small.reply, None)
            .unwrap()
            .unwrap()
    };
    assert_eq!(score(), 0);
    assert!(post().withheld && !post().erased);
    assert_eq!(node.packet(&small.vote).unwrap().unwrap().payload, None);

    let error = node.attach_payload(&small.vote, b"other", NOW).unwrap_err();
    assert!(matches!(error, DatabaseError::OtherPayload(_)));
    let report = node
        .attach_payload(&small.vote, vote.payload.bytes(), NOW)
        .unwrap();
    assert_eq!(report.outcomes[0].1, Outcome::Completed(Verdict::Valid));
    let again = give(&node, vec![reply.incoming()], small.world.now_ms);
    assert_eq!(again.outcomes[0].1, Outcome::Completed(Verdict::Valid));
    assert_eq!((score(), post().body.as_str()), (1, "second"));
    assert_eq!(
        node.payload_block(&vote.payload.id()).unwrap().unwrap(),
        vote.payload.bytes().to_vec()
    );

    let entry_with = || node.read().unwrap().entry_with(&vote.payload.id()).unwrap();
    assert_eq!(entry_with(), Some(small.vote));

    let report = node.drop_payload(&small.vote).unwrap();
    assert_eq!(report.events[0].kind, EventKind::Purge);
    node.drop_payload(&small.reply).unwrap();
    assert_eq!(score(), 0);
    assert!(post().withheld && post().erased && post().body.is_empty());
    assert_eq!(node.payload_block(&vote.payload.id()).unwrap(), None);
    assert_eq!(entry_with(), None);
    let refused = give(&node, vec![vote.incoming()], small.world.now_ms);
    assert_eq!(refused.outcomes[0].1, Outcome::Duplicate(Verdict::Valid));
    node.rebuild(small.world.now_ms).unwrap();
    assert_eq!(score(), 0);
    assert_eq!(
        node.state(&small.vote).unwrap().unwrap().payload,
        PayloadState::Erased
    );
    assert!(
        node.verify(small.world.now_ms, &mut |_| ControlFlow::Continue(()))
            .unwrap()
            .is_empty()
    );
    node.restore_payload(&small.vote).unwrap();
    give(&node, vec![vote.incoming()], small.world.now_ms);
    assert_eq!(score(), 1);

    let error = node.drop_payload(&small.space.entry()).unwrap_err();
    assert!(matches!(error, DatabaseError::AuthorityPayload(_)));
    assert!(matches!(
        node.drop_payload(&EntryId::of(b"?")),
        Err(DatabaseError::NotHeld(_))
    ));
}

#[test]
fn wrong_payload_bytes_are_the_deliverers_fault() {
    let small = small();
    let entry = small.parcel(small.vote).entry;
    let error = Incoming::new(entry.clone(), Some(b"other"), Source::File).unwrap_err();
    assert_eq!(error, PacketError::OtherPayload);
    let packets = (0..40)
        .map(|at| crate::Packet {
            entry: if at == 33 {
                vec![0; 40]
            } else {
                entry.bytes().to_vec()
            },
            payload: None,
        })
        .collect();
    let verified = verify_batch(packets, Source::File);
    assert_eq!(verified.len(), 40);
    assert!(
        verified
            .iter()
            .enumerate()
            .all(|(at, found)| found.is_ok() == (at != 33))
    );
}

#[test]
fn packets_verified_ahead_keep_their_order() {
    let small = small();
    let entry = small.parcel(small.vote).entry;
    for count in [0, 40, 512, 513, 1_500] {
        let packets: Vec<_> = (0..count)
            .map(|at| crate::Packet {
                entry: if at % 100 == 33 {
                    vec![0; 40]
                } else {
                    entry.bytes().to_vec()
                },
                payload: (at % 7 == 3).then(|| b"other".to_vec()),
            })
            .collect();
        let ahead = verify_ahead(&packets, Source::File, |verified| {
            let found = verified.map(|found| found.map(|incoming| incoming.entry.id()));
            found.collect::<Vec<_>>()
        });
        let at_once: Vec<_> = verify_batch(packets.clone(), Source::File)
            .into_iter()
            .map(|found| found.map(|incoming| incoming.entry.id()))
            .collect();
        assert_eq!(ahead.len(), count);
        assert_eq!(ahead, at_once);
        // Whoever stops early leaves no thread behind that waits for him.
        let first = verify_ahead(&packets, Source::File, |verified| verified.next().is_some());
        assert_eq!(first, count > 0);
    }
}

#[test]
fn strangers_fill_their_budgets_only() {
    let small = small();
    let size =
        |parcel: &Parcel| parcel.entry.bytes().len() as u64 + parcel.payload.bytes().len() as u64;
    let posts: Vec<Parcel> = [small.root, small.reply, small.vote]
        .map(|id| small.parcel(id))
        .to_vec();
    let node = empty_with(Options {
        unknown_bytes: size(&posts[1]) + size(&posts[2]),
        ..Options::default()
    });
    for parcel in &posts {
        give(&node, vec![parcel.incoming()], small.world.now_ms);
    }
    // The oldest gave way, and nothing of it is left.
    assert!(!node.has(&posts[0].id()).unwrap());
    assert!(node.has(&posts[1].id()).unwrap() && node.has(&posts[2].id()).unwrap());
    assert_eq!(
        node.read()
            .unwrap()
            .items(&Scope::Thread(small.root))
            .unwrap()
            .len(),
        2
    );
    give(
        &node,
        small.world.parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    assert_eq!(small.verdict(&node, small.vote), Verdict::Valid);
    assert!(
        node.verify(small.world.now_ms, &mut |_| ControlFlow::Continue(()))
            .unwrap()
            .is_empty()
    );

    let node = empty_with(Options {
        unknown_bytes: 10,
        ..Options::default()
    });
    let report = give(&node, vec![posts[0].incoming()], small.world.now_ms);
    assert_eq!(report.outcomes[0].1, Outcome::Refused(Budget::Unknown));
    assert_eq!(node.counts().unwrap().entries, 0);

    let node = empty_with(Options {
        waiting_bytes: 10,
        ..Options::default()
    });
    let known = small.world.parcels.iter().filter(|p| p.id() != small.root);
    let report = give(
        &node,
        known.map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    assert_eq!(
        report.outcomes.last().unwrap().1,
        Outcome::Refused(Budget::Waiting)
    );

    let node = empty_with(Options {
        author_space_bytes: size(&posts[0]),
        ..Options::default()
    });
    let report = give(
        &node,
        small.world.parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    assert_eq!(
        report.outcomes.last().unwrap().1,
        Outcome::Refused(Budget::AuthorInSpace)
    );
    assert_eq!(small.verdict(&node, small.root), Verdict::Valid);
}

#[test]
fn events_resume_exactly_where_they_were_left() {
    let small = small();
    let node = &small.world.node;
    let read = node.read().unwrap();
    let start = Cursor { epoch: 0, seq: 0 };
    let all = read.events_since(start, 100).unwrap();
    let kinds: Vec<_> = all
        .events
        .iter()
        .map(|e| (e.kind, e.table.as_str()))
        .collect();
    assert_eq!(kinds[0], (EventKind::Insert, "$genesis"));
    assert_eq!(kinds.last().unwrap(), &(EventKind::Insert, "vote"));
    let part = read.events_since(start, 2).unwrap();
    let rest = read
        .events_since(part.next.to_string().parse().unwrap(), 100)
        .unwrap();
    assert_eq!([part.events, rest.events].concat(), all.events);
    assert_eq!(all.next, read.cursor().unwrap());
    assert!(read.events_since(all.next, 5).unwrap().events.is_empty());
    drop(read);
    node.rebuild(small.world.now_ms).unwrap();
    let page = node.read().unwrap().events_since(all.next, 5).unwrap();
    assert!(page.reset && page.events.is_empty() && page.next.epoch == 1);
    assert!("x".parse::<Cursor>().is_err());

    let few = empty_with(Options {
        events: 2,
        ..Options::default()
    });
    give(
        &few,
        small.world.parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    let read = few.read().unwrap();
    assert!(read.events_since(start, 5).unwrap().reset);
    let now = read.cursor().unwrap();
    let recent = Cursor {
        seq: now.seq - 2,
        ..now
    };
    assert_eq!(read.events_since(recent, 5).unwrap().events.len(), 2);
}

#[test]
fn a_changed_vote_is_an_update_and_counts_once() {
    let mut small = small();
    let owner = small.owner.clone();
    small
        .world
        .vote(&owner, small.space, small.root, small.root, -1);
    let read = small.world.node.read().unwrap();
    assert_eq!(read.fold("score", &small.root).unwrap(), -1);
    let cursor = read.cursor().unwrap();
    let last = read
        .events_since(
            Cursor {
                seq: cursor.seq - 1,
                ..cursor
            },
            5,
        )
        .unwrap();
    assert_eq!(last.events[0].kind, EventKind::Update);
}

#[test]
fn damage_is_found_and_a_rebuild_mends_indexes() {
    let small = small();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let node = Database::open(Arc::clone(&store), Options::default()).unwrap();
    give(
        &node,
        small.world.parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    let check = || {
        node.verify(small.world.now_ms, &mut |_| ControlFlow::Continue(()))
            .unwrap()
    };
    assert!(check().is_empty());
    let mut batch = Batch::default();
    batch.put(Tree::Folds, b"nonsense", [9]);
    store.commit(batch, Durability::Durable).unwrap();
    assert_eq!(
        check(),
        [Problem::Index {
            tree: Tree::Folds,
            keys: 1
        }]
    );
    node.rebuild(small.world.now_ms).unwrap();
    assert!(check().is_empty());
    let key = 3u64.to_be_bytes();
    let mut bytes = store.get(Tree::Entries, &key).unwrap().unwrap();
    bytes[100] ^= 1;
    let mut batch = Batch::default();
    batch.put(Tree::Entries, &key, bytes);
    batch.put(Tree::Payloads, &4u64.to_be_bytes(), [1]);
    store.commit(batch, Durability::Durable).unwrap();
    let found = check();
    assert!(
        matches!(
            found[..],
            [Problem::Entry { num: 3, .. }, Problem::Payload(_)]
        ),
        "{found:?}"
    );
}

#[test]
fn formats_older_migrate_newer_are_refused_untouched() {
    let small = small();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let open = || Database::open(Arc::clone(&store), Options::default());
    give(
        &open().unwrap(),
        small.world.parcels.iter().map(Parcel::incoming).collect(),
        small.world.now_ms,
    );
    let mark = |format: (u32, u32)| {
        let mut batch = Batch::default();
        batch.put(
            Tree::System,
            b"format",
            postcard::to_stdvec(&format).unwrap(),
        );
        batch.del(Tree::Threads, small.root.as_bytes());
        store.commit(batch, Durability::Durable).unwrap();
    };
    mark((1, 0));
    assert!(
        open()
            .unwrap()
            .read()
            .unwrap()
            .thread(&small.root)
            .unwrap()
            .is_some()
    );
    for newer in [(2, 1), (1, 2)] {
        mark(newer);
        let error = open().err().unwrap();
        assert!(
            matches!(error, OpenError::Newer { found: 2, known: 1 }),
            "{error}"
        );
        assert_eq!(
            store.get(Tree::Threads, small.root.as_bytes()).unwrap(),
            None
        );
    }
}

#[test]
fn everything_survives_in_each_store() {
    let small = small();
    let folder = tempfile::tempdir().unwrap();
    let redb = folder.path().join("redb");
    let sled = folder.path().join("sled");
    type Open<'a> = Box<dyn Fn() -> Arc<dyn Store> + 'a>;
    let stores: [Open<'_>; 2] = [
        Box::new(|| Arc::new(RedbStore::open(&redb, 1 << 20).unwrap())),
        Box::new(|| Arc::new(SledStore::open(&sled, 1 << 20).unwrap())),
    ];
    let ids: Vec<EntryId> = small.world.parcels.iter().map(Parcel::id).collect();
    let expected = dump(&small.world.node, &ids, &[small.owner.identity]);
    for open in stores {
        let node = Database::open(open(), Options::default()).unwrap();
        for parcel in &small.world.parcels {
            give(&node, vec![parcel.incoming()], small.world.now_ms);
        }
        drop(node);
        let node = Database::open(open(), Options::default()).unwrap();
        assert_eq!(dump(&node, &ids, &[small.owner.identity]), expected);
        assert!(
            node.verify(small.world.now_ms, &mut |_| ControlFlow::Continue(()))
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn nothing_is_signed_that_the_own_gate_would_refuse() {
    let mut small = small();
    let owner = small.owner.clone();
    let prepare = |small: &Small, root, table: &str, row: &model::Row, now_ms| {
        let draft = Draft {
            identity: small.owner.identity,
            device: small.owner.device.public(),
            space: small.space,
            root,
            table,
            row,
            expires_ms: None,
        };
        small.world.node.read().unwrap().prepare(&draft, now_ms)
    };
    let now_ms = small.world.now_ms;
    let post = post_row("x", None);
    let plan = prepare(&small, None, "post", &post, now_ms).unwrap();
    assert_eq!(plan.time_ms(), now_ms);
    let stray = vote_row(&EntryId::of(b"?"), 1);
    let error = prepare(&small, Some(small.root), "vote", &stray, now_ms).unwrap_err();
    assert!(matches!(error, PrepareError::NotHeld(_)));
    let row = vote_row(&small.root, 5);
    let error = prepare(&small, Some(small.root), "vote", &row, now_ms).unwrap_err();
    assert!(matches!(error, PrepareError::Row(_)));
    let error = prepare(&small, None, "karma", &row, now_ms).unwrap_err();
    assert!(matches!(error, PrepareError::Table(_)));
    let row = vote_row(&small.reply, 1);
    let long_ago = now_ms - limits::FUTURE_SIGN_MS - 10_000;
    let error = prepare(&small, Some(small.root), "vote", &row, long_ago).unwrap_err();
    assert!(matches!(error, PrepareError::Clock { .. }), "{error}");
    let vote = small.parcel(small.vote);
    let fork = small.world.altered(&vote, &owner.device, |_| {});
    give(&small.world.node, vec![fork.incoming()], now_ms);
    let error = prepare(&small, None, "post", &post, now_ms).unwrap_err();
    assert!(matches!(error, PrepareError::Forked(_)));
}
