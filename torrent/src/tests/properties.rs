use proptest::{collection::vec, option, prelude::*, sample::Index};

use crate::{
    HostPort, Info, InfoHash, Magnet, Metainfo,
    bencode::{Item, Kind, Value, decode},
    info::MAX_PIECES,
};

/// A value that owns what it holds.
#[derive(Clone, Debug)]
enum Tree {
    Integer(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(Vec<(Vec<u8>, Tree)>),
}

impl Tree {
    fn item(&self) -> Item<'_> {
        match self {
            Self::Integer(number) => Item::Integer(*number),
            Self::Bytes(bytes) => Item::Bytes(bytes),
            Self::List(trees) => Item::List(trees.iter().map(Self::item).collect()),
            Self::Dict(entries) => {
                let entries = entries.iter();
                Item::Dict(entries.map(|(key, tree)| (&key[..], tree.item())).collect())
            }
        }
    }
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Integer),
        vec(any::<u8>(), 0..20).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        let entry = (vec(any::<u8>(), 0..4), inner.clone());
        prop_oneof![
            vec(inner, 0..6).prop_map(Tree::List),
            vec(entry, 0..6).prop_map(Tree::Dict),
        ]
    })
}

/// What was read, to be written again; checks that all in it know their place in `bytes`.
fn again<'a>(value: Value<'a>, bytes: &[u8]) -> Item<'a> {
    assert_eq!(value.encoded(), &bytes[value.span()]);
    match value.kind() {
        Kind::Integer(number) => Item::Integer(number),
        Kind::Bytes(string) => Item::Bytes(string),
        Kind::List(items) => Item::List(items.map(|item| again(item, bytes)).collect()),
        Kind::Dict(entries) => Item::Dict(
            entries
                .map(|(key, value)| (key, again(value, bytes)))
                .collect(),
        ),
    }
}

fn any_info() -> impl Strategy<Value = Info> {
    let files = vec(("[a-z]{1,4}(/[A-Z ü.]{3,4}){0,2}", 0..3_000_000u64), 1..6);
    (files, any::<bool>(), any::<u8>()).prop_filter_map(
        "repeated or empty",
        |(files, one, hash)| {
            let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
            let hashes = |bytes: u64| {
                (0..bytes.div_ceil(1 << 20))
                    .map(|_| [hash; 20])
                    .collect::<Vec<_>>()
            };
            if one {
                let (path, bytes) = &files[0];
                return Info::of_file(&path.replace('/', " "), *bytes, &hashes(*bytes)).ok();
            }
            let files = files.iter().map(|(path, bytes)| (path.as_str(), *bytes));
            Info::of_files("album", files, &hashes(bytes)).ok()
        },
    )
}

fn any_address() -> impl Strategy<Value = HostPort> {
    let host = prop_oneof![
        "[a-z0-9.-]{1,20}",
        any::<std::net::Ipv4Addr>().prop_map(|host| host.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|host| host.to_string()),
    ];
    (host, 1..=u16::MAX).prop_map(|(host, port)| HostPort::new(&host, port).unwrap())
}

fn any_metainfo() -> impl Strategy<Value = Metainfo> {
    let text = || option::of(".{1,10}");
    (
        any_info(),
        text(),
        vec(vec(".{1,10}", 1..3), 0..3),
        vec(any_address(), 0..3),
        vec(".{1,10}", 0..3),
        text(),
        text(),
        option::of(any::<i64>()),
    )
        .prop_map(
            |(info, announce, announce_list, nodes, url_list, comment, created_by, date)| {
                Metainfo {
                    info,
                    announce,
                    announce_list,
                    nodes,
                    url_list,
                    comment,
                    created_by,
                    creation_date_s: date,
                }
            },
        )
}

fn any_magnet() -> impl Strategy<Value = Magnet> {
    (
        any::<[u8; 20]>().prop_map(InfoHash::from_bytes),
        option::of("\\PC{1,20}"),
        vec("\\PC{1,20}", 0..3),
        vec("\\PC{1,20}", 0..3),
        vec(any_address(), 0..3),
    )
        .prop_map(|(infohash, name, trackers, web_seeds, peers)| Magnet {
            infohash,
            name,
            trackers,
            web_seeds,
            peers,
        })
}

