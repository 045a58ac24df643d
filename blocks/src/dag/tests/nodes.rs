use bytes::Bytes;
use cid::Cid;

use super::identity;
use crate::dag::{
    Link, MAX_BLOCK_BYTES, MAX_NODE_LINKS, Node, PbFault, UnixFs, UnixFsFault, codec, name_of,
};

/// A link's fields: the identity CID of nothing, an empty name, a size of 5.
const HASH: &[u8] = &[0x0a, 4, 1, 0x55, 0, 0];
const NAME: &[u8] = &[0x12, 0];
const TSIZE: &[u8] = &[0x18, 5];

fn link(fields: &[&[u8]]) -> Vec<u8> {
    field(0x12, &fields.concat())
}

fn field(key: u8, bytes: &[u8]) -> Vec<u8> {
    [&[key, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn decode(bytes: &[u8]) -> Result<Node, PbFault> {
    Node::decode(&Bytes::copy_from_slice(bytes))
}

#[test]
fn a_canonical_node_is_read_and_written() {
    let whole = [link(&[HASH, NAME, TSIZE]), field(0x0a, b"data")].concat();
    let node = Node {
        links: vec![Link {
            cid: identity(b""),
            name: String::new(),
            size_bytes: 5,
        }],
        data: Some(Bytes::from_static(b"data")),
    };
    assert_eq!(decode(&whole), Ok(node.clone()));
    assert_eq!(node.encode(), whole);

    let empty = Node {
        links: Vec::new(),
        data: Some(Bytes::new()),
    };
    assert_eq!(decode(&[0x0a, 0]), Ok(empty));
    assert_eq!(decode(b""), Ok(Node::default()));
    for bare in [&[HASH, NAME][..], &[HASH, TSIZE], &[HASH]] {
        let read = decode(&link(bare)).unwrap();
        let (name, size_bytes) = (&read.links[0].name, read.links[0].size_bytes);
        assert!(name.is_empty(), "{name}");
        assert_eq!(size_bytes == 0, !bare.contains(&TSIZE));
    }
}

#[test]
fn every_other_encoding_of_a_node_is_refused() {
    let good = link(&[HASH, NAME, TSIZE]);
    let data = field(0x0a, b"data");
    let order = |field, at| PbFault::Order { field, at };
    let no_cid = PbFault::NoCid { at: 2 };
    for (bytes, fault) in [
        ([&data[..], &good].concat(), order(2, 6)),
        ([&data[..], &data].concat(), order(1, 6)),
        (link(&[NAME, HASH, TSIZE]), no_cid.clone()),
        (link(&[HASH, HASH, NAME, TSIZE]), order(1, 8)),
        (link(&[HASH, NAME, NAME, TSIZE]), order(2, 10)),
        (link(&[HASH, TSIZE, NAME]), order(2, 10)),
        (link(&[HASH, NAME, TSIZE, TSIZE]), order(3, 12)),
        (link(&[HASH, NAME, TSIZE, NAME]), order(2, 12)),
        (link(&[]), no_cid.clone()),
        (
            link(&[HASH, NAME, TSIZE, &[0x20, 0]]),
            PbFault::UnknownField { field: 4, at: 12 },
        ),
        (vec![0x1a, 0], PbFault::UnknownField { field: 3, at: 0 }),
        (vec![0x02, 0], PbFault::UnknownField { field: 0, at: 0 }),
        (
            vec![0x08, 1],
            PbFault::WireType {
                field: 1,
                wire: 0,
                at: 0,
            },
        ),
        (
            link(&[&[0x08, 1], NAME, TSIZE]),
            PbFault::WireType {
                field: 1,
                wire: 0,
                at: 2,
            },
        ),
        (
            link(&[HASH, NAME, &[0x1a, 0]]),
            PbFault::WireType {
                field: 3,
                wire: 2,
                at: 10,
            },
        ),
        (vec![0x0a], PbFault::Truncated { at: 1 }),
        (vec![0x0a, 5, 1], PbFault::Truncated { at: 1 }),
        (
            good[..good.len() - 1].to_vec(),
            PbFault::Truncated { at: 1 },
        ),
        (vec![0x0a, 0x80, 0], PbFault::VarintNotMinimal { at: 1 }),
        (vec![0x8a, 0, 0], PbFault::VarintNotMinimal { at: 0 }),
        (
            link(&[HASH, NAME, &[0x18, 0x85, 0]]),
            PbFault::VarintNotMinimal { at: 11 },
        ),
        (
            [&[0x0a][..], &[0xff; 10]].concat(),
            PbFault::VarintTooLong { at: 1 },
        ),
        (
            [&[0x0a][..], &[0xff; 9], &[1]].concat(),
            PbFault::Truncated { at: 1 },
        ),
        (link(&[&[0x0a, 0], NAME, TSIZE]), PbFault::Cid { at: 2 }),
        (
            link(&[&[0x0a, 5, 1, 0x55, 0, 0, 9], NAME, TSIZE]),
            PbFault::Cid { at: 2 },
        ),
        (
            link(&[&[0x0a, 5, 1, 0xd5, 0, 0, 0], NAME, TSIZE]),
            PbFault::Cid { at: 2 },
        ),
        (
            link(&[HASH, &[0x12, 1, 0xff], TSIZE]),
            PbFault::Name { at: 8 },
        ),
    ] {
        assert_eq!(decode(&bytes), Err(fault), "{bytes:02x?}");
    }
}

fn meaning(links: usize, data: &[u8]) -> Result<UnixFs, UnixFsFault> {
    let link = Link {
        cid: identity(b""),
        name: String::new(),
        size_bytes: 0,
    };
    UnixFs::of(&Node {
        links: vec![link; links],
        data: Some(Bytes::copy_from_slice(data)),
    })
}

#[test]
fn files_say_what_their_parts_do() {
    let file = |data: &'static [u8], block_sizes: &[u64], size_bytes| {
        Ok(UnixFs::File {
            data: Bytes::from_static(data),
            block_sizes: block_sizes.to_vec(),
            size_bytes,
        })
    };
    for (links, data, wanted) in [
        // A leaf of the type raw, a small file, one of two links, its sizes packed.
        (0, &[8, 0, 0x12, 1, b'x', 0x18, 1][..], file(b"x", &[], 1)),
        (0, &[8, 2, 0x12, 1, b'x', 0x18, 1], file(b"x", &[], 1)),
        (2, &[8, 2, 0x18, 5, 0x20, 2, 0x20, 3], file(b"", &[2, 3], 5)),
        (2, &[8, 2, 0x22, 2, 2, 3, 0x18, 5], file(b"", &[2, 3], 5)),
        // Data beside links, no size said, mode and time of modification.
        (
            1,
            &[8, 2, 0x12, 1, b'x', 0x18, 3, 0x20, 2],
            file(b"x", &[2], 3),
        ),
        (0, &[8, 2], file(b"", &[], 0)),
        (
            0,
            &[8, 2, 0x18, 0, 0x38, 1, 0x42, 2, 8, 1],
            file(b"", &[], 0),
        ),
    ] {
        assert_eq!(meaning(links, data), wanted, "{data:02x?}");
    }
    let huge = [&[8, 2, 0x20][..], &[0xff; 9], &[1, 0x20, 1]].concat();
    let sum = |said_bytes, found_bytes| UnixFsFault::Sum {
        said_bytes,
        found_bytes,
    };
    for (links, data, fault) in [
        (2, &[8, 2, 0x18, 6, 0x20, 2, 0x20, 3][..], sum(6, 5)),
        (
            1,
            &[8, 2, 0x18, 2, 0x20, 2, 0x20, 3],
            UnixFsFault::Sizes { links: 1, sizes: 2 },
        ),
        (
            1,
            &[8, 2, 0x18, 2],
            UnixFsFault::Sizes { links: 1, sizes: 0 },
        ),
        (0, &[8, 2, 0x12, 1, b'x', 0x18, 0], sum(0, 1)),
        (2, &huge, sum(u64::MAX, u64::MAX)),
        (0, &[0x18, 0], UnixFsFault::NoType),
        (0, &[], UnixFsFault::NoType),
        (0, &[8, 3], UnixFsFault::Type(3)),
        (0, &[8, 9], UnixFsFault::Type(9)),
        (
            0,
            &[8, 2, 8, 2],
            UnixFsFault::Data(PbFault::Order { field: 1, at: 2 }),
        ),
        (0, &[8], UnixFsFault::Data(PbFault::Truncated { at: 1 })),
        (
            0,
            &[8, 2, 0x3b],
            UnixFsFault::Data(PbFault::WireType {
                field: 7,
                wire: 3,
                at: 2,
            }),
        ),
    ] {
        assert_eq!(meaning(links, data), Err(fault), "{data:02x?}");
    }
    assert_eq!(UnixFs::of(&Node::default()), Err(UnixFsFault::NoData));
}

#[test]
fn shards_and_symbolic_links_are_what_they_say() {
    let shard = |bits: &[u8], hash: u8, fanout: &[u8]| {
        [&field(0x12, bits)[..], &[8, 5, 0x28, hash, 0x30], fanout].concat()
    };
    let is_shard = |read| matches!(read, Ok(UnixFs::Shard { .. }));
    assert!(is_shard(meaning(3, &shard(&[7], 0x22, &[0x80, 2]))));
    assert!(is_shard(meaning(0, &shard(&[], 0x22, &[8]))));
    for (links, data, fault) in [
        (
            3,
            shard(&[3], 0x22, &[0x80, 2]),
            UnixFsFault::Bitfield { links: 3, bits: 2 },
        ),
        (
            9,
            shard(&[1, 0xff], 0x22, &[8]),
            UnixFsFault::Bitfield { links: 9, bits: 9 },
        ),
        (1, shard(&[1], 0x12, &[0x80, 2]), UnixFsFault::Hash(0x12)),
        (1, shard(&[1], 0x22, &[0x81, 2]), UnixFsFault::Fanout(257)),
        (1, shard(&[1], 0x22, &[4]), UnixFsFault::Fanout(4)),
        (
            1,
            shard(&[1], 0x22, &[0x80, 0x10]),
            UnixFsFault::Fanout(2048),
        ),
        (1, vec![8, 5, 0x28, 0x22], UnixFsFault::Fanout(0)),
        (1, vec![8, 4, 0x12, 1, b'x'], UnixFsFault::Symlink),
        (0, vec![8, 4, 0x12, 1, 0xff], UnixFsFault::Symlink),
        (0, vec![8, 4], UnixFsFault::Symlink),
    ] {
        assert_eq!(meaning(links, &data), Err(fault), "{data:02x?}");
    }
    let target = "../there".to_owned();
    let symlink = UnixFs::Symlink { target };
    assert_eq!(meaning(0, &symlink.encode()), Ok(symlink));
}

#[test]
fn a_node_has_no_more_links_than_names_with_hashes_find_room_for() {
    let hashed = link(&[&field(0x0a, &name_of(codec::RAW, b"x").to_bytes())]);
    let shortest = {
        let v0 = Cid::new_v0(*name_of(codec::RAW, b"x").hash()).unwrap();
        link(&[&field(0x0a, &v0.to_bytes())])
    };
    for link in [hashed, shortest] {
        let most = MAX_BLOCK_BYTES / link.len();
        assert_eq!(decode(&link.repeat(most)).unwrap().links.len(), most);
    }
    let inline = link(&[&field(0x0a, &[1, 0x55, 0, 0])]);
    let most = decode(&inline.repeat(MAX_NODE_LINKS)).unwrap();
    assert_eq!(most.links.len(), MAX_NODE_LINKS);
    let at = inline.len() * MAX_NODE_LINKS;
    let fault = decode(&inline.repeat(MAX_NODE_LINKS + 1)).err();
    assert_eq!(fault, Some(PbFault::TooManyLinks { at }));
}
