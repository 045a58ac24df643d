use std::collections::BTreeMap;

use super::{album, file, info};
use crate::{
    Info, MAX_LENGTH_BYTES, MAX_METAINFO_BYTES, MAX_PATH_BYTES, MAX_PIECE_BYTES, MAX_PIECES,
    Metainfo, MetainfoFault, PathFault,
    bencode::{BencodeFault, Item, decode},
};

#[track_caller]
fn refused(bytes: &[u8], fault: MetainfoFault) {
    assert_eq!(Info::decode(bytes), Err(fault), "{}", bytes.escape_ascii());
}

/// Where the value of a field starts in an info dictionary.
#[track_caller]
fn place(bytes: &[u8], field: &str) -> usize {
    decode(bytes)
        .unwrap()
        .get(field.as_bytes())
        .unwrap()
        .span()
        .start
}

fn number(value: u64) -> Item<'static> {
    Item::Integer(value.try_into().unwrap())
}

#[test]
fn what_is_missing_is_named() {
    for field in ["length", "name", "piece length", "pieces"] {
        refused(&info(&[], &[field]), MetainfoFault::Missing { field });
    }
    let lengthless = Item::dict([("path", Item::List(vec!["a".into()]))]);
    refused(
        &album(vec![lengthless]),
        MetainfoFault::Missing { field: "length" },
    );
    let pathless = Item::dict([("length", Item::Integer(3))]);
    refused(
        &album(vec![pathless]),
        MetainfoFault::Missing { field: "path" },
    );
    let fault = MetainfoFault::Missing { field: "info" };
    assert_eq!(Metainfo::decode(b"d8:announce1:ae"), Err(fault));
}

#[test]
fn types_are_checked() {
    for (field, expected, value) in [
        ("length", "number", "3".into()),
        ("name", "byte string", Item::Integer(1)),
        ("piece length", "number", "2".into()),
        ("pieces", "byte string", Item::List(Vec::new())),
        ("private", "number", "1".into()),
    ] {
        let bytes = info(&[(field, value)], &[]);
        let at = place(&bytes, field);
        refused(
            &bytes,
            MetainfoFault::Type {
                field,
                expected,
                at,
            },
        );
    }
    let bytes = info(&[("files", Item::Integer(1))], &["length"]);
    let fault = |field, expected, at| MetainfoFault::Type {
        field,
        expected,
        at,
    };
    refused(&bytes, fault("files", "list", place(&bytes, "files")));
    let bytes = album(vec![Item::Integer(1)]);
    refused(
        &bytes,
        fault("file", "dictionary", place(&bytes, "files") + 1),
    );
    for path in ["a".into(), Item::List(vec![Item::Integer(1)])] {
        let bytes = album(vec![Item::dict([
            ("length", Item::Integer(3)),
            ("path", path),
        ])]);
        let Err(MetainfoFault::Type {
            field, expected, ..
        }) = Info::decode(&bytes)
        else {
            panic!("{}", bytes.escape_ascii());
        };
        assert_eq!((field, expected), ("path", "list of byte strings"));
    }
    refused(b"le", fault("info", "dictionary", 0));
    let outer = Metainfo::decode(b"i1e");
    assert_eq!(outer, Err(fault("the file", "dictionary", 0)));
    let inner = Metainfo::decode(b"d4:infoi1ee");
    assert_eq!(inner, Err(fault("info", "dictionary", 7)));
}

#[test]
fn impossible_numbers_are_refused() {
    for found in [
        0,
        -1,
        i64::from(MAX_PIECE_BYTES) + 1,
        i64::MIN,
        i64::MAX,
        1 << 32,
    ] {
        let bytes = info(&[("piece length", Item::Integer(found))], &[]);
        refused(&bytes, MetainfoFault::PieceLength { found });
    }
    for length in [-1, i64::MIN, i64::MAX, 1 + (1 << 50)] {
        let bytes = info(&[("length", Item::Integer(length))], &[]);
        let at = place(&bytes, "length");
        refused(&bytes, MetainfoFault::Length { at });
        assert!(matches!(
            Info::decode(&album(vec![file(&["a"], 1), file(&["b"], length)])),
            Err(MetainfoFault::Length { .. })
        ));
    }
    let half = (MAX_LENGTH_BYTES / 2 + 1).try_into().unwrap();
    assert!(matches!(
        Info::decode(&album(vec![file(&["a"], half), file(&["b"], half)])),
        Err(MetainfoFault::Length { .. })
    ));
    let most = [
        ("length", number(MAX_LENGTH_BYTES)),
        ("piece length", Item::Integer(1 << 20)),
    ];
    let count = MAX_LENGTH_BYTES >> 20;
    refused(&info(&most, &[]), MetainfoFault::TooManyPieces { count });
    let many = [("length", number(2 * MAX_PIECES + 1))];
    let count = MAX_PIECES + 1;
    refused(&info(&many, &[]), MetainfoFault::TooManyPieces { count });
    let fault = MetainfoFault::Length { at: 0 };
    assert_eq!(Info::of_file("a", u64::MAX, &[]), Err(fault));
}

