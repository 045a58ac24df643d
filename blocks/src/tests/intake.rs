//! DAGs of others.

use std::os::unix::fs::MetadataExt;

use bytes::Bytes;
use cid::Cid;
use model::BlobId;

use super::{crashed, noise, open, open_with, read};
use crate::{
    BlobStatus, Blobs, Damaged, IntakeError, Keep, Taken, VerifyProgress,
    dag::{BlockError, BlockFault, Entry, Link, Node, codec, directory, name_of, verify},
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Blocks of a made-up DAG, children first.
pub(super) type Blocks = Vec<(Cid, Bytes)>;

pub(super) fn add(blocks: &mut Blocks, codec: u64, bytes: Bytes) -> Cid {
    let cid = name_of(codec, &bytes);
    blocks.push((cid, bytes));
    cid
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// A UnixFS node of a file: its own bytes, then those of its links.
pub(super) fn node(blocks: &mut Blocks, data: &[u8], links: &[(Cid, u64)]) -> (Cid, u64) {
    let size = data.len() as u64 + links.iter().map(|(_, size)| size).sum::<u64>();
    let mut unixfs = vec![0x08, 2];
    if !data.is_empty() {
        unixfs.push(0x12);
        varint(data.len() as u64, &mut unixfs);
        unixfs.extend_from_slice(data);
    }
    unixfs.push(0x18);
    varint(size, &mut unixfs);
    for (_, size) in links {
        unixfs.push(0x20);
        varint(*size, &mut unixfs);
    }
    let link = |(cid, size): &(Cid, u64)| Link {
        cid: *cid,
        name: String::new(),
        size_bytes: *size,
    };
    let node = Node {
        links: links.iter().map(link).collect(),
        data: Some(unixfs.into()),
    };
    (add(blocks, codec::DAG_PB, node.encode()), size)
}

/// A file cut into pieces, three to a node, with raw leaves or wrapped ones.
pub(super) fn file(blocks: &mut Blocks, bytes: &Bytes, piece: usize, is_raw: bool) -> Cid {
    let mut level: Vec<(Cid, u64)> = Vec::new();
    for piece in bytes.chunks(piece) {
        level.push(if is_raw {
            let cid = add(blocks, codec::RAW, Bytes::copy_from_slice(piece));
            (cid, piece.len() as u64)
        } else {
            node(blocks, piece, &[])
        });
    }
    while level.len() > 1 {
        level = level.chunks(3).map(|few| node(blocks, &[], few)).collect();
    }
    level[0].0
}

pub(super) fn folder(blocks: &mut Blocks, entries: &[(&str, Cid)]) -> Cid {
    let entries = entries.iter().map(|(name, cid)| Entry {
        name: (*name).to_owned(),
        cid: *cid,
        dag_bytes: 0,
    });
    let root = directory(entries.collect(), &mut |cid, bytes| {
        blocks.push((cid, bytes));
    });
    root.unwrap().cid
}

pub(super) async fn take(blobs: &Blobs, root: Cid, blocks: &Blocks) -> Taken {
    let mut intake = blobs.intake(root).await.unwrap();
    for (cid, bytes) in blocks {
        intake.put(cid, bytes.clone()).await.unwrap();
    }
    intake.finish(&[root]).await.unwrap()
}

pub(super) async fn assert_held(blobs: &Blobs, blocks: &Blocks) {
    for (cid, bytes) in blocks {
        assert!(blobs.has_block(cid).await.unwrap());
        let block = blobs.block(cid).await.unwrap();
        verify(cid, &block).unwrap();
        assert!(block == bytes);
    }
}

pub(super) async fn assert_gone(blobs: &Blobs, blocks: &Blocks) {
    for (cid, _) in blocks {
        assert!(!blobs.has_block(cid).await.unwrap());
        let found = blobs.block(cid).await;
        assert!(matches!(found, Err(BlockError::NotHeld(_))), "{found:?}");
    }
}

fn packs(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir.join("blobs/packs")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn files_become_blobs_and_everything_survives_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let (old, new) = (noise("old", 2 * MIB + 5), noise("new", MIB + 1));
    let (single, small) = (noise("single", 300 * KIB), noise("small", 1000));
    let wanted = [
        (file(&mut blocks, &old, 256 * KIB, false), &old),
        (file(&mut blocks, &new, MIB, true), &new),
        (file(&mut blocks, &single, MIB, true), &single),
    ];
    let small = file(&mut blocks, &small, MIB, true);
    let inner = folder(&mut blocks, &[("new", wanted[1].0), ("small", small)]);
    let entries = [
        ("old", wanted[0].0),
        ("dir", inner),
        ("single", wanted[2].0),
        ("again", wanted[0].0),
    ];
    let root = folder(&mut blocks, &entries);
    let taken = take(&blobs, root, &blocks).await;
    assert_eq!((taken.blocks, taken.missing), (blocks.len() as u64, 0));
    assert_eq!(taken.files.len(), 3);
    let left = crashed(dir.path());
    for (dir, blobs) in [(&dir, blobs), (&left, open(left.path()).await)] {
        for (cid, bytes) in wanted {
            let at = blobs.file(&cid).await.unwrap().unwrap();
            assert_eq!(at.blob, BlobId::of(bytes));
            assert!(taken.files.contains(&(cid, at.blob, bytes.len() as u64)));
            assert!(read(&blobs, at.blob).await == *bytes);
            assert_eq!(blobs.kept().await.unwrap()[&at.blob], [Keep::pin(root)]);
        }
        assert_held(&blobs, &blocks).await;
        assert_eq!(packs(dir.path()).len(), 0);
        let held = blobs.dags().await.unwrap();
        let bytes = blocks.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!((held.len(), held[0].root, held[0].bytes), (1, root, bytes));
        assert!(held[0].at_ms > 0);
        blobs.collect().await.unwrap();
        assert_held(&blobs, &blocks).await;
        assert!(blobs.remove_dag(&root).await.unwrap());
        assert!(!blobs.remove_dag(&root).await.unwrap());
        assert_gone(&blobs, &blocks).await;
        assert_eq!(blobs.list().await.unwrap(), []);
        assert_eq!(blobs.dags().await.unwrap(), []);
        assert_eq!(blobs.quota().usage().reserved_bytes, 0);
    }
}

#[tokio::test]
async fn what_was_flushed_survives_a_crash_and_the_intake_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut blocks = Blocks::new();
    let bytes = noise("resumed", 3 * MIB + 5);
    let root = file(&mut blocks, &bytes, 256 * KIB, true);
    let blobs = open(dir.path()).await;
    let mut intake = blobs.intake(root).await.unwrap();
    for (cid, bytes) in &blocks[..5] {
        intake.put(cid, bytes.clone()).await.unwrap();
    }
    intake.flush().await.unwrap();
    let left = crashed(dir.path());
    // The tail of what was being written when it crashed.
    let pack = packs(left.path()).remove(0);
    let mut torn = std::fs::read(&pack).unwrap();
    torn.extend_from_slice(&noise("torn", 100_000));
    std::fs::write(&pack, torn).unwrap();
    let blobs = open(left.path()).await;
    assert_eq!(blobs.dags().await.unwrap(), []);
    blobs.maintain().await.unwrap();
    assert_held(&blobs, &blocks[..5].to_vec()).await;
    let mut intake = blobs.intake(root).await.unwrap();
    for (cid, bytes) in &blocks {
        if !blobs.has_block(cid).await.unwrap() {
            intake.put(cid, bytes.clone()).await.unwrap();
        }
    }
    intake.flush().await.unwrap();
    assert_held(&blobs, &blocks).await;
    let taken = intake.finish(&[root]).await.unwrap();
    assert_eq!(taken.files.len(), 1);
    assert_held(&blobs, &blocks).await;
    assert_eq!(packs(left.path()).len(), 0);
}

#[tokio::test]
async fn a_block_that_lies_is_refused_and_what_was_right_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let root = file(&mut blocks, &noise("lies", MIB), 128 * KIB, true);
    let mut intake = blobs.intake(root).await.unwrap();
    intake.put(&blocks[0].0, blocks[0].1.clone()).await.unwrap();
    for lie in [blocks[1].1.slice(1..), noise("small lie", 10)] {
        let refused = intake.put(&blocks[2].0, lie).await;
        let is_lie = matches!(
            refused,
            Err(IntakeError::Block(BlockFault::Mismatch { cid })) if cid == blocks[2].0
        );
        assert!(is_lie, "{refused:?}");
    }
    let second = blobs.intake(root).await;
    assert!(matches!(second, Err(IntakeError::Busy(_))));
    assert!(blobs.remove_dag(&root).await.is_err());
    let taken = intake.finish(&[root]).await.unwrap();
    assert_eq!((taken.blocks, taken.missing), (0, 1));
    assert_held(&blobs, &blocks[..1].to_vec()).await;
    assert!(blobs.remove_dag(&root).await.unwrap());
    assert_gone(&blobs, &blocks).await;
    assert_eq!(packs(dir.path()).len(), 0);
}

