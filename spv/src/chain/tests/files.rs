use std::{fs, path::Path};

use bitcoin::block::Header;

use super::{
    super::{
        ChainStore, HeaderChain, HeaderFault, HeaderFile, HeaderFileError, StoreError,
        rules::{Checkpoint, Rules},
    },
    forge::{self, NOW_S},
};
use crate::Network;

const RECORD: usize = 80;

fn open(path: &Path) -> Result<ChainStore, HeaderFileError> {
    ChainStore::open(path, Network::Regtest)
}

/// A file with a chain of five blocks and a branch of one beside it.
fn written(path: &Path) -> Vec<Header> {
    let main = forge::blocks(&forge::genesis(), 5, 0);
    let side = forge::blocks(&main[2], 1, 1);
    let mut store = open(path).unwrap();
    store.accept(&main, NOW_S).unwrap();
    store.accept(&side, NOW_S).unwrap();
    [main, side].concat()
}

#[test]
fn a_chain_comes_back_with_its_branches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain/regtest/headers");
    let headers = written(&path);
    let store = open(&path).unwrap();
    assert_eq!(store.chain().tip().hash, headers[4].block_hash());
    assert_eq!(store.chain().side_tips()[0].hash, headers[5].block_hash());
    assert_eq!((store.file().records(), store.file().cut_bytes()), (6, 0));
    let chain = HeaderFile::read(&path, Network::Regtest).unwrap();
    assert_eq!(chain.tip(), store.chain().tip());
    let nothing = folder.path().join("nothing");
    let chain = HeaderFile::read(&nothing, Network::Regtest).unwrap();
    assert_eq!(chain.tip().height, 0);
    assert!(!nothing.exists());
}

#[test]
fn a_crash_at_any_byte_leaves_the_headers_before_it_and_the_file_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    let headers = written(&path);
    let bytes = fs::read(&path).unwrap();
    for length in 0..=bytes.len() {
        for blank in [0, 1, RECORD, 3 * RECORD + 7] {
            // zeros after the end as often as is worth its syncs
            if blank > 0 && length % 9 != 0 {
                continue;
            }
            let mut crashed = bytes[..length].to_vec();
            crashed.resize(length + blank, 0);
            let same = |at: usize| crashed.get(at..at + RECORD) == bytes.get(at..at + RECORD);
            if !same(0) && crashed.len() > RECORD {
                continue;
            }
            fs::write(&path, &crashed).unwrap();
            let starts = (RECORD..bytes.len()).step_by(RECORD);
            let whole = starts.take_while(|at| same(*at)).count();
            let kept = if same(0) { RECORD + whole * RECORD } else { 0 };
            let read = HeaderFile::read(&path, Network::Regtest).unwrap();
            assert_eq!(fs::read(&path).unwrap(), crashed, "reading changes nothing");
            let mut store = open(&path).unwrap();
            assert_eq!(store.chain().tip(), read.tip());
            let found = (store.file().records(), store.file().cut_bytes());
            let expected = (whole as u64, (crashed.len() - kept) as u64);
            assert_eq!(found, expected, "{length} + {blank}");
            store.accept(&headers, NOW_S).unwrap();
            drop(store);
            assert!(fs::read(&path).unwrap() == bytes, "{length} + {blank}");
        }
    }
}

#[test]
fn foreign_files_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    written(&path);
    let good = fs::read(&path).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let refused = |bytes: &[u8], network: Network| {
        fs::write(&path, bytes).unwrap();
        let error = HeaderFile::open(&path, network).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), bytes, "{error}");
        error
    };
    let error = refused(&good, Network::Bitcoin);
    assert!(matches!(error, HeaderFileError::OtherNetwork { ref found, .. } if found == "regtest"));
    let error = refused(&changed(25, 1), Network::Regtest);
    assert!(matches!(error, HeaderFileError::OtherNetwork { .. }));
    let error = refused(&changed(16, 2), Network::Regtest);
    assert!(matches!(error, HeaderFileError::Newer { version: 2, .. }));
    for bytes in [changed(0, b'D'), changed(16, 0), changed(79, 1)] {
        let error = refused(&bytes, Network::Regtest);
        assert!(matches!(error, HeaderFileError::Foreign(_)));
    }
    let error = refused(b"some notes", Network::Regtest);
    assert!(matches!(error, HeaderFileError::Foreign(_)));
    let error = refused(&[0; 200], Network::Regtest);
    assert!(matches!(error, HeaderFileError::Foreign(_)));
}

