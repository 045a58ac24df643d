//! A torrent that is read has possible lengths and harmless paths, keeps its name, and is written so
//! that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use torrent::{Info, InfoHash, MAX_LENGTH_BYTES, MAX_PIECE_BYTES, Metainfo};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(info) = Info::decode(bytes) {
        assert_eq!(info.encoded(), bytes);
        check(&info);
    }
    let Ok(metainfo) = Metainfo::decode(bytes) else {
        return;
    };
    check(&metainfo.info);
    let magnet = metainfo.magnet();
    let read = magnet.to_string().parse();
    assert!(read.is_err() || read == Ok(magnet));
    assert_eq!(Metainfo::decode(&metainfo.encode()), Ok(metainfo));
});

fn check(info: &Info) {
    assert_eq!(info.infohash(), InfoHash::of(info.encoded()));
    assert!((1..=MAX_LENGTH_BYTES).contains(&info.length_bytes()));
    assert!((1..=MAX_PIECE_BYTES).contains(&info.piece_bytes()));
    let count = info.pieces().len();
    let last = info.piece_range(count - 1);
    assert_eq!(last.map(|last| last.end), Some(info.length_bytes()));
    assert_eq!(info.piece_range(count), None);
    let mut end = 0;
    for file in info.files() {
        assert_eq!(file.range().start, end);
        end = file.range().end;
        let mut parts = file.path().split('/');
        assert!(parts.all(|part| !["", ".", ".."].contains(&part) && !part.contains(['\\', '\0'])));
    }
    assert_eq!(end, info.length_bytes());
}