#[test]
fn hashes_fit_the_length() {
    let hashes = [7; 80];
    for length in [1, 39, 41, 59] {
        let bytes = info(&[("pieces", Item::Bytes(&hashes[..length]))], &[]);
        refused(&bytes, MetainfoFault::PieceHashes { length });
    }
    for found in [0, 1, 3, 4] {
        let bytes = info(&[("pieces", Item::Bytes(&hashes[..20 * found]))], &[]);
        let found = found as u64;
        refused(&bytes, MetainfoFault::PieceCount { expected: 2, found });
    }
    // no hash of nothing where the last piece is full
    let full = |count: usize| {
        info(
            &[
                ("length", Item::Integer(4)),
                ("pieces", Item::Bytes(&hashes[..20 * count])),
            ],
            &[],
        )
    };
    assert!(Info::decode(&full(2)).is_ok());
    refused(
        &full(3),
        MetainfoFault::PieceCount {
            expected: 2,
            found: 3,
        },
    );
}

#[test]
fn there_is_content_of_one_shape() {
    let both = info(&[("files", Item::List(vec![file(&["a"], 3)]))], &[]);
    refused(&both, MetainfoFault::LengthAndFiles);
    let empty = info(&[("length", Item::Integer(0)), ("pieces", "".into())], &[]);
    refused(&empty, MetainfoFault::Empty);
    refused(&album(Vec::new()), MetainfoFault::Empty);
    refused(&album(vec![file(&["a"], 0)]), MetainfoFault::Empty);
    assert_eq!(Info::of_file("a", 0, &[]), Err(MetainfoFault::Empty));
    assert_eq!(Info::of_files("a", [], &[]), Err(MetainfoFault::Empty));
}

#[test]
fn the_second_version_alone_is_refused() {
    let leaf = Item::dict([("", Item::dict([("length", Item::Integer(3))]))]);
    let tree = ("file tree", Item::dict([("a", leaf)]));
    let version = ("meta version", Item::Integer(2));
    let first = ["length", "pieces"];
    refused(
        &info(&[tree.clone(), version.clone()], &first),
        MetainfoFault::V2Only,
    );
    refused(
        &info(std::slice::from_ref(&version), &first),
        MetainfoFault::V2Only,
    );
    // both are read as the first
    let hybrid = Info::decode(&info(&[tree, version], &[])).unwrap();
    assert_eq!(hybrid.length_bytes(), 3);
}

#[test]
fn paths_stay_inside() {
    let long = "a".repeat(MAX_PATH_BYTES + 1);
    for (part, fault) in [
        ("", PathFault::Empty),
        (".", PathFault::Dots),
        ("..", PathFault::Dots),
        ("/etc", PathFault::Separator),
        ("a/b", PathFault::Separator),
        ("a/", PathFault::Separator),
        ("..\\a", PathFault::Separator),
        ("C:\\a", PathFault::Separator),
        ("a\0b", PathFault::Nul),
        (&long, PathFault::TooLong),
    ] {
        let bytes = info(&[("name", part.into())], &[]);
        let at = place(&bytes, "name");
        refused(&bytes, MetainfoFault::Path { fault, at });
        let paths = [
            vec![part],
            vec!["a", part],
            vec![part, "a"],
            vec!["a", part, "b"],
        ];
        for path in paths {
            let found = Info::decode(&album(vec![file(&["z"], 1), file(&path, 2)]));
            assert!(
                matches!(found, Err(MetainfoFault::Path { fault: found, .. }) if found == fault),
                "{path:?}"
            );
        }
    }
    let half = &long[..MAX_PATH_BYTES / 2];
    for (path, fault) in [
        (vec![], PathFault::Empty),
        (vec![half, half], PathFault::TooLong),
    ] {
        let bytes = album(vec![file(&path, 3)]);
        let at = place(&bytes, "files") + b"ld6:lengthi3e4:path".len();
        refused(&bytes, MetainfoFault::Path { fault, at });
    }
    for fine in ["...", ".a", "a.", " ", "a:b", "ü", "-", "con"] {
        assert!(Info::decode(&info(&[("name", fine.into())], &[])).is_ok());
        assert!(Info::decode(&album(vec![file(&[fine], 3)])).is_ok());
    }
}

