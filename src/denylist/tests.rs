#![allow(clippy::unwrap_used)]

use tempfile::TempDir;

use super::*;

const ROOT: &str = "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq";
/// The same hash.
const RAW_ROOT: &str = "bafkreihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq";

fn cid(text: &str) -> Cid {
    text.parse().unwrap()
}

fn data() -> (TempDir, DataFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&dir.path().join("data")).unwrap();
    (dir, folder)
}

fn put(folder: &DataFolder, name: &str, text: &str) {
    let lists = folder.path().join(FOLDER);
    fs::create_dir_all(&lists).unwrap();
    fs::write(lists.join(name), text).unwrap();
}

#[test]
fn later_lists_outweigh_earlier_ones_and_the_own_one_all() {
    let (dir, folder) = data();
    let named = dir.path().join("named.deny");
    fs::write(&named, format!("/ipfs/{ROOT} reason:named\n")).unwrap();
    let denylist = Denylist::open(&folder, std::slice::from_ref(&named)).unwrap();
    let says = || {
        denylist
            .check(&cid(RAW_ROOT), &[])
            .map(|denial| denial.list)
    };
    assert_eq!(says().as_deref(), Some("named.deny"));
    for (name, text, list) in [
        ("b.deny", format!("!/ipfs/{ROOT}\n"), None),
        ("a.deny", format!("/ipfs/{ROOT}\n"), None),
        ("z.deny", format!("/ipfs/{RAW_ROOT}\n"), Some("z.deny")),
        ("z.txt", format!("!/ipfs/{RAW_ROOT}\n"), Some("z.deny")),
        ("own.deny", format!("!/ipfs/{ROOT}/*\n"), None),
    ] {
        put(&folder, name, &text);
        assert_eq!(denylist.read_again().unwrap(), name != "z.txt", "{name}");
        assert_eq!(says().as_deref(), list, "{name}");
    }
    assert!(!denylist.read_again().unwrap());
    fs::remove_file(folder.path().join(FOLDER).join("own.deny")).unwrap();
    assert!(denylist.read_again().unwrap());
    assert_eq!(says().as_deref(), Some("z.deny"));
}

#[test]
fn all_names_of_the_same_bytes_are_denied_with_one() {
    let (_dir, folder) = data();
    let denylist = Denylist::open(&folder, &[]).unwrap();
    let blob = BlobId::of(b"bytes");
    denylist.note_twins(&folder, [(cid(ROOT), blob)]).unwrap();
    let denied = |denylist: &Denylist| {
        [
            denylist.check(&cid(RAW_ROOT), &[]).is_some(),
            denylist.check_blob(blob).is_some(),
            denylist.blobs().contains(&blob),
        ]
    };
    assert_eq!(denied(&denylist), [false; 3]);
    denylist.write(&cid(RAW_ROOT), false, Some("a b")).unwrap();
    assert_eq!(denied(&denylist), [true; 3]);
    assert_eq!(denylist.check_blob(blob).unwrap().reason, "a b");
    denylist.write(&blob.to_cid(), true, None).unwrap();
    assert_eq!(denied(&denylist), [false; 3]);
    denylist.write(&blob.to_cid(), false, None).unwrap();
    assert_eq!(denied(&denylist), [true; 3]);
    // and after a restart
    assert_eq!(denied(&Denylist::open(&folder, &[]).unwrap()), [true; 3]);
    let own = denylist.own().unwrap();
    let own: Vec<Cid> = own.into_iter().map(|(cid, _)| cid).collect();
    assert_eq!(own, [cid(RAW_ROOT), blob.to_cid()]);
}

#[test]
fn a_file_is_denied_as_long_as_a_part_of_it_is_and_its_parts_are_not_with_it() {
    let (_dir, folder) = data();
    let denylist = Denylist::open(&folder, &[]).unwrap();
    let blob = BlobId::of(b"bytes");
    let leaf = blocks::dag::name_of(blocks::dag::codec::RAW, b"leaf");
    denylist.note_twins(&folder, [(cid(ROOT), blob)]).unwrap();
    denylist.note_part(&folder, leaf, blob).unwrap();
    let denied = |denylist: &Denylist| {
        [
            denylist.check(&cid(ROOT), &[]).is_some(),
            denylist.check_blob(blob).is_some(),
            denylist.blobs().contains(&blob),
            denylist.check(&leaf, &[]).is_some(),
        ]
    };
    assert_eq!(denied(&denylist), [false; 4]);
    denylist.write(&leaf, false, Some("leaf")).unwrap();
    assert_eq!(denied(&denylist), [true; 4]);
    denylist.write(&cid(ROOT), true, None).unwrap();
    assert_eq!(denied(&denylist), [true; 4]);
    assert_eq!(denied(&Denylist::open(&folder, &[]).unwrap()), [true; 4]);
    denylist.write(&leaf, true, None).unwrap();
    assert_eq!(denied(&denylist), [false; 4]);
    denylist.write(&blob.to_cid(), false, None).unwrap();
    assert_eq!(denied(&denylist), [true, true, true, false]);
}

#[test]
fn below_a_denied_root_only_what_is_allowed_by_name_is_left() {
    let (_dir, folder) = data();
    let text = format!("/ipfs/{ROOT} reason:root\n!/ipfs/{ROOT}/good\n");
    put(&folder, "a.deny", &text);
    let denylist = Denylist::open(&folder, &[]).unwrap();
    let path = |segments: &[&str]| -> Vec<String> {
        segments.iter().map(|&segment| segment.to_owned()).collect()
    };
    for (segments, denied) in [(&[][..], true), (&["bad", "x"], true), (&["good"], false)] {
        let found = denylist.check(&cid(ROOT), &path(segments));
        assert_eq!(found.is_some(), denied, "{segments:?}");
    }
}

#[test]
fn what_is_wrong_with_a_list_is_told_and_the_rest_holds() {
    let (dir, folder) = data();
    let missing = dir.path().join("missing.deny");
    put(&folder, "a.deny", &format!("nonsense\n/ipfs/{ROOT}\n"));
    let denylist = Denylist::open(&folder, std::slice::from_ref(&missing)).unwrap();
    let told: Vec<String> = denylist
        .lists()
        .into_iter()
        .filter_map(|l| l.problem)
        .collect();
    assert!(told[0].contains("missing.deny"), "{told:?}");
    assert!(
        told[1].contains("line 1") && told[1].contains("a.deny"),
        "{told:?}"
    );
    assert!(denylist.check(&cid(ROOT), &[]).is_some());
    assert!(denylist.problems().is_some());
    fs::write(&missing, "").unwrap();
    put(&folder, "a.deny", &format!("/ipfs/{ROOT}\n"));
    assert!(denylist.read_again().unwrap());
    assert_eq!(denylist.problems(), None);
}

#[test]
fn an_own_list_that_was_cut_off_loses_no_new_line() {
    let (_dir, folder) = data();
    put(&folder, "own.deny", "/ipfs/baf");
    let denylist = Denylist::open(&folder, &[]).unwrap();
    denylist.write(&cid(ROOT), false, None).unwrap();
    assert!(denylist.check(&cid(ROOT), &[]).is_some());
}