#[tokio::test]
async fn removing_a_dag_takes_nothing_that_another_one_needs() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut shared = Blocks::new();
    let large = file(&mut shared, &noise("large", MIB), 256 * KIB, false);
    let packed = add(&mut shared, codec::RAW, noise("packed", 100 * KIB));
    let small = add(&mut shared, codec::RAW, noise("small", 100));
    let entries = [("large", large), ("packed", packed), ("small", small)];
    let (mut first, mut second) = (shared.clone(), shared.clone());
    let first_root = folder(&mut first, &entries);
    let second_root = folder(&mut second, &entries[..]);
    assert_eq!(first_root, second_root);
    let second_root = folder(&mut second, &[("in", second_root)]);
    // Both hold the leaves as blocks before either makes them a blob.
    let mut early = blobs.intake(second_root).await.unwrap();
    for (cid, bytes) in &second {
        early.put(cid, bytes.clone()).await.unwrap();
    }
    early.flush().await.unwrap();
    take(&blobs, first_root, &first).await;
    assert_held(&blobs, &second).await;
    blobs.remove_dag(&first_root).await.unwrap();
    blobs.maintain().await.unwrap();
    assert_held(&blobs, &second).await;
    let taken = early.finish(&[second_root]).await.unwrap();
    assert_eq!((taken.files.len(), taken.missing), (1, 0));
    assert_held(&blobs, &second).await;
    take(&blobs, first_root, &first).await;
    blobs.remove_dag(&second_root).await.unwrap();
    blobs.maintain().await.unwrap();
    assert_held(&blobs, &first).await;
    blobs.remove_dag(&first_root).await.unwrap();
    assert_gone(&blobs, &second).await;
    assert_eq!(packs(dir.path()).len(), 0);
}

