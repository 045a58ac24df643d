use bytes::Bytes;
use cid::Cid;
use proptest::{collection::vec, option, prelude::*, sample::Index};

use super::identity;
use crate::dag::{
    CarDecoder, CarItem, Link, Node, UnixFs, car_frame, car_header, codec, links, name_of,
    parse_cid,
};

fn any_cid() -> impl Strategy<Value = Cid> {
    prop_oneof![
        vec(any::<u8>(), 0..64).prop_map(|bytes| identity(&bytes)),
        any::<[u8; 8]>().prop_map(|bytes| name_of(codec::DAG_CBOR, &bytes)),
        any::<[u8; 8]>()
            .prop_map(|bytes| Cid::new_v0(*name_of(codec::DAG_PB, &bytes).hash()).unwrap()),
    ]
}

fn any_link() -> impl Strategy<Value = Link> {
    (any_cid(), ".{0,8}", any::<u64>()).prop_map(|(cid, name, size_bytes)| Link {
        cid,
        name,
        size_bytes,
    })
}

fn any_meaning() -> impl Strategy<Value = UnixFs> {
    prop_oneof![
        (vec(any::<u8>(), 0..20), vec(0..u64::MAX >> 8, 0..6)).prop_map(|(data, block_sizes)| {
            UnixFs::File {
                size_bytes: data.len() as u64 + block_sizes.iter().sum::<u64>(),
                data: data.into(),
                block_sizes,
            }
        }),
        Just(UnixFs::Directory),
        ".{0,20}".prop_map(|target| UnixFs::Symlink { target }),
        vec(any::<u8>(), 0..=32).prop_map(|bits| UnixFs::Shard {
            bitfield: bits.into(),
            fanout: 256,
            hash: 0x22,
        }),
    ]
}

fn any_node() -> impl Strategy<Value = Node> {
    let data = prop_oneof![
        any_meaning().prop_map(|meaning| meaning.encode()),
        vec(any::<u8>(), 0..20).prop_map(Bytes::from),
    ];
    (vec(any_link(), 0..6), option::of(data)).prop_map(|(links, data)| Node { links, data })
}

fn any_blocks() -> impl Strategy<Value = Vec<(Cid, Bytes)>> {
    let block = vec(any::<u8>(), 0..300).prop_map(|bytes| {
        let bytes = Bytes::from(bytes);
        (name_of(codec::RAW, &bytes), bytes)
    });
    vec(block, 0..8)
}

fn written(roots: &[Cid], blocks: &[(Cid, Bytes)]) -> Vec<u8> {
    let mut car = car_header(roots).to_vec();
    for (cid, bytes) in blocks {
        car.extend(car_frame(cid, bytes.len()));
        car.extend(bytes);
    }
    car
}

/// Some bytes replaced, cut or put in.
fn mutate(bytes: &mut Vec<u8>, changes: &[(Index, u8, u8)]) {
    for (at, how, byte) in changes {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        match how % 4 {
            0 => bytes[at] = *byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, *byte),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    vec(any::<(Index, u8, u8)>(), 1..4)
}

fn blocks_read(car: &[u8], piece_bytes: usize) -> Vec<(Cid, Bytes)> {
    let mut decoder = CarDecoder::new();
    let mut read = Vec::new();
    for piece in car.chunks(piece_bytes) {
        decoder.push(piece);
        while let Ok(Some(item)) = decoder.next() {
            if let CarItem::Block { cid, bytes } = item {
                read.push((cid, bytes));
            }
        }
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn nodes_are_read_as_they_were_written(node in any_node()) {
        let bytes = node.encode();
        prop_assert_eq!(bytes.len(), node.encoded_bytes());
        prop_assert_eq!(Node::decode(&bytes), Ok(node));
    }

    #[test]
    fn meanings_are_read_as_they_were_written(meaning in any_meaning()) {
        let count = match &meaning {
            UnixFs::File { block_sizes, .. } => block_sizes.len(),
            UnixFs::Shard { bitfield, .. } => bitfield.iter().map(|byte| byte.count_ones() as usize).sum(),
            _ => 0,
        };
        let link = Link { cid: identity(b""), name: String::new(), size_bytes: 0 };
        let node = Node { links: vec![link; count], data: Some(meaning.encode()) };
        prop_assert_eq!(UnixFs::of(&node), Ok(meaning));
    }

    #[test]
    fn what_is_still_a_node_after_changes_is_written_the_same(node in any_node(), changes in changes()) {
        let mut bytes = node.encode().to_vec();
        mutate(&mut bytes, &changes);
        let bytes = Bytes::from(bytes);
        if let Ok(read) = Node::decode(&bytes) {
            let again = read.encode();
            // Only a name or size that was left out is written after all.
            let is_bare = |link: &Link| link.size_bytes == 0 || link.name.is_empty();
            prop_assert!(again == bytes || read.links.iter().any(is_bare));
            prop_assert!(Node::decode(&again) == Ok(read.clone()));
            drop(UnixFs::of(&read));
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        for codec in [codec::DAG_PB, codec::DAG_CBOR, codec::DAG_JSON, codec::RAW] {
            drop(links(&name_of(codec, &bytes), &bytes));
        }
        drop(UnixFs::of(&Node { links: Vec::new(), data: Some(bytes.clone()) }));
        blocks_read(&bytes, 3);
        let _ = parse_cid(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn cars_are_read_as_they_were_written(
        roots in vec(any_cid(), 0..4),
        blocks in any_blocks(),
        piece_bytes in 1..500_usize,
    ) {
        let car = written(&roots, &blocks);
        prop_assert_eq!(blocks_read(&car, piece_bytes), blocks);
    }

    #[test]
    fn a_changed_car_gives_no_block_that_has_not_its_name(
        blocks in any_blocks(),
        changes in changes(),
        piece_bytes in 1..500_usize,
    ) {
        let mut car = written(&[], &blocks);
        mutate(&mut car, &changes);
        for (cid, bytes) in blocks_read(&car, piece_bytes) {
            prop_assert_eq!(crate::dag::verify(&cid, &bytes), Ok(()));
        }
    }
}
