//! Torrents as other programs make them, and ours. Hashes were computed apart, with Python's hashlib.

use super::{album, file, info};
use crate::{
    FileRole, HostPort, Info, InfoHash, Magnet, Metainfo, PieceHash, PieceHasher,
    bencode::{Item, decode},
};

const MIB: u64 = 1 << 20;

/// Pieces of bytes that count up to 250, again and again.
fn pieces(length: u64) -> Vec<PieceHash> {
    let round: Vec<u8> = (0..251).collect();
    let mut hasher = PieceHasher::new();
    let mut left = usize::try_from(length).unwrap();
    while left > 0 {
        let slice = &round[..left.min(round.len())];
        hasher.push(slice);
        left -= slice.len();
    }
    hasher.finish()
}

fn hash(text: &str) -> InfoHash {
    text.parse().unwrap()
}

#[test]
fn a_file_has_its_known_name() {
    for (length, name) in [
        (1, "f9a10791f0ad580384ff61eefba7db28c43e1998"),
        (MIB, "5a78ffad30706b1ce00d8fe2534f5441898c47e4"),
        (2 * MIB, "9480743e2cc8f4140d514ee0bc99ba816ad16197"),
        (5 * MIB / 2, "b025573abafafb09d2aa2ec3e4619c3606e2deb9"),
    ] {
        let pieces = pieces(length);
        let info = Info::of_file("blob.mp4", length, &pieces).unwrap();
        assert_eq!(info.infohash(), hash(name), "{length} bytes");
        assert_eq!((info.name(), info.length_bytes()), ("blob.mp4", length));
        assert_eq!(
            (u64::from(info.piece_bytes()), info.pieces()),
            (MIB, &pieces[..])
        );
        assert!(!info.is_album() && !info.is_private());
        let [only] = info.files() else {
            panic!("{:?}", info.files());
        };
        assert_eq!((only.path(), only.range()), ("blob.mp4", 0..length));
        assert_eq!(only.role(), FileRole::Content);
    }
    let small = Info::of_file("blob.mp4", 1, &pieces(1)).unwrap();
    let [hash] = pieces(1)[..] else { panic!() };
    let head = b"d6:lengthi1e4:name8:blob.mp412:piece lengthi1048576e6:pieces20:";
    assert_eq!(small.encoded(), [&head[..], &hash, b"e"].concat());
}

#[test]
fn an_album_has_its_known_name() {
    let length = 5 * MIB / 2;
    let files = [
        ("b/two.flac", MIB),
        ("b/empty", 0),
        ("a.flac", length - MIB),
    ];
    let info = Info::of_files("album", files, &pieces(length)).unwrap();
    assert_eq!(
        info.infohash(),
        hash("8d1514300de96c879b87bea9b8ae365643304848")
    );
    assert!(info.is_album());
    let found: Vec<_> = info
        .files()
        .iter()
        .map(|file| (file.path(), file.length_bytes()))
        .collect();
    assert_eq!(found, files, "in the given order");
    assert_eq!(info.files()[2].range(), MIB..length);
    assert_eq!(info.piece_range(2), Some(2 * MIB..length));
    assert_eq!(
        (info.piece_range(3), info.piece_range(usize::MAX)),
        (None, None)
    );
    // one file can be an album
    let single = Info::of_files("album", [("a", 1)], &pieces(1)).unwrap();
    assert!(single.is_album());
}

#[test]
fn a_file_with_all_hints_is_read_and_written() {
    let info = Info::of_file("blob.mp4", 1, &pieces(1)).unwrap();
    let urls = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
    let metainfo = Metainfo {
        announce: Some("udp://tracker.example:1337/announce".to_owned()),
        announce_list: vec![
            urls(&["udp://tracker.example:1337/announce", "https://a.example/"]),
            urls(&["wss://b.example/"]),
        ],
        nodes: vec![
            HostPort::new("192.0.2.1", 6881).unwrap(),
            HostPort::new("2001:db8::1", 1).unwrap(),
        ],
        url_list: urls(&["https://g.example/blob/blob.mp4"]),
        comment: Some("c".to_owned()),
        created_by: Some("datt".to_owned()),
        creation_date_s: Some(1_700_000_000),
        ..Metainfo::new(info)
    };
    let bytes = metainfo.encode();
    let known = hash("293442fd3268314899073881ddd5df097569aaac");
    assert_eq!(InfoHash::of(&bytes), known, "byte for byte");
    assert_eq!(Metainfo::decode(&bytes), Ok(metainfo.clone()));
    let magnet = Magnet {
        name: Some("blob.mp4".to_owned()),
        trackers: metainfo.announce_list.concat(),
        web_seeds: metainfo.url_list.clone(),
        ..Magnet::new(metainfo.info.infohash())
    };
    assert_eq!(metainfo.magnet(), magnet);
}

#[test]
fn trackers_are_asked_by_tiers() {
    let mut metainfo = Metainfo::new(Info::of_file("a", 1, &[[7; 20]]).unwrap());
    assert_eq!(metainfo.tiers(), Vec::<Vec<String>>::new());
    metainfo.announce = Some("single".to_owned());
    assert_eq!(metainfo.tiers(), [["single"]]);
    metainfo.announce_list = vec![vec!["first".to_owned()], vec!["second".to_owned()]];
    assert_eq!(metainfo.tiers(), [["first"], ["second"]]);
}