#[tokio::test]
async fn an_intake_keeps_the_blobs_that_its_blocks_lie_in() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let bytes = noise("relied on", 2 * MIB);
    let cached = blobs.import_bytes(bytes.clone(), &Keep::Cache).await;
    let cached = cached.unwrap().blob;
    file(&mut blocks, &bytes, MIB, true);
    let of_cached = blocks.len();
    let root = file(&mut blocks, &noise("races", MIB), 256 * KIB, true);
    take(&blobs, root, &blocks[of_cached..].to_vec()).await;
    // What is below no root is kept too.
    let folder = folder(&mut blocks, &[("file", root)]);
    let mut intake = blobs.intake(folder).await.unwrap();
    for (cid, bytes) in &blocks {
        intake.put(cid, bytes.clone()).await.unwrap();
    }
    intake.flush().await.unwrap();
    blobs.remove_dag(&root).await.unwrap();
    blobs.release(cached, &Keep::Cache).await.unwrap();
    blobs.collect().await.unwrap();
    let left = crashed(dir.path());
    assert_held(&open(left.path()).await, &blocks).await;
    let taken = intake.finish(&[folder]).await.unwrap();
    assert_eq!(taken.missing, 0);
    blobs.collect().await.unwrap();
    assert_held(&blobs, &blocks).await;
    blobs.remove_dag(&folder).await.unwrap();
    assert_gone(&blobs, &blocks).await;
}

#[tokio::test]
async fn own_blobs_of_a_dag_are_kept_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut entries = Vec::new();
    for (name, size) in [("a", 2 * MIB + 1), ("b", 100), ("c", 0)] {
        let imported = blobs.import_bytes(noise(name, size), &Keep::Cache).await;
        entries.push((name, imported.unwrap()));
    }
    let mut blocks = Blocks::new();
    let links: Vec<_> = entries.iter().map(|(n, done)| (*n, done.unixfs)).collect();
    let root = folder(&mut blocks, &links);
    let taken = take(&blobs, root, &blocks).await;
    // The directory, the three leaves of one file and their node, and two files of one leaf.
    assert_eq!((taken.blocks, taken.missing), (7, 0));
    assert_eq!(taken.files, []);
    for (_, imported) in &entries {
        blobs.release(imported.blob, &Keep::Cache).await.unwrap();
    }
    blobs.collect().await.unwrap();
    for (_, imported) in &entries {
        assert!(blobs.file(&imported.unixfs).await.unwrap().is_some());
        let status = blobs.status(imported.blob).await.unwrap();
        assert!(matches!(status, BlobStatus::Complete { .. }));
    }
    blobs.remove_dag(&root).await.unwrap();
    let status = blobs.status(entries[0].1.blob).await.unwrap();
    assert_eq!(status, BlobStatus::Missing);
}

