#![allow(clippy::unwrap_used)]
use super::{
    super::{
        BlockFault, Entry, HamtFault, LinksFault, PbFault, directory,
        memory::{MURMUR3, Memory},
    },
    *,
};

fn path(text: &str) -> Vec<String> {
    let segments = text.split('/').filter(|segment| !segment.is_empty());
    segments.map(str::to_owned).collect()
}

async fn at(memory: &Memory, root: Cid, text: &str) -> Result<Resolved, ResolveError> {
    resolve(memory, root, &path(text)).await
}

#[tokio::test]
async fn names_lead_through_directories() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"hello");
    let file = memory.file(b"", &[(leaf, 5)]);
    let link = memory.symlink("b/file");
    let inner = memory.directory(&[("file", file), ("leaf", leaf), ("link", link)]);
    let root = memory.directory(&[("a", leaf), ("b", inner)]);

    let found = at(&memory, root, "b/file").await.unwrap();
    assert_eq!(found.visited, [root, inner, file]);
    assert_eq!(found.roots, [root, inner, file]);
    assert_eq!(found.cid, file);
    assert_eq!(found.kind, Kind::File { size_bytes: 5 });
    assert!(found.remainder.is_empty());

    let target = "b/file".to_owned();
    let is_sharded = false;
    for (text, kind) in [
        ("", Kind::Directory { is_sharded }),
        ("b", Kind::Directory { is_sharded }),
        ("a", Kind::File { size_bytes: 5 }),
        ("b/leaf", Kind::File { size_bytes: 5 }),
        ("b/link", Kind::Symlink { target }),
    ] {
        let found = at(&memory, root, text).await.unwrap();
        assert_eq!(found.kind, kind, "{text}");
        assert_eq!(found.visited.last(), Some(&found.cid), "{text}");
    }
}

#[tokio::test]
async fn names_lead_through_shards() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"hello");
    let names: Vec<_> = (0..6000)
        .map(|n| format!("a rather long name {n}"))
        .collect();
    let entries = names.iter().map(|name| Entry {
        name: name.clone(),
        cid: leaf,
        dag_bytes: 5,
    });
    let root = directory(entries.collect(), &mut |cid, bytes| {
        memory.blocks.insert(cid, bytes);
    });
    let root = root.unwrap().cid;
    let found = at(&memory, root, "").await.unwrap();
    assert_eq!(found.kind, Kind::Directory { is_sharded: true });
    for name in names.iter().step_by(61) {
        memory.asked();
        let found = at(&memory, root, name).await.unwrap();
        assert_eq!(found.cid, leaf);
        assert_eq!(found.roots, [root, leaf], "shards are no roots");
        assert!(found.visited.len() > 2, "{name} lies in a shard below");
        assert_eq!(found.visited, memory.asked());
    }
    let missing = at(&memory, root, "another name").await;
    assert!(
        matches!(missing, Err(ResolveError::NoLink { cid, name }) if cid == root && name == "another name")
    );
}

