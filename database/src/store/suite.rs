//! One suite for all backends.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    ops::{Bound, ControlFlow},
    path::Path,
};

use super::{
    Batch, Bounds, Durability, MemoryStore, RedbStore, SledStore, Store, StoreError, Tree,
};

const CACHE: usize = 4 << 20;

fn redb(path: &Path) -> Result<Box<dyn Store>, StoreError> {
    RedbStore::open(path, CACHE).map(|store| Box::new(store) as Box<dyn Store>)
}

fn sled(path: &Path) -> Result<Box<dyn Store>, StoreError> {
    SledStore::open(path, CACHE as u64).map(|store| Box::new(store) as Box<dyn Store>)
}

type Open = fn(&Path) -> Result<Box<dyn Store>, StoreError>;

const ON_DISK: [(&str, Open); 2] = [("redb", redb), ("sled", sled)];

/// Runs a check on each backend.
fn on_all(check: impl Fn(&dyn Store)) {
    check(&MemoryStore::new());
    for (_, open) in ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("store")).unwrap();
        check(&*store);
    }
}

fn put(store: &dyn Store, tree: Tree, pairs: &[(&str, &str)]) {
    let mut batch = Batch::default();
    for (key, value) in pairs {
        batch.put(tree, key.as_bytes(), *value);
    }
    store.commit(batch, Durability::Durable).unwrap();
}