#[tokio::test]
async fn a_file_with_gaps_stays_blocks_until_they_are_filled() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let bytes = noise("gaps", 2 * MIB);
    let root = file(&mut blocks, &bytes, 128 * KIB, true);
    let gap = blocks.remove(3);
    let taken = take(&blobs, root, &blocks).await;
    assert_eq!((taken.blocks, taken.missing), (blocks.len() as u64, 1));
    assert_eq!(taken.files, []);
    assert_eq!(blobs.file(&root).await.unwrap(), None);
    assert_held(&blobs, &blocks).await;
    blocks.push(gap);
    let taken = take(&blobs, root, &blocks[blocks.len() - 1..].to_vec()).await;
    assert_eq!((taken.blocks, taken.missing), (blocks.len() as u64, 0));
    assert_eq!(taken.files.len(), 1);
    assert_held(&blobs, &blocks).await;
    assert_eq!(blobs.dags().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_claims_too_much_stays_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 64 * MIB as u64).await;
    let mut blocks = Blocks::new();
    let mut below = node(&mut blocks, &noise("bomb", 1000), &[]);
    for _ in 0..12 {
        below = node(&mut blocks, &[], &[below; 16]);
    }
    assert!(below.1 > 1 << 56);
    let wrong = add(
        &mut blocks,
        codec::DAG_PB,
        Bytes::from_static(b"not a node"),
    );
    let root = folder(&mut blocks, &[("bomb", below.0), ("wrong", wrong)]);
    let taken = take(&blobs, root, &blocks).await;
    assert_eq!((taken.blocks, taken.missing), (blocks.len() as u64, 0));
    assert_eq!(taken.files, []);
    assert_held(&blobs, &blocks).await;
}

#[tokio::test]
async fn a_chain_of_any_length_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let mut below = (add(&mut blocks, codec::RAW, Bytes::from_static(b"end")), 3);
    for _ in 0..2000 {
        below = node(&mut blocks, &[], &[below]);
    }
    let taken = take(&blobs, below.0, &blocks).await;
    assert_eq!((taken.blocks, taken.missing), (2001, 0));
    blobs.remove_dag(&below.0).await.unwrap();
    assert_gone(&blobs, &blocks[..3].to_vec()).await;
}

#[tokio::test]
async fn what_a_pack_needs_no_more_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let large = file(&mut blocks, &noise("most", 6 * MIB), MIB, true);
    let stays = add(&mut blocks, codec::RAW, noise("stays", 100 * KIB));
    let root = folder(&mut blocks, &[("large", large), ("stays", stays)]);
    take(&blobs, root, &blocks).await;
    assert_held(&blobs, &blocks).await;
    let pack = packs(dir.path()).remove(0).metadata().unwrap();
    assert!(pack.len() > 6 * MIB as u64);
    if cfg!(target_os = "linux") {
        assert!(pack.blocks() * 512 < MIB as u64, "{}", pack.blocks());
    }
}

#[tokio::test]
async fn a_denied_file_of_a_dag_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let bytes = noise("denied", MIB);
    let blob = BlobId::of(&bytes);
    blobs.deny(blob).await.unwrap();
    let mut blocks = Blocks::new();
    let denied = file(&mut blocks, &bytes, 256 * KIB, false);
    let leaves = blocks.len();
    let fine = add(&mut blocks, codec::RAW, noise("fine", 100));
    let root = folder(&mut blocks, &[("denied", denied), ("fine", fine)]);
    let taken = take(&blobs, root, &blocks).await;
    assert_eq!(taken.files, []);
    assert_eq!(blobs.status(blob).await.unwrap(), BlobStatus::Missing);
    assert_eq!(blobs.file(&denied).await.unwrap().unwrap().blob, blob);
    for cid in [denied, blocks[0].0, blocks[3].0] {
        let found = blobs.block(&cid).await;
        assert!(matches!(found, Err(BlockError::Denied { .. })), "{found:?}");
    }
    assert_held(&blobs, &blocks[leaves..].to_vec()).await;
}

#[tokio::test]
async fn single_blocks_are_kept_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    add(&mut blocks, codec::RAW, noise("tiny", 10));
    add(&mut blocks, codec::RAW, noise("block", 2 * MIB));
    for (cid, bytes) in &blocks {
        blobs.put_block(cid, bytes.clone()).await.unwrap();
        let lie = blobs.put_block(cid, noise("lie", 5)).await;
        assert!(matches!(lie, Err(IntakeError::Block(_))));
    }
    let left = crashed(dir.path());
    let blobs = open(left.path()).await;
    blobs.maintain().await.unwrap();
    assert_held(&blobs, &blocks).await;
    assert_eq!(blobs.dags().await.unwrap(), []);
    for (cid, _) in &blocks {
        assert!(blobs.remove_dag(cid).await.unwrap());
        assert!(!blobs.remove_dag(cid).await.unwrap());
    }
    assert_gone(&blobs, &blocks).await;
}

