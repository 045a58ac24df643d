#![allow(clippy::unwrap_used)]

use cid::Cid;

use super::*;

fn read(text: &[u8]) -> (List, Faults) {
    let mut reader = ListReader::new();
    reader.push(text);
    reader.finish()
}

/// Whether a path `CID/segments` is denied; none when no rule is about it.
fn says(list: &List, path: &str) -> Option<bool> {
    let mut segments = path.split('/').map(str::to_owned);
    let cid: Cid = segments.next().unwrap().parse().unwrap();
    let functions: Vec<u64> = list.functions().collect();
    let asked = Asked::new(&cid, &segments.collect::<Vec<_>>(), &functions);
    let verdict = list.verdict(std::slice::from_ref(&asked))?;
    Some(verdict != Verdict::Allow)
}

/// The cases that the format's own description names, in one list.
const LIST: &str = "version: 1
name: \"A list\"
hints:
  reason: by%20court
  other: x
---
# a hash, whatever CID it is in
/ipfs/bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq reason:first
/ipfs/QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/*
/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test*
/ipfs/QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test/*
/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked*
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blockednot
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/not
+/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/exceptions*
/ipns/domain.example
//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7
//3f8b9febd851873b3774b937cce126910699ceac56e72e64b866f8e258d09572
//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM
//gW813G35CnLsy7gRYYHuf63hrz71U1xoLFDVeV7actx6oX
//QmbK7LDv5NNBvYQzNfm2eED17SNLt1yNMapcUhSuNLgkqz
";

#[test]
fn rules_match_what_the_format_says_they_match() {
    let (list, faults) = read(LIST.as_bytes());
    assert_eq!(faults, Faults::default());
    assert_eq!(list.rules(), 14);
    let tree = "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK";
    let old = "bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e";
    let blake3 = "f01701e20903cf61d46521b05f926ba1634628d0bba8a7ffb5b6d5a3ca310682ca63b5ef0";
    for (path, denied) in [
        // by hash: dag-pb, raw and CIDv0
        (
            "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq".into(),
            Some(true),
        ),
        (
            "bafkreihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq".into(),
            Some(true),
        ),
        (
            "QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo".into(),
            Some(true),
        ),
        (
            "QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo/sub".into(),
            None,
        ),
        // by hash and everything below
        (
            "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8".into(),
            Some(true),
        ),
        (
            "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/a/b".into(),
            Some(true),
        ),
        (
            "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/z/".into(),
            Some(true),
        ),
        // by the beginning of a path
        (
            "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test2".into(),
            Some(true),
        ),
        (
            "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2".into(),
            None,
        ),
        (
            "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test/one".into(),
            Some(true),
        ),
        (
            "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/one/test".into(),
            None,
        ),
        // the last rule wins
        (format!("{tree}/blocked2"), Some(true)),
        (format!("{tree}/blockednot"), Some(false)),
        (format!("{tree}/blocked/not"), Some(false)),
        (format!("{tree}/blocked/exceptions/one"), Some(false)),
        (format!("{tree}/blocked/other"), Some(true)),
        // double hashes, old: of CID and path
        (old.to_owned(), Some(true)),
        (old.replacen("bafybei", "bafkrei", 1), Some(true)),
        (format!("{old}/path"), Some(true)),
        (format!("{old}/path2"), None),
        // double hashes, by SHA-256 and by BLAKE3: of multihash and path
        (
            "bafybeidjwik6im54nrpfg7osdvmx7zojl5oaxqel5cmsz46iuelwf5acja".into(),
            Some(true),
        ),
        (
            "QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR".into(),
            Some(true),
        ),
        (format!("{blake3}/path"), Some(true)),
        (format!("{blake3}/path2"), None),
        (blake3.to_owned(), None),
        // nothing is said of the empty raw block
        ("bafkqaaa".into(), None),
    ] {
        assert_eq!(says(&list, &path), denied, "{path}");
    }
}

#[test]
fn the_reason_is_the_rules_own_or_the_lists() {
    let (list, _) = read(LIST.as_bytes());
    let reason = |cid: &str| {
        let cid: Cid = cid.parse().unwrap();
        match list.verdict(&[Asked::new(&cid, &[], &[])]) {
            Some(Verdict::Deny(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let first = reason("QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo");
    assert_eq!(first.as_deref(), Some("first"));
    let second = reason("QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8");
    assert_eq!(second.as_deref(), Some("by court"));
}

#[test]
fn a_list_is_the_same_however_its_bytes_come() {
    let without_header = LIST.split_once("---\n").unwrap().1;
    for text in [LIST, without_header, without_header.trim_end()] {
        for size in [1, 2, 7, 64, 1000] {
            let mut reader = ListReader::new();
            for part in text.as_bytes().chunks(size) {
                assert!(reader.push(part));
            }
            let (list, faults) = reader.finish();
            assert_eq!((list.rules(), &faults), (14, &Faults::default()), "{size}");
            let last = "f01701e20903cf61d46521b05f926ba1634628d0bba8a7ffb5b6d5a3ca310682ca63b5ef0";
            assert_eq!(says(&list, &format!("{last}/path")), Some(true), "{size}");
        }
    }
}

#[test]
fn a_later_denial_outweighs_an_earlier_exception() {
    let cid = "QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo";
    for (text, denied) in [
        (format!("!/ipfs/{cid}\n/ipfs/{cid}\n"), true),
        (format!("/ipfs/{cid}\n!/ipfs/{cid}/*\n"), false),
        (format!("/ipfs/{cid}/*\n!/ipfs/{cid}\n/ipfs/{cid}/*"), true),
    ] {
        assert_eq!(says(&read(text.as_bytes()).0, cid), Some(denied), "{text}");
    }
}

#[test]
fn wrong_lines_are_passed_over_and_named() {
    let cid = "QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo";
    let mut text = b"version: 1\n---\nnonsense\n# fine\n/ipfs/nothing\n".to_vec();
    text.extend(vec![b'x'; MAX_LINE_BYTES]);
    text.extend(b"\n\r\n\xff\n");
    text.extend(format!("/ipfs/{cid}").bytes());
    let (list, faults) = read(&text);
    let lines: Vec<u64> = faults.lines.iter().map(|(line, _)| *line).collect();
    assert_eq!((lines, faults.count), (vec![3, 5, 6, 8], 4));
    assert_eq!(faults.lines[2].1, LineFault::TooLong(MAX_LINE_BYTES));
    assert_eq!(says(&list, cid), Some(true));
}

#[test]
fn faulty_lines_without_end_cost_little() {
    let (_, faults) = read("nonsense\n".repeat(10_000).as_bytes());
    assert_eq!((faults.lines.len(), faults.count), (FAULTS, 10_000));
    let mut reader = ListReader::new();
    for _ in 0..20 {
        reader.push(&vec![b'x'; 1 << 20]);
        assert!(reader.held.capacity() <= 2 * MAX_LINE_BYTES);
    }
    assert_eq!(reader.finish().1.count, 0);
}

#[test]
fn a_header_that_means_nothing_refuses_the_list() {
    for (header, why) in [
        ("version: 2\n", "version 2"),
        ("version: \"7\"\n", "version 7"),
        ("just words\n", "no `key: value`"),
        (
            "/ipfs/QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo a:b\n",
            "no field",
        ),
    ] {
        let text = format!("{header}---\n/ipfs/bafkqaaa\n");
        let (list, faults) = read(text.as_bytes());
        assert_eq!(list.rules(), 0, "{header}");
        let said = faults.header.unwrap_or_default();
        assert!(said.contains(why), "{header}: {said}");
    }
    for header in [
        "",
        "# words\n",
        "custom: {a: b}\nhints:\n  - reason: x\nname: y\n",
    ] {
        let (list, faults) = read(format!("{header}---\n/ipfs/bafkqaaa\n").as_bytes());
        assert_eq!((list.rules(), faults.header), (1, None), "{header}");
    }
}

#[test]
fn a_header_over_the_limit_is_read_as_rules() {
    let mut text = "x".repeat(MAX_HEADER_BYTES);
    text.push_str("\n---\n/ipfs/bafkqaaa\n");
    let (list, faults) = read(text.as_bytes());
    let lines: Vec<u64> = faults.lines.iter().map(|(line, _)| *line).collect();
    assert_eq!((list.rules(), lines), (1, vec![1, 2]));
}

/// One of the lists above, changed in a few places; the same in every run.
#[test]
fn lists_survive_mutation() {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let mut dice = StdRng::seed_from_u64(383);
    for _ in 0..2_000 {
        let mut text = LIST.as_bytes().to_vec();
        for _ in 0..dice.random_range(1..=6) {
            let at = dice.random_range(0..text.len());
            match dice.random_range(0..4) {
                0 => text[at] = dice.random(),
                1 => text[at] = b"/*!#%\n- :"[dice.random_range(0..9)],
                2 => text.insert(at, dice.random()),
                _ => drop(text.remove(at)),
            }
        }
        let (whole, faults) = read(&text);
        let mut reader = ListReader::new();
        for part in text.chunks(dice.random_range(1..200)) {
            reader.push(part);
        }
        let (parts, same) = reader.finish();
        assert_eq!((whole.rules(), faults), (parts.rules(), same));
    }
}
