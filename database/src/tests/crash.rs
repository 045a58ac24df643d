//! What a crash takes along, and what is read where.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::world::{NOW, Parcel, World, empty, give, post_row};
use crate::{
    Cursor, Database, Durability, Options,
    store::{Batch, Bounds, MemoryStore, Store, StoreError, Tree, View, Visit},
};

/// A store whose relaxed commits are lost in a crash; it counts the keys read of what is held.
#[derive(Default)]
struct Forgetful {
    live: MemoryStore,
    disk: Arc<MemoryStore>,
    relaxed: Mutex<Vec<Batch>>,
    held_reads: Arc<AtomicUsize>,
}

impl Forgetful {
    /// What a process finds that starts after this one was killed.
    fn crashed(&self) -> Arc<Self> {
        let (live, disk) = (MemoryStore::new(), MemoryStore::new());
        for tree in Tree::ALL {
            let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
            let mut batch = Batch::default();
            let view = self.disk.view().unwrap();
            view.range(tree, all, false, &mut |key, value| {
                batch.put(tree, key, value);
                ControlFlow::Continue(())
            })
            .unwrap();
            for copy in [&live, &disk] {
                copy.commit(batch.clone(), Durability::Durable).unwrap();
            }
        }
        Arc::new(Self {
            live,
            disk: Arc::new(disk),
            ..Self::default()
        })
    }
}

struct Counting<'a>(Box<dyn View + 'a>, Arc<AtomicUsize>);

impl View for Counting<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(tree, key)
    }

    fn range(
        &self,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.0.range(tree, bounds, reverse, &mut |key, value| {
            if tree == Tree::Held {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
            visit(key, value)
        })
    }
}

impl Store for Forgetful {
    fn kind(&self) -> &'static str {
        "forgetful"
    }

    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let view = self.live.view()?;
        Ok(Box::new(Counting(view, Arc::clone(&self.held_reads))))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.live.commit(batch.clone(), durability)?;
        self.relaxed.lock().unwrap().push(batch);
        match durability {
            Durability::Relaxed => Ok(()),
            Durability::Durable => self.flush(),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        for batch in self.relaxed.lock().unwrap().drain(..) {
            self.disk.commit(batch, Durability::Durable)?;
        }
        Ok(())
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn open(store: &Arc<Forgetful>) -> Database {
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    Database::open(store, Options::default()).unwrap()
}

fn relaxed(node: &Database, parcel: &Parcel, now_ms: u64) {
    let batch = vec![parcel.incoming()];
    node.ingest(batch, now_ms, Durability::Relaxed).unwrap();
}

#[test]
fn no_event_number_is_given_twice_though_a_crash_takes_events_along() {
    let mut world = World::new();
    let owner = world.person(1);
    let space = world.board(&owner);
    let root = world.thread(&owner, space, "first");
    let before = world.parcels.clone();
    let kept = world.reply(&owner, space, root, root, "kept");
    let lost = world.parcels.last().unwrap().clone();

    let store = Arc::new(Forgetful::default());
    let node = open(&store);
    for parcel in &before {
        relaxed(&node, parcel, world.now_ms);
    }
    node.flush().unwrap();
    let flushed = node.read().unwrap().cursor().unwrap();
    // A clean restart resumes exactly.
    let node = open(&store.crashed());
    assert_eq!(node.read().unwrap().cursor().unwrap(), flushed);

    let store = store.crashed();
    let node = open(&store);
    relaxed(&node, &lost, world.now_ms);
    let row = post_row("lost", Some(&kept));
    world.write(&owner, space, Some(root), "post", &row);
    relaxed(&node, world.parcels.last().unwrap(), world.now_ms);
    let seen = node.read().unwrap().cursor().unwrap();
    assert_eq!(seen.seq, flushed.seq + 2);

    let node = open(&store.crashed());
    let other = world.thread(&owner, space, "other");
    let after = world.parcels.clone();
    let report = give(
        &node,
        after.iter().map(Parcel::incoming).collect(),
        world.now_ms,
    );
    let page = node.read().unwrap().events_since(seen, 100).unwrap();
    assert!(!page.reset);
    assert_eq!(page.events, report.events);
    assert_eq!(page.events.last().unwrap().entry, other);
    // Across the gap, too, and from before it.
    let start = Cursor { seq: 0, ..seen };
    let all = node.read().unwrap().events_since(start, 100).unwrap();
    assert_eq!(all.events.len(), after.len());
    assert_eq!(all.next, node.read().unwrap().cursor().unwrap());
}

#[test]
fn a_tick_reads_no_more_than_what_is_due() {
    let mut world = World::new();
    let owner = world.person(1);
    for _ in 0..20 {
        world.board(&owner);
    }
    let store = Arc::new(Forgetful::default());
    let node = open(&store);
    let ahead = NOW - model::limits::FUTURE_HOLD_MS - 60_000;
    let known: Vec<Parcel> = world.parcels.drain(..2).collect();
    give(&node, known.iter().map(Parcel::incoming).collect(), NOW);
    let boards = world.parcels.iter().map(Parcel::incoming).collect();
    give(&node, boards, ahead);
    assert_eq!(node.counts().unwrap().held, 20);
    store.held_reads.store(0, Ordering::Relaxed);
    assert!(node.tick(ahead).unwrap().promoted.is_empty());
    assert_eq!(store.held_reads.load(Ordering::Relaxed), 1);
    assert_eq!(node.tick(world.now_ms).unwrap().promoted.len(), 20);
    assert_eq!(empty().tick(NOW).unwrap().promoted.len(), 0);
}
