//! A disk that is really full: a small tmpfs, where the tests may mount one.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Batch, Durability, RedbStore, SledStore, Store, StoreError, Tree};

const CACHE: usize = 1 << 20;

struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&at)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: no tmpfs can be mounted here, so the full disk is not tested");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

fn batch(number: u32) -> Batch {
    let mut batch = Batch::default();
    let mut value = blake3::hash(&number.to_be_bytes()).as_bytes().repeat(2_000);
    value.extend(number.to_be_bytes());
    batch.put(Tree::Posts, &number.to_be_bytes(), value);
    batch
}

fn has_all(store: &dyn Store, numbers: &[u32]) {
    for number in numbers {
        let found = store.get(Tree::Posts, &number.to_be_bytes()).unwrap();
        let found = found.unwrap_or_else(|| panic!("{number} of {numbers:?} is gone"));
        assert!(found.ends_with(&number.to_be_bytes()), "{number}");
    }
}

/// Writes until the disk is full, makes room, and goes on, twice.
fn fills_up_and_goes_on(open: impl Fn(&Path) -> Box<dyn Store>) {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk")) else {
        return;
    };
    let path = disk.0.join("store");
    let ballast = disk.0.join("ballast");
    let store = open(&path);
    let kind = store.kind();
    let mut held = Vec::new();
    let mut next = 0;
    for round in 0..2 {
        fs::write(&ballast, vec![1; 7 << 20]).ok();
        let full = loop {
            next += 1;
            // Every fourth waits in memory, so that some of those are lost with the database.
            let durability = match next % 4 {
                0 => Durability::Relaxed,
                _ => Durability::Durable,
            };
            match store.commit(batch(next), durability) {
                Ok(()) => held.push(next),
                Err(error) => break error,
            }
            assert!(next < 1_000, "{kind}: the disk never filled up");
        };
        assert!(
            matches!(full, StoreError::DiskFull { .. }),
            "{kind} {round}: {full:?}"
        );
        assert!(full.to_string().contains("free some space"), "{full}");
        has_all(&*store, &held);
        for _ in 0..3 {
            let again = store.commit(batch(next), Durability::Durable).err();
            assert!(
                matches!(again, Some(StoreError::DiskFull { .. })),
                "{kind} {round}: {again:?}"
            );
            has_all(&*store, &held);
        }
        fs::remove_file(&ballast).unwrap();
        store.commit(batch(next), Durability::Durable).unwrap();
        held.push(next);
        has_all(&*store, &held);
    }
    drop(store);
    has_all(&*open(&path), &held);
    assert!(held.len() > 50, "{kind}: only {} were written", held.len());
}

#[test]
fn redb_goes_on_after_a_full_disk() {
    fills_up_and_goes_on(|path| Box::new(RedbStore::open(path, CACHE).unwrap()));
}

#[test]
fn sled_goes_on_after_a_full_disk() {
    fills_up_and_goes_on(|path| Box::new(SledStore::open(path, CACHE as u64).unwrap()));
}