/// Bytes with some replaced, left out or put in.
fn mutate(mut bytes: Vec<u8>, changes: &[(u8, Index, u8)]) -> Vec<u8> {
    for (kind, place, byte) in changes {
        let at = place.index(bytes.len() + 1);
        match kind % 3 {
            0 => bytes.insert(at, *byte),
            _ if at == bytes.len() => bytes.truncate(at / 2),
            1 => bytes[at] = *byte,
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(u8, Index, u8)>> {
    let byte = prop_oneof![
        prop::sample::select(&b"0123456789:ilde-./%&="[..]),
        any::<u8>()
    ];
    vec((any::<u8>(), any::<Index>(), byte), 1..4)
}

/// What holds for whatever is read.
fn check(info: &Info) {
    assert_eq!(info.infohash(), InfoHash::of(info.encoded()));
    assert_eq!(Info::decode(info.encoded()).as_ref(), Ok(info));
    let count = info.pieces().len();
    assert!(1 <= count && count as u64 <= MAX_PIECES);
    assert_eq!(info.piece_range(0).unwrap().start, 0);
    assert_eq!(
        info.piece_range(count - 1).unwrap().end,
        info.length_bytes()
    );
    assert_eq!(info.piece_range(count), None);
    let mut end = 0;
    for file in info.files() {
        assert_eq!(file.range().start, end);
        end = file.range().end;
        for part in file.path().split('/') {
            assert!(!["", ".", ".."].contains(&part));
        }
    }
    assert_eq!(end, info.length_bytes());
}

proptest! {
    #[test]
    fn values_are_read_as_written(tree in any_tree()) {
        let bytes = tree.item().encode();
        let value = decode(&bytes).unwrap();
        prop_assert_eq!(again(value, &bytes).encode(), &bytes[..]);
        prop_assert_eq!(again(value, &bytes), tree.item());
    }

    #[test]
    fn whatever_is_read_is_canonical(tree in any_tree(), changes in changes()) {
        let bytes = mutate(tree.item().encode(), &changes);
        if let Ok(value) = decode(&bytes) {
            prop_assert_eq!(again(value, &bytes).encode(), bytes);
        }
    }

    #[test]
    fn files_are_read_as_written(metainfo in any_metainfo()) {
        check(&metainfo.info);
        prop_assert_eq!(Metainfo::decode(&metainfo.encode()), Ok(metainfo));
    }

    #[test]
    fn changed_files_are_refused_or_read(metainfo in any_metainfo(), changes in changes()) {
        let bytes = mutate(metainfo.encode(), &changes);
        if let Ok(read) = Metainfo::decode(&bytes) {
            check(&read.info);
            let same = read.info.infohash() == metainfo.info.infohash();
            prop_assert_eq!(same, read.info == metainfo.info);
            prop_assert_eq!(Metainfo::decode(&read.encode()), Ok(read));
        }
        if let Ok(info) = Info::decode(&mutate(metainfo.info.encoded().to_vec(), &changes)) {
            check(&info);
        }
    }

    #[test]
    fn links_are_read_as_written(magnet in any_magnet()) {
        prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }

    #[test]
    fn changed_links_are_refused_or_read(magnet in any_magnet(), changes in changes()) {
        let bytes = mutate(magnet.to_string().into_bytes(), &changes);
        if let Ok(read) = String::from_utf8_lossy(&bytes).parse::<Magnet>() {
            prop_assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn anything_may_be_given(bytes in vec(any::<u8>(), 0..200), text in ".{0,100}") {
        decode(&bytes).ok();
        Metainfo::decode(&bytes).ok();
        Info::decode(&bytes).ok();
        text.parse::<Magnet>().ok();
        format!("magnet:?{text}").parse::<Magnet>().ok();
    }
}