#[test]
fn hints_that_are_none_are_passed_over() {
    let info = info(&[], &[]);
    let info = || Item::Value(decode(&info).unwrap());
    let plain = Metainfo::decode(&Item::dict([("info", info())]).encode()).unwrap();
    let list = |item: Item<'static>| Item::List(vec![item]);
    let node = |host: &'static str, port| Item::List(vec![host.into(), Item::Integer(port)]);
    for (field, value) in [
        ("announce", Item::Integer(1)),
        ("announce", "".into()),
        ("announce", Item::Bytes(b"\xff")),
        ("announce-list", Item::Integer(1)),
        ("announce-list", list("udp://flat.example".into())),
        ("announce-list", list(list("".into()))),
        ("comment", Item::Bytes(b"\xff")),
        ("creation date", "today".into()),
        ("nodes", "192.0.2.1:1".into()),
        ("nodes", list("192.0.2.1:1".into())),
        ("nodes", list(node("192.0.2.1", 0))),
        ("nodes", list(node("192.0.2.1", 65536))),
        ("nodes", list(node("", 1))),
        ("nodes", list(list("192.0.2.1".into()))),
        ("url-list", "".into()),
        ("url-list", list(Item::Integer(1))),
        ("unknown", Item::Integer(1)),
    ] {
        let bytes = Item::dict([("info", info()), (field, value)]).encode();
        assert_eq!(Metainfo::decode(&bytes).as_ref(), Ok(&plain), "{field}");
    }
    let read = |field, value| {
        Metainfo::decode(&Item::dict([("info", info()), (field, value)]).encode()).unwrap()
    };
    assert_eq!(
        read("url-list", "https://one.example".into()).url_list,
        ["https://one.example"]
    );
    assert_eq!(
        read("comment.utf-8", "ü".into()).comment.as_deref(),
        Some("ü")
    );
    let many = (0..1100).map(|_| list("udp://t.example".into())).collect();
    let kept: usize = read("announce-list", Item::List(many)).announce_list.len();
    assert_eq!(kept, crate::MAX_ADDRESSES);
}

#[test]
fn the_name_is_that_of_the_bytes_received() {
    let unknown = info(
        &[("source", "club".into()), ("private", Item::Integer(1))],
        &[],
    );
    let outer = [b"d8:announce1:a4:info", &unknown[..], b"e"].concat();
    let metainfo = Metainfo::decode(&outer).unwrap();
    assert_eq!(metainfo.info.encoded(), unknown);
    assert_eq!(metainfo.info.infohash(), InfoHash::of(&unknown));
    assert!(metainfo.info.is_private());
    assert_eq!(metainfo.info.pieces(), [[7; 20]; 2]);
    assert_eq!(metainfo.encode(), outer);
    for (flag, is_private) in [(0, false), (1, true), (2, true)] {
        let read = Info::decode(&info(&[("private", Item::Integer(flag))], &[])).unwrap();
        assert_eq!(read.is_private(), is_private);
    }
}

#[test]
fn names_in_other_encodings_have_twins() {
    let name = Item::Bytes(b"\xc4\xe3");
    let read = Info::decode(&info(
        &[("name", name.clone()), ("name.utf-8", "你".into())],
        &[],
    ));
    assert_eq!(read.unwrap().name(), "你");
    let plain = Info::decode(&info(&[("name.utf-8", "twin".into())], &[]));
    assert_eq!(plain.unwrap().name(), "a", "a twin is not needed");
    let path = |parts: &[Item<'static>]| Item::List(parts.to_vec());
    let one = Item::dict([
        ("length", Item::Integer(3)),
        ("path", path(&["a".into(), name])),
        ("path.utf-8", path(&["b".into(), "你".into()])),
    ]);
    assert_eq!(
        Info::decode(&album(vec![one])).unwrap().files()[0].path(),
        "b/你"
    );
}

#[test]
fn attributes_say_what_files_are_for() {
    let with = |path: &'static str, attr: &'static str, length: Option<i64>| {
        let length = length.map(|length| ("length", Item::Integer(length)));
        let path = Item::List(path.split('/').map(Item::from).collect());
        Item::dict(
            [("attr", attr.into()), ("path", path)]
                .into_iter()
                .chain(length),
        )
    };
    let files = vec![
        with("a", "xh", Some(1)),
        with(".pad/1", "p", Some(1)),
        file(&["b"], 0),
        with(".pad/1", "p", Some(1)),
        with("link", "l", None),
    ];
    let read = Info::decode(&album(files)).unwrap();
    let roles: Vec<_> = read
        .files()
        .iter()
        .map(|file| (file.path(), file.role()))
        .collect();
    let expected = [
        ("a", FileRole::Content),
        (".pad/1", FileRole::Padding),
        ("b", FileRole::Content),
        (".pad/1", FileRole::Padding),
        ("link", FileRole::Symlink),
    ];
    assert_eq!(roles, expected);
    assert_eq!(read.length_bytes(), 3);
}