#[test]
fn garbage_in_the_middle_is_named_with_a_way_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    written(&path);
    let good = fs::read(&path).unwrap();
    let mut garbage = good.clone();
    garbage[4 * RECORD + 4..4 * RECORD + 36].fill(7);
    let mut hole = good.clone();
    hole[4 * RECORD..5 * RECORD].fill(0);
    let mut late = good;
    late[5 * RECORD + 68..5 * RECORD + 72].fill(0);
    for (bytes, damaged) in [(garbage, 3), (hole, 3), (late, 4)] {
        fs::write(&path, &bytes).unwrap();
        let error = open(&path).unwrap_err();
        assert!(
            matches!(error, HeaderFileError::Damaged { record, at_bytes, .. }
                if record == damaged && at_bytes == (damaged + 1) * RECORD as u64),
            "{error}"
        );
        assert!(error.to_string().contains("fetched again"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn what_comes_before_a_refused_header_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    let mut store = open(&path).unwrap();
    let headers = forge::blocks(&forge::genesis(), 5, 0);
    let batch = [headers[0], headers[1], headers[3]];
    let error = store.accept(&batch, NOW_S).unwrap_err();
    let StoreError::Refused(error) = error else {
        panic!("{error}");
    };
    assert!(matches!(error.fault, HeaderFault::Unconnected(_)));
    assert_eq!(error.kept.tip.height, 2);
    drop(store);
    assert_eq!(open(&path).unwrap().chain().tip(), error.kept.tip);
}

#[test]
fn lost_branches_that_outweigh_the_chain_are_left_out_when_the_file_is_written_anew() {
    let mut rules = Rules::of(Network::Regtest);
    rules.max_side_headers = 30;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    let reopen = || {
        let chain = HeaderChain::with_rules(rules.clone());
        ChainStore::open_onto(&path, chain).unwrap()
    };
    let mut store = reopen();
    let main = forge::blocks(&forge::genesis(), 1_300, 0);
    store.accept(&main, NOW_S).unwrap();
    let (mut before, mut shrunk) = (0, 0);
    for parents in main[..1_299].chunks(50) {
        // two siblings of every block; the higher ones push the lower ones out
        let siblings = |parent| [1, 2].map(|salt| forge::blocks(parent, 1, salt)[0]);
        let batch: Vec<Header> = parents.iter().flat_map(siblings).collect();
        store.accept(&batch, NOW_S).unwrap();
        let records = store.file().records();
        shrunk += usize::from(records < before);
        before = records;
    }
    assert_eq!(shrunk, 1);
    assert_eq!(store.chain().side_headers(), 30);
    let (tip, ends) = (store.chain().tip(), store.chain().side_tips());
    drop(store);
    let mut store = reopen();
    assert_eq!(
        (store.chain().tip(), store.chain().side_tips()),
        (tip, ends)
    );
    store
        .accept(&forge::blocks(&main[1_299], 1, 0), NOW_S)
        .unwrap();
    drop(store);
    assert_eq!(reopen().chain().tip().height, 1_301);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_is_said_and_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner/headers");
    let mut store = open(&path).unwrap();
    let headers = forge::blocks(&forge::genesis(), 6, 0);
    store.accept(&headers[..2], NOW_S).unwrap();
    store.break_for_test();
    let error = store.accept(&headers[..4], NOW_S).unwrap_err();
    let StoreError::Unwritten { change, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(change.connected.len(), 2);
    assert_eq!(open(&path).unwrap().chain().tip().height, 2);
    store.accept(&headers, NOW_S).unwrap();
    assert_eq!(open(&path).unwrap().chain().tip().height, 6);
}

#[test]
fn branches_that_a_checkpoint_has_passed_are_left_out_when_the_file_is_written_anew() {
    let main = forge::blocks(&forge::genesis(), 12, 0);
    let mut rules = Rules::of(Network::Regtest);
    rules.checkpoints = vec![Checkpoint {
        height: 8,
        hash: main[7].block_hash(),
    }];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    let onto = || HeaderChain::with_rules(rules.clone());
    let mut store = ChainStore::open_onto(&path, onto()).unwrap();
    store.accept(&main[..6], NOW_S).unwrap();
    store.accept(&forge::blocks(&main[3], 2, 1), NOW_S).unwrap();
    store.accept(&main[6..10], NOW_S).unwrap();
    let late = forge::blocks(&main[8], 1, 2);
    store.accept(&late, NOW_S).unwrap();
    store.break_for_test();
    store.accept(&main[10..11], NOW_S).unwrap_err();
    store.accept(&main[11..], NOW_S).unwrap();
    assert_eq!(store.file().records(), 12 + 1);
    let tip = store.chain().tip();
    drop(store);
    let store = ChainStore::open_onto(&path, onto()).unwrap();
    assert_eq!(store.chain().tip(), tip);
    assert_eq!(store.chain().side_tips()[0].hash, late[0].block_hash());
}

#[test]
fn a_release_with_narrower_bounds_and_more_checkpoints_still_reads_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    let main = forge::blocks(&forge::genesis(), 30, 0);
    let mut store = open(&path).unwrap();
    store.accept(&main, NOW_S).unwrap();
    for (fork, count) in [(2, 6), (9, 3), (20, 4), (22, 5)] {
        let branch = forge::blocks(&main[fork], count, 1);
        store.accept(&branch, NOW_S).unwrap();
    }
    let tip = store.chain().tip();
    let narrower = |change: fn(&mut Rules)| {
        let mut rules = Rules::of(Network::Regtest);
        change(&mut rules);
        rules
    };
    let mut fixed = narrower(|_| {});
    fixed.checkpoints = vec![Checkpoint {
        height: 11,
        hash: main[10].block_hash(),
    }];
    for (rules, left) in [
        (narrower(|_| {}), 18),
        (narrower(|rules| rules.max_side_headers = 7), 7),
        (narrower(|rules| rules.max_depth = 15), 9),
        (fixed, 9),
    ] {
        let chain = HeaderChain::with_rules(rules);
        let mut store = ChainStore::open_onto(&path, chain).unwrap();
        assert_eq!(store.chain().tip(), tip);
        assert_eq!(store.chain().side_headers(), left);
        store.accept(&main[29..], NOW_S).unwrap();
    }
}
