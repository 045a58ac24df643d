use std::collections::BTreeMap;

use bytes::Bytes;
use cid::Cid;

use super::identity;
use crate::dag::{
    DirectoryFault, Entry, HamtFault, Link, Node, ShardHash, ShardLink, UnixFs, directory,
    shard_link,
};

fn entries(names: impl IntoIterator<Item = String>) -> Vec<Entry> {
    let entries = names.into_iter().map(|name| Entry {
        name,
        cid: identity(b"x"),
        dag_bytes: 1,
    });
    entries.collect()
}

#[test]
fn names_that_no_directory_has_are_refused() {
    let long = "n".repeat(1025);
    for name in ["", ".", "..", "a/b", "/", "a\0", &long] {
        let fault = DirectoryFault::Name {
            name: name.to_owned(),
        };
        let made = directory(entries([name.to_owned()]), &mut |_, _| {});
        assert_eq!(made, Err(fault));
    }
    let twice = entries(["a", "b", "a"].map(str::to_owned));
    let fault = DirectoryFault::Repeated { name: "a".into() };
    assert_eq!(directory(twice, &mut |_, _| {}), Err(fault));
}

#[test]
fn the_order_of_entries_is_nothing_to_the_name() {
    for count in [10, 6000] {
        let names = (0..count).map(|number| format!("{number} of the directory's names"));
        let mut shuffled = entries(names);
        let first = directory(shuffled.clone(), &mut |_, _| {});
        shuffled.reverse();
        shuffled.swap(0, 5);
        assert_eq!(directory(shuffled, &mut |_, _| {}), first);
    }
}

/// Follows a name through shards, as a reader does.
fn find(blocks: &BTreeMap<Cid, Bytes>, root: Cid, name: &str) -> (Cid, usize) {
    let mut hash = ShardHash::of(name);
    let (mut at, mut depth) = (root, 0);
    loop {
        depth += 1;
        let node = Node::decode(&blocks[&at]).unwrap();
        let Ok(UnixFs::Shard { fanout, .. }) = UnixFs::of(&node) else {
            panic!("{at} is no shard");
        };
        let place = hash.next_place(fanout).unwrap();
        let mut links = node.links.iter();
        let link = links.find(|link| shard_link(link, fanout).unwrap().0 == place);
        let link = link.unwrap();
        match shard_link(link, fanout).unwrap().1 {
            ShardLink::Shard => at = link.cid,
            ShardLink::Entry(found) => {
                assert_eq!(found, name);
                return (link.cid, depth);
            }
        }
    }
}

#[test]
fn every_entry_is_found_by_the_hash_of_its_name() {
    let names: Vec<String> = (0..20_000)
        .map(|number| format!("entry {number}"))
        .collect();
    let mut blocks = BTreeMap::new();
    let root = directory(entries(names.clone()), &mut |cid, bytes| {
        blocks.insert(cid, bytes);
    })
    .unwrap();
    let mut deepest = 0;
    for name in &names {
        let (cid, depth) = find(&blocks, root.cid, name);
        assert_eq!(cid, identity(b"x"));
        deepest = deepest.max(depth);
    }
    assert!(deepest >= 3, "{deepest} levels");
}

#[test]
fn a_hash_is_used_up_after_its_64_bits() {
    for (fanout, levels) in [(256, 8), (1024, 6), (16, 16), (8, 21)] {
        let mut hash = ShardHash::of("name");
        for _ in 0..levels {
            assert!(hash.next_place(fanout).unwrap() < fanout);
        }
        assert_eq!(hash.next_place(fanout), None);
    }
    assert_eq!(ShardHash::of("name").next_place(0), None);
    assert_eq!(ShardHash::of("name").next_place(100), None);
    // The first places are the hash's first bytes.
    let mut hash = ShardHash::of("hello");
    let places = [0xcb, 0xd8, 0xa7, 0xb3].map(Some);
    assert_eq!([(); 4].map(|()| hash.next_place(256)), places);
}

#[test]
fn a_link_of_a_shard_starts_with_its_place() {
    let link = |name: &str| Link {
        cid: identity(b""),
        name: name.to_owned(),
        size_bytes: 0,
    };
    for (name, fanout, wanted) in [
        ("00", 256, (0, ShardLink::Shard)),
        ("FFname", 256, (255, ShardLink::Entry("name"))),
        ("3FFn", 1024, (1023, ShardLink::Entry("n"))),
        ("7n", 8, (7, ShardLink::Entry("n"))),
        ("A\u{e9}", 16, (10, ShardLink::Entry("\u{e9}"))),
    ] {
        assert_eq!(shard_link(&link(name), fanout), Ok(wanted));
    }
    for (name, fanout) in [
        ("", 256),
        ("0", 256),
        ("ffname", 256),
        ("+1name", 256),
        ("0\u{e9}", 256),
    ] {
        let fault = HamtFault::Prefix { name: name.into() };
        assert_eq!(shard_link(&link(name), fanout), Err(fault));
    }
    let fault = HamtFault::Place {
        name: "8n".into(),
        fanout: 8,
    };
    assert_eq!(shard_link(&link("8n"), 8), Err(fault));
}