#[tokio::test]
async fn blocks_are_charged_to_the_quota() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 6 * MIB as u64).await;
    let mut blocks = Blocks::new();
    let root = file(&mut blocks, &noise("quota", 12 * MIB), MIB, true);
    let mut intake = blobs.intake(root).await.unwrap();
    let mut refused = None;
    for (cid, bytes) in &blocks {
        if let Err(error) = intake.put(cid, bytes.clone()).await {
            refused = Some(error);
            break;
        }
    }
    assert!(
        matches!(refused, Some(IntakeError::Quota(_))),
        "{refused:?}"
    );
    drop(intake);
    blobs.measure().await.unwrap();
    let usage = blobs.quota().usage();
    assert!(usage.total_bytes() <= usage.max_bytes);
    assert_eq!(usage.reserved_bytes, 0);
    let large = add(&mut blocks, codec::RAW, noise("large", 2 * MIB));
    blobs
        .quota()
        .set_max_bytes(usage.total_bytes() + MIB as u64);
    let refused = blobs.put_block(&large, noise("large", 2 * MIB)).await;
    assert!(matches!(refused, Err(IntakeError::Quota(_))));
}

#[tokio::test]
async fn a_changed_pack_is_never_read_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let packed = add(&mut blocks, codec::RAW, noise("packed", 100 * KIB));
    let small = add(&mut blocks, codec::RAW, noise("small", 100));
    let root = folder(&mut blocks, &[("packed", packed), ("small", small)]);
    take(&blobs, root, &blocks).await;
    let progress = tokio::sync::watch::Sender::new(VerifyProgress::default());
    assert_eq!(blobs.verify(&progress).await.unwrap(), []);
    let pack = packs(dir.path()).remove(0);
    let mut changed = std::fs::read(&pack).unwrap();
    changed[500] ^= 1;
    std::fs::write(&pack, changed).unwrap();
    let found = blobs.block(&packed).await;
    assert!(matches!(found, Err(BlockError::Local { .. })), "{found:?}");
    let damages = blobs.verify(&progress).await.unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].subject, Damaged::Block(packed));
}

#[tokio::test]
async fn what_broken_intakes_left_goes_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut roots = Vec::new();
    for seed in ["old", "young", "going on"] {
        let mut blocks = Blocks::new();
        let root = file(&mut blocks, &noise(seed, MIB), 256 * KIB, true);
        let mut intake = blobs.intake(root).await.unwrap();
        for (cid, bytes) in &blocks[..2] {
            intake.put(cid, bytes.clone()).await.unwrap();
        }
        intake.flush().await.unwrap();
        roots.push((root, blocks[..2].to_vec(), intake));
    }
    let [old, young, going_on] = roots.try_into().unwrap();
    for root in [old.0, going_on.0] {
        blobs.age_intake(&root).await;
    }
    drop((old.2, young.2));
    // The file that a crash left before the index knew of it, and one that is nobody's.
    let unknown = name_of(codec::RAW, b"unknown");
    let packs_dir = dir.path().join("blobs/packs");
    for name in [format!("{unknown}.pack"), "else".to_owned()] {
        std::fs::write(packs_dir.join(name), b"left").unwrap();
    }
    assert_eq!(packs(dir.path()).len(), 5);
    blobs.maintain().await.unwrap();
    assert_eq!(packs(dir.path()).len(), 3);
    assert_gone(&blobs, &old.1).await;
    for blocks in [&young.1, &going_on.1] {
        assert_held(&blobs, blocks).await;
    }
}

#[tokio::test]
async fn an_index_of_another_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    blobs.shutdown().await.unwrap();
    drop(blobs);
    let path = dir.path().join("blobs/index.redb");
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        let mut meta = write.open_table(meta).unwrap();
        meta.insert("version", 2).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    for damage in ["version", "garbage"] {
        let before = std::fs::read(&path).unwrap();
        let options = crate::BlobsOptions {
            quota: crate::Quota::new(dir.path(), u64::MAX, 0),
            denied: Default::default(),
            cache_max_bytes: 0,
            pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
        };
        let opened = Blobs::open(&dir.path().join("blobs"), options).await;
        assert!(
            matches!(opened, Err(crate::StoreError::Open { .. })),
            "{damage}"
        );
        if damage == "garbage" {
            assert!(before == std::fs::read(&path).unwrap());
        }
        std::fs::write(&path, noise("garbage", 100_000)).unwrap();
    }
}
