#![allow(clippy::unwrap_used)]
use super::{
    super::{
        BlockError, Entry, directory,
        memory::{MURMUR3, Memory},
    },
    *,
};

fn names(listing: &Listing) -> Vec<&str> {
    let entries = listing.entries.iter();
    entries.map(|entry| entry.name.as_str()).collect()
}

#[tokio::test]
async fn entries_come_sorted_by_name() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let root = memory.directory(&[("b", leaf), ("ä", leaf), ("B", leaf), ("a", leaf)]);
    let listing = list(&memory, root, 4).await.unwrap();
    assert_eq!(names(&listing), ["B", "a", "b", "ä"]);
    assert!(!listing.is_cut);
    let cut = list(&memory, root, 3).await.unwrap();
    assert_eq!(cut.entries.len(), 3);
    assert!(cut.is_cut);
    let root = memory.directory(&[]);
    assert_eq!(list(&memory, root, 0).await.unwrap(), Listing::default());
}

#[tokio::test]
async fn entries_of_all_shards_are_listed() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let mut wanted: Vec<_> = (0..6000)
        .map(|n| format!("a rather long name {n}"))
        .collect();
    let entries = wanted.iter().map(|name| Entry {
        name: name.clone(),
        cid: leaf,
        dag_bytes: 4,
    });
    let root = directory(entries.collect(), &mut |cid, bytes| {
        memory.blocks.insert(cid, bytes);
    });
    let root = root.unwrap().cid;
    wanted.sort();
    let listing = list(&memory, root, 6000).await.unwrap();
    assert_eq!(names(&listing), wanted);
    assert!(!listing.is_cut);
    assert!(
        listing
            .entries
            .iter()
            .all(|entry| entry.cid == leaf && entry.size_bytes == 4)
    );

    memory.asked();
    let cut = list(&memory, root, 10).await.unwrap();
    assert_eq!((cut.entries.len(), cut.is_cut), (10, true));
    assert!(
        memory.asked().len() < 20,
        "shards that aren't needed are not read"
    );
}

#[tokio::test]
async fn only_directories_are_listed() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let file = memory.file(b"", &[(leaf, 4)]);
    let link = memory.symlink("x");
    for cid in [leaf, file, link] {
        let found = list(&memory, cid, 10).await;
        let why = NodeFault::NotADirectory;
        assert!(matches!(found, Err(WalkError::Node { why: found, .. }) if found == why));
    }
}

#[tokio::test]
async fn a_shard_that_is_missing_or_something_else_is_named() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let below = memory.shard(&[("01x", leaf)]);
    let root = memory.shard(&[("0A", below), ("0Bx", leaf)]);
    memory.blocks.remove(&below);
    let found = list(&memory, root, 10).await;
    assert!(matches!(found, Err(WalkError::Block(BlockError::NotHeld(cid))) if cid == below));
    let plain = memory.directory(&[("x", leaf)]);
    let root = memory.shard(&[("0A", plain)]);
    let found = list(&memory, root, 10).await;
    let why = NodeFault::NotAShard { fanout: 256 };
    assert!(
        matches!(found, Err(WalkError::Node { cid, why: found }) if (cid, &found) == (plain, &why))
    );
}

#[tokio::test]
async fn shards_too_deep_are_refused() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let mut root = memory.shard(&[("00x", leaf)]);
    for _ in 1..8 {
        root = memory.shard(&[("00", root)]);
    }
    assert_eq!(names(&list(&memory, root, 10).await.unwrap()), ["x"]);
    root = memory.shard(&[("00", root)]);
    let found = list(&memory, root, 10).await;
    let why = NodeFault::ShardTooDeep;
    assert!(matches!(found, Err(WalkError::Node { why: found, .. }) if found == why));
}

#[tokio::test]
async fn a_shard_in_two_places_is_a_fault() {
    let mut memory = Memory::default();
    let places: Vec<_> = (0..=255_u16).map(|place| format!("{place:02X}")).collect();
    let mut shard = memory.shard(&[]);
    for _ in 1..3 {
        let links: Vec<_> = places.iter().map(|place| (place.as_str(), shard)).collect();
        shard = memory.shard(&links);
    }
    memory.asked();
    let found = list(&memory, shard, 10).await;
    assert_eq!(memory.asked().len(), 3, "none is read twice");
    let why = NodeFault::ShardTwice;
    assert!(
        matches!(&found, Err(WalkError::Node { why: found, .. }) if *found == why),
        "{found:?}"
    );
}

#[tokio::test]
async fn shards_that_hold_hardly_anything_are_bounded() {
    let mut memory = Memory::default();
    let places: Vec<_> = (0..=255_u16).map(|place| format!("{place:02X}")).collect();
    let mut number = 0;
    let mut uppers = Vec::new();
    for _ in 0..5 {
        let mut links = Vec::new();
        for place in &places {
            number += 1;
            let node = Node {
                links: Vec::new(),
                data: Some(bare(number)),
            };
            links.push((place.as_str(), memory.put(codec::DAG_PB, node.encode())));
        }
        uppers.push(memory.shard(&links));
    }
    let uppers: Vec<_> = places.iter().map(String::as_str).zip(uppers).collect();
    let root = memory.shard(&uppers);
    memory.asked();
    let found = list(&memory, root, 10_000).await;
    let why = NodeFault::TooFewEntries;
    assert!(
        matches!(&found, Err(WalkError::Node { cid, why: found }) if (cid, found) == (&root, &why)),
        "{found:?}"
    );
    assert!(memory.asked().len() <= SPARE_SHARDS + 1);
}

/// The data of a shard without links, each with its own number in a field that nobody reads.
fn bare(number: u16) -> Bytes {
    let shard = UnixFs::Shard {
        bitfield: Bytes::new(),
        fanout: 256,
        hash: MURMUR3,
    };
    let [high, low] = number.to_be_bytes();
    [&shard.encode()[..], &[0x7a, 2, high, low]].concat().into()
}