#[test]
fn paths_are_those_of_one_file() {
    let table: [(&[&[&str]], Option<PathFault>); 9] = [
        (&[&["a"], &["b"], &["c"]], None),
        (&[&["a"], &["A"]], None),
        (&[&["a", "b"], &["a", "c"], &["b"]], None),
        (&[&["a-"], &["a", "b"], &["a.b"]], None),
        (&[&["a"], &["b"], &["a"]], Some(PathFault::Repeated)),
        (
            &[&["a", "b"], &["c"], &["a", "b"]],
            Some(PathFault::Repeated),
        ),
        (&[&["a"], &["a", "b"]], Some(PathFault::InFile)),
        (
            &[&["a", "b", "c"], &["a-"], &["a"]],
            Some(PathFault::InFile),
        ),
        (
            &[&["a", "b"], &["a", "b.c"], &["a", "b", "c", "d"]],
            Some(PathFault::InFile),
        ),
    ];
    for (paths, fault) in table {
        let files = paths.iter().enumerate();
        let files = files.map(|(number, path)| file(path, if number == 0 { 3 } else { 0 }));
        let found = match Info::decode(&album(files.collect())) {
            Ok(_) => None,
            Err(MetainfoFault::Path { fault, .. }) => Some(fault),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, fault, "{paths:?}");
    }
    let twice = Info::of_files("a", [("b/c", 1), ("b/c", 1)], &[[7; 20]]);
    assert!(matches!(twice, Err(MetainfoFault::Path { .. })));
    for path in ["", "/a", "a/", "a//b", "../a", "a/./b"] {
        let made = Info::of_files("a", [(path, 1)], &[[7; 20]]);
        assert!(matches!(made, Err(MetainfoFault::Path { .. })), "{path}");
    }
}

#[test]
fn other_encodings_need_a_twin() {
    let latin = Item::Bytes(b"\xfc");
    let bytes = info(&[("name", latin.clone())], &[]);
    let fault = PathFault::NotUtf8;
    let at = place(&bytes, "name");
    refused(&bytes, MetainfoFault::Path { fault, at });
    let bad_twin = info(
        &[("name", latin.clone()), ("name.utf-8", latin.clone())],
        &[],
    );
    refused(&bad_twin, MetainfoFault::Path { fault, at });
    let one = |twin: Option<Item<'static>>| {
        let mut entries = BTreeMap::from([
            (&b"length"[..], Item::Integer(3)),
            (b"path", Item::List(vec!["a".into(), latin.clone()])),
        ]);
        entries.extend(twin.map(|twin| (&b"path.utf-8"[..], twin)));
        album(vec![Item::Dict(entries)])
    };
    for twin in [
        None,
        Some("a".into()),
        Some(Item::List(vec!["a".into(), latin.clone()])),
        Some(Item::List(vec![Item::Integer(1)])),
    ] {
        let found = Info::decode(&one(twin));
        assert!(
            matches!(
                found,
                Err(MetainfoFault::Path {
                    fault: PathFault::NotUtf8,
                    ..
                })
            ),
            "{found:?}"
        );
    }
    let evil = Info::decode(&one(Some(Item::List(vec!["..".into()]))));
    assert!(matches!(
        evil,
        Err(MetainfoFault::Path {
            fault: PathFault::Dots,
            ..
        })
    ));
    let empty = Info::decode(&one(Some(Item::List(Vec::new()))));
    assert!(matches!(
        empty,
        Err(MetainfoFault::Path {
            fault: PathFault::Empty,
            ..
        })
    ));
}

#[test]
fn large_files_are_not_looked_at() {
    let large = vec![b'l'; MAX_METAINFO_BYTES + 1];
    let fault = MetainfoFault::TooLarge {
        size_bytes: large.len(),
    };
    assert_eq!(Metainfo::decode(&large), Err(fault.clone()));
    assert_eq!(Info::decode(&large), Err(fault));
    let fits = BencodeFault::TooDeep {
        at: crate::bencode::MAX_NESTING,
    };
    assert_eq!(Metainfo::decode(&large[1..]), Err(fits.into()));
}

#[test]
fn only_canonical_files_are_read() {
    let info = info(&[], &[]);
    let file = [b"d4:info", &info[..], b"e"].concat();
    assert!(Metainfo::decode(&file).is_ok());
    let at = file.len();
    let trailing = [&file[..], b"\n"].concat();
    let fault = BencodeFault::Trailing { at };
    assert_eq!(Metainfo::decode(&trailing), Err(fault.into()));
    let unsorted = [b"d4:info", &info[..], b"8:announce1:ae"].concat();
    let fault = BencodeFault::KeyOrder { at: at - 1 };
    assert_eq!(Metainfo::decode(&unsorted), Err(fault.into()));
}