#[tokio::test]
async fn paths_lead_through_data_blocks() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let json = format!(
        r#"{{"to":{{"/":"{leaf}"}},"list":[7,{{"/":{{"bytes":"AA"}}}},{{"/":"{leaf}"}}],"text":"x"}}"#
    );
    let json = memory.put(codec::DAG_JSON, json);
    let mut map = std::collections::BTreeMap::new();
    map.insert("json".to_owned(), ipld_core::ipld::Ipld::Link(json));
    map.insert("one".to_owned(), ipld_core::ipld::Ipld::Integer(1));
    let cbor = serde_ipld_dagcbor::to_vec(&ipld_core::ipld::Ipld::List(vec![
        ipld_core::ipld::Ipld::Map(map),
        ipld_core::ipld::Ipld::Bytes(vec![1, 2]),
        ipld_core::ipld::Ipld::Null,
    ]));
    let cbor = memory.put(codec::DAG_CBOR, cbor.unwrap());
    let root = memory.directory(&[("data", cbor)]);

    let found = at(&memory, root, "data/0/json/list/2").await.unwrap();
    assert_eq!(found.roots, [root, cbor, json, leaf]);
    assert_eq!(found.visited, found.roots);
    assert_eq!(found.kind, Kind::File { size_bytes: 4 });

    for (text, end, remainder) in [
        ("data", cbor, ""),
        ("data/0", cbor, "0"),
        ("data/1", cbor, "1"),
        ("data/2", cbor, "2"),
        ("data/0/one", cbor, "0/one"),
        ("data/0/json", json, ""),
        ("data/0/json/list", json, "list"),
        ("data/0/json/list/0", json, "list/0"),
        ("data/0/json/list/1", json, "list/1"),
        ("data/0/json/text", json, "text"),
    ] {
        let found = at(&memory, root, text).await.unwrap();
        assert_eq!(
            (found.cid, found.remainder),
            (end, path(remainder)),
            "{text}"
        );
        assert!(matches!(found.kind, Kind::Data { codec, .. } if codec == end.codec()));
    }

    for (text, at_cid, missing) in [
        ("data/3", cbor, "3"),
        ("data/00", cbor, "00"),
        ("data/+0", cbor, "+0"),
        ("data/0/two", cbor, "two"),
        ("data/0/one/x", cbor, "x"),
        ("data/1/0", cbor, "0"),
        ("data/0/json/list/2/x", leaf, "x"),
        ("data/0/json/list/1/bytes", json, "bytes"),
        ("data/0/json/to//x", leaf, "x"),
        ("data/0/json/text/x", json, "x"),
    ] {
        match at(&memory, root, text).await {
            Err(ResolveError::NoLink { cid, name } | ResolveError::ThroughFile { cid, name }) => {
                assert_eq!((cid, name.as_str()), (at_cid, missing), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn data_that_is_not_what_its_codec_says_is_a_fault() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let two_keys = format!(r#"{{"a":{{"/":"{leaf}","b":1}}}}"#);
    let followed = format!(r#"{{"a":{{"/":"{leaf}junkjunk"}}}}"#);
    let mut followed_bytes = vec![0xa1, 0x61, b'a', 0xd8, 0x2a, 0x58, 39, 0];
    followed_bytes.extend(leaf.to_bytes());
    followed_bytes.extend(b"!!");
    let deep = [vec![0x81; 10_000], vec![0]].concat();
    let open = "[".repeat(10_000);
    for (codec, bytes) in [
        (codec::DAG_CBOR, vec![0xa1, 0x61]),
        (codec::DAG_CBOR, vec![0xa1, 0x61, b'a', 0xd8, 0x2a, 0x41, 0]),
        (codec::DAG_CBOR, vec![0, 0]),
        (codec::DAG_CBOR, deep),
        (codec::DAG_JSON, b"{\"a\":".to_vec()),
        (codec::DAG_JSON, b"{} {}".to_vec()),
        (codec::DAG_JSON, b"{\"a\":{\"/\":\"no cid\"}}".to_vec()),
        (codec::DAG_JSON, two_keys.into_bytes()),
        (codec::DAG_JSON, followed.into_bytes()),
        (codec::DAG_CBOR, followed_bytes),
        (codec::DAG_JSON, open.into_bytes()),
    ] {
        let root = memory.put(codec, bytes);
        let found = at(&memory, root, "a").await;
        let Err(ResolveError::Node { cid, why }) = found else {
            panic!("{found:?}");
        };
        assert_eq!(cid, root);
        assert!(matches!(
            why,
            NodeFault::Links(LinksFault::Cbor { .. } | LinksFault::Json { .. })
        ));
    }
}

#[tokio::test]
async fn nothing_is_below_a_file() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let file = memory.file(b"", &[(leaf, 4)]);
    let link = memory.symlink("x");
    let json = memory.put(codec::JSON, "{\"x\":1}");
    let cbor = memory.put(codec::CBOR, vec![0]);
    for end in [leaf, file, link, json, cbor] {
        let root = memory.directory(&[("end", end)]);
        let found = at(&memory, root, "end/x/y").await;
        assert!(
            matches!(&found, Err(ResolveError::ThroughFile { cid, name }) if *cid == end && name == "x"),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_block_on_the_way_that_is_missing_denied_or_unsupported_is_named() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let inner = memory.directory(&[("leaf", leaf)]);
    let odd = Cid::new_v1(0x72, *leaf.hash());
    let root = memory.directory(&[("inner", inner), ("odd", odd)]);

    let found = at(&memory, root, "odd").await;
    assert!(matches!(
        found,
        Err(ResolveError::Block(BlockError::Fault(BlockFault::Name(_))))
    ));
    memory.denied.insert(leaf);
    let found = at(&memory, root, "inner/leaf").await;
    assert!(
        matches!(found, Err(ResolveError::Block(BlockError::Denied { cid, .. })) if cid == leaf)
    );
    memory.blocks.insert(inner, Bytes::from_static(b"a lie"));
    let found = at(&memory, root, "inner/leaf").await;
    let lie = BlockFault::Mismatch { cid: inner };
    assert!(matches!(found, Err(ResolveError::Block(BlockError::Fault(fault))) if fault == lie));
    memory.blocks.remove(&inner);
    let found = at(&memory, root, "inner/leaf").await;
    assert!(matches!(found, Err(ResolveError::Block(BlockError::NotHeld(cid))) if cid == inner));
}

#[tokio::test]
async fn blocks_that_are_in_their_name_are_not_visited() {
    let memory = Memory::default();
    let hash = multihash::Multihash::wrap(0, b"hello").unwrap();
    let root = Cid::new_v1(codec::RAW, hash);
    let found = at(&memory, root, "").await.unwrap();
    assert_eq!(found.kind, Kind::File { size_bytes: 5 });
    assert_eq!((found.visited, found.roots), (vec![], vec![root]));
    assert!(memory.asked().is_empty());
}

#[tokio::test]
async fn paths_are_bounded() {
    let mut memory = Memory::default();
    let mut root = memory.raw(b"leaf");
    for _ in 0..MAX_DEPTH {
        root = memory.directory(&[("a", root)]);
    }
    let found = at(&memory, root, &"a/".repeat(MAX_DEPTH)).await.unwrap();
    assert_eq!(found.visited.len(), MAX_DEPTH + 1);
    let root = memory.directory(&[("a", root)]);
    let found = at(&memory, root, &"a/".repeat(MAX_DEPTH + 1)).await;
    assert!(matches!(found, Err(ResolveError::TooDeep)), "{found:?}");
    let found = at(&memory, root, &"a/".repeat(10_000)).await;
    assert!(matches!(found, Err(ResolveError::TooLong)), "{found:?}");
}

#[tokio::test]
async fn shards_deeper_than_a_hash_has_bits_are_refused() {
    let mut memory = Memory::default();
    let mut hash = ShardHash::of("name");
    let mut places = Vec::new();
    while let Some(place) = hash.next_place(256) {
        places.push(format!("{place:02X}"));
    }
    let leaf = memory.raw(b"leaf");
    let mut root = memory.shard(&[("00name", leaf)]);
    for place in places.iter().rev() {
        root = memory.shard(&[(place.as_str(), root)]);
    }
    let found = at(&memory, root, "name").await;
    assert!(matches!(found, Err(ResolveError::TooDeep)), "{found:?}");
}

#[tokio::test]
async fn nodes_that_contradict_themselves_are_blocks_with_a_fault() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let shard = |fanout, hash| UnixFs::Shard {
        bitfield: vec![1].into(),
        fanout,
        hash,
    };
    let file = |block_sizes: &[u64], size_bytes| UnixFs::File {
        data: Bytes::new(),
        block_sizes: block_sizes.to_vec(),
        size_bytes,
    };
    let one = [("", leaf)];
    let long = "x".repeat(4097);
    let typed = |kind| Node {
        links: Vec::new(),
        data: Some(Bytes::from(vec![8, kind])),
    };
    let cases = [
        (
            memory.put(codec::DAG_PB, typed(3).encode()),
            UnixFsFault::Type(3).into(),
        ),
        (
            memory.put(codec::DAG_PB, "\n\x02\x08\x01\x12\0"),
            PbFault::Order { field: 2, at: 4 }.into(),
        ),
        (
            memory.node(Some(&shard(100, MURMUR3)), &[("00x", leaf)]),
            UnixFsFault::Fanout(100).into(),
        ),
        (
            memory.node(Some(&shard(256, 0x12)), &[("00x", leaf)]),
            UnixFsFault::Hash(0x12).into(),
        ),
        (
            memory.node(Some(&shard(256, MURMUR3)), &[("00x", leaf), ("01x", leaf)]),
            UnixFsFault::Bitfield { links: 2, bits: 1 }.into(),
        ),
        (
            memory.node(Some(&file(&[1, 2], 3)), &one),
            UnixFsFault::Sizes { links: 1, sizes: 2 }.into(),
        ),
        (
            memory.node(Some(&file(&[4], 5)), &one),
            UnixFsFault::Sum {
                said_bytes: 5,
                found_bytes: 4,
            }
            .into(),
        ),
        (
            memory.symlink(&long),
            NodeFault::SymlinkTooLong { found_bytes: 4097 },
        ),
    ];
    for (end, wanted) in cases {
        let root = memory.directory(&[("end", end)]);
        let found = at(&memory, root, "end").await.unwrap();
        assert_eq!((found.cid, found.visited), (end, vec![root, end]));
        let kind = Kind::Data {
            codec: codec::DAG_PB,
            block_bytes: memory.blocks[&end].len() as u64,
            fault: Some(wanted),
        };
        assert_eq!(found.kind, kind);
        let below = at(&memory, root, "end/x").await;
        assert!(
            matches!(
                below,
                Err(ResolveError::Node { cid, .. } | ResolveError::ThroughFile { cid, .. })
                    if cid == end
            ),
            "{below:?}"
        );
    }
}

#[tokio::test]
async fn shards_with_wrong_links_are_faults() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let mut small = UnixFs::Shard {
        bitfield: vec![1].into(),
        fanout: 16,
        hash: MURMUR3,
    };
    let narrow = memory.node(Some(&small), &[("0x", leaf)]);
    if let UnixFs::Shard {
        bitfield, fanout, ..
    } = &mut small
    {
        (*bitfield, *fanout) = (vec![3].into(), 256);
    }
    let place = format!("{:02X}", ShardHash::of("x").next_place(256).unwrap());
    let plain = memory.directory(&[("x", leaf)]);
    let cases = [
        (
            memory.node(Some(&small), &[("0gx", leaf), ("01x", leaf)]),
            "prefix",
        ),
        (
            memory.node(Some(&small), &[("x", leaf), ("01x", leaf)]),
            "prefix",
        ),
        (
            memory.node(Some(&small), &[("01x", leaf), ("00x", leaf)]),
            "order",
        ),
        (
            memory.node(Some(&small), &[("01x", leaf), ("01y", leaf)]),
            "order",
        ),
        (memory.shard(&[(place.as_str(), narrow)]), "not a shard"),
        (memory.shard(&[(place.as_str(), plain)]), "not a shard"),
        (memory.shard(&[(place.as_str(), leaf)]), "not a shard"),
    ];
    for (root, wanted) in cases {
        let found = at(&memory, root, "x").await;
        let Err(ResolveError::Node { why, .. }) = found else {
            panic!("{wanted}: {found:?}");
        };
        let kind = match why {
            NodeFault::Shard(HamtFault::Prefix { .. }) => "prefix",
            NodeFault::ShardOrder { .. } => "order",
            NodeFault::NotAShard { fanout: 256 } => "not a shard",
            _ => "other",
        };
        assert_eq!(kind, wanted, "{why:?}");
    }
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_faults() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let root = memory.directory(&[("name", leaf)]);
    let mut bytes = memory.blocks[&root].to_vec();
    let name = bytes.windows(4).position(|four| four == b"name").unwrap();
    bytes[name] = 0xff;
    let root = memory.put(codec::DAG_PB, bytes);
    let found = at(&memory, root, "name").await;
    assert!(
        matches!(
            &found,
            Err(ResolveError::Node {
                why: NodeFault::Pb(PbFault::Name { .. }),
                ..
            })
        ),
        "{found:?}"
    );
}

#[tokio::test]
async fn dag_pb_without_unixfs_is_data_with_named_links() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let root = memory.node(None, &[("a", leaf)]);
    let found = at(&memory, root, "").await.unwrap();
    assert!(matches!(
        found.kind,
        Kind::Data {
            codec: codec::DAG_PB,
            fault: None,
            ..
        }
    ));
    assert_eq!(at(&memory, root, "a").await.unwrap().cid, leaf);
}