fn range(
    store: &dyn Store,
    tree: Tree,
    bounds: Bounds<'_>,
    reverse: bool,
    limit: usize,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut each = |key: &[u8], _: &[u8]| {
        found.push(String::from_utf8(key.to_vec()).unwrap());
        if found.len() == limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    store
        .view()
        .unwrap()
        .range(tree, bounds, reverse, &mut each)
        .unwrap();
    found
}

const ALL: Bounds<'static> = (Bound::Unbounded, Bound::Unbounded);

#[test]
fn ranges_are_ordered_and_stay_in_their_tree() {
    on_all(|store| {
        put(
            store,
            Tree::Ids,
            &[("b", "2"), ("a", "1"), ("c", "3"), ("ca", "4")],
        );
        put(store, Tree::System, &[("z", "0")]);
        put(store, Tree::Entries, &[("a", "9")]);
        let kind = store.kind();
        assert_eq!(
            range(store, Tree::Ids, ALL, false, 9),
            ["a", "b", "c", "ca"],
            "{kind}"
        );
        assert_eq!(range(store, Tree::Ids, ALL, true, 2), ["ca", "c"], "{kind}");
        let part = (Bound::Excluded(&b"a"[..]), Bound::Included(&b"c"[..]));
        assert_eq!(
            range(store, Tree::Ids, part, false, 9),
            ["b", "c"],
            "{kind}"
        );
        assert_eq!(range(store, Tree::Ids, part, true, 9), ["c", "b"], "{kind}");
        let inverted = (Bound::Included(&b"c"[..]), Bound::Excluded(&b"a"[..]));
        assert!(
            range(store, Tree::Ids, inverted, false, 9).is_empty(),
            "{kind}"
        );
        assert!(
            range(store, Tree::Boards, ALL, false, 9).is_empty(),
            "{kind}"
        );
        let mut all = Vec::new();
        store
            .export(&mut |tree, key, _| {
                all.push((tree, key.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(all.len(), 6, "{kind}");
        assert!(all.is_sorted(), "{kind}");
    });
}

#[test]
fn later_writes_of_a_batch_win() {
    on_all(|store| {
        let mut batch = Batch::default();
        batch.put(Tree::Ids, b"a", "old");
        batch.put(Tree::Ids, b"a", "new");
        batch.put(Tree::Ids, b"b", "gone");
        batch.del(Tree::Ids, b"b");
        batch.del(Tree::Ids, b"never");
        assert_eq!(batch.len(), 5);
        store.commit(batch, Durability::Relaxed).unwrap();
        store.flush().unwrap();
        assert_eq!(store.get(Tree::Ids, b"a").unwrap().unwrap(), b"new");
        assert_eq!(store.get(Tree::Ids, b"b").unwrap(), None);
    });
}

#[test]
fn a_view_does_not_change() {
    // sled's view makes the writer wait instead, so it is looked at from two threads.
    on_all(|store| {
        put(store, Tree::Ids, &[("a", "1")]);
        std::thread::scope(|scope| {
            let view = store.view().unwrap();
            let writer = scope.spawn(|| put(store, Tree::Ids, &[("a", "2"), ("b", "2")]));
            assert_eq!(view.get(Tree::Ids, b"a").unwrap().unwrap(), b"1");
            assert_eq!(view.get(Tree::Ids, b"b").unwrap(), None);
            drop(view);
            writer.join().unwrap();
        });
        assert_eq!(store.get(Tree::Ids, b"b").unwrap().unwrap(), b"2");
    });
}

#[test]
fn large_values_and_random_histories_match_a_map() {
    on_all(|store| {
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 40).unwrap()
        };
        for _ in 0..20 {
            let mut batch = Batch::default();
            for _ in 0..30 {
                let key = vec![u8::try_from(next() % 64).unwrap(); next() % 3 + 1];
                if next() % 3 == 0 {
                    batch.del(Tree::Posts, &key);
                    model.remove(&key);
                } else {
                    let value = vec![u8::try_from(next() % 251).unwrap(); next() % 5_000];
                    batch.put(Tree::Posts, &key, value.clone());
                    model.insert(key, value);
                }
            }
            store.commit(batch, Durability::Relaxed).unwrap();
        }
        let big = vec![3; super::VALUE_BYTES];
        let mut batch = Batch::default();
        batch.put(Tree::Posts, &[255; super::KEY_BYTES], big.clone());
        store.commit(batch, Durability::Durable).unwrap();
        model.insert(vec![255; super::KEY_BYTES], big);
        let mut found = BTreeMap::new();
        let mut each = |key: &[u8], value: &[u8]| {
            found.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        };
        store
            .view()
            .unwrap()
            .range(Tree::Posts, ALL, false, &mut each)
            .unwrap();
        assert!(found == model, "{}", store.kind());
        assert!(store.kind() == "memory" || store.size_on_disk().unwrap() > 0);
        store.compact().unwrap();
        assert!(
            store
                .get(Tree::Posts, &[255; super::KEY_BYTES])
                .unwrap()
                .is_some()
        );
    });
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    for (kind, open) in ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = open(&path).unwrap();
        put(&*store, Tree::Ids, &[("a", "1")]);
        drop(store);
        let store = open(&path).unwrap();
        assert_eq!(store.get(Tree::Ids, b"a").unwrap().unwrap(), b"1", "{kind}");
    }
}

#[test]
fn a_store_in_use_says_so() {
    for (kind, open) in ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let _first = open(&path).unwrap();
        let error = open(&path).err().unwrap();
        assert!(
            matches!(error, StoreError::InUse { .. }),
            "{kind}: {error:?}"
        );
        assert!(error.to_string().contains("in use"), "{error}");
    }
}

#[test]
fn garbage_and_truncated_files_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("garbage");
    fs::write(
        &path,
        b"this is no database at all, only some text".repeat(300),
    )
    .unwrap();
    for (kind, open) in ON_DISK {
        let error = open(&path).err().unwrap();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{kind}: {error:?}"
        );
    }
    let path = folder.path().join("redb");
    let store = redb(&path).unwrap();
    for number in 0..200 {
        put(
            &*store,
            Tree::Ids,
            &[(&number.to_string(), &"x".repeat(4_000))],
        );
    }
    drop(store);
    let whole = fs::read(&path).unwrap();
    for part in [whole.len() / 2, 5_000, 100] {
        fs::write(&path, &whole[..part]).unwrap();
        let found =
            redb(&path).and_then(|store| store.export(&mut |_, _, _| ControlFlow::Continue(())));
        let error = found.err().unwrap();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{part}: {error:?}"
        );
        assert!(error.to_string().contains("restore a copy"), "{error}");
    }
}

#[test]
fn a_copy_taken_at_any_moment_has_all_or_nothing_of_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("store"), folder.path().join("copy"));
    let store = redb(&path).unwrap();
    for round in 0..20u8 {
        let mut batch = Batch::default();
        for key in 0..50u8 {
            batch.put(Tree::Ids, &[key], vec![round; 300]);
        }
        let durability = if round % 2 == 0 {
            Durability::Durable
        } else {
            Durability::Relaxed
        };
        store.commit(batch, durability).unwrap();
        // As after a power cut: nothing was closed.
        fs::copy(&path, &copy).unwrap();
        let image = redb(&copy).unwrap();
        let rounds: Vec<u8> = (0..50u8)
            .map(|key| image.get(Tree::Ids, &[key]).unwrap().unwrap()[0])
            .collect();
        assert!(rounds.iter().all(|found| *found == rounds[0]), "{rounds:?}");
        assert!(
            rounds[0] >= round - round % 2,
            "acknowledged round {round}, found {}",
            rounds[0]
        );
    }
}
