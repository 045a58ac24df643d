//! Blobs under their IPFS names.

use bytes::Bytes;
use cid::Cid;
use model::BlobId;
use n0_future::{StreamExt, stream};

use super::{crashed, noise, open, open_with};
use crate::{
    BlobStatus, Blobs, FileAt, Imported, Keep,
    dag::{BlockError, FileBuilder, LEAF_BYTES, Leaf, Node, name_of, verify},
    index::REWRITE_BYTES,
    stored_bytes, unwatched,
};

const MIB: usize = 1 << 20;
const SIZES: [usize; 8] = [
    0,
    1,
    16 * 1024 + 1,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB + 1,
    3 * MIB,
];

/// The leaves and the root that a file should have.
fn names(bytes: &Bytes) -> (Vec<Leaf>, Cid) {
    let mut builder = FileBuilder::new();
    let mut leaves: Vec<Leaf> = bytes.chunks(LEAF_BYTES).map(Leaf::of).collect();
    if leaves.is_empty() {
        leaves.push(Leaf::of(&[]));
    }
    for leaf in &leaves {
        builder.leaf(leaf.cid, leaf.size_bytes, &mut |_, _| {});
    }
    (leaves, builder.finish(&mut |_, _| {}).cid)
}

async fn import(blobs: &Blobs, seed: &str, size: usize) -> (Bytes, Imported) {
    let bytes = noise(seed, size);
    let imported = blobs.import_bytes(bytes.clone(), &Keep::Cache).await;
    (bytes, imported.unwrap())
}

/// Every block of a file, from its root.
async fn walk(blobs: &Blobs, root: Cid) -> Vec<Bytes> {
    let mut waiting = vec![root];
    let mut leaves = Vec::new();
    while let Some(cid) = waiting.pop() {
        assert!(blobs.has_block(&cid).await.unwrap());
        let bytes = blobs.block(&cid).await.unwrap();
        verify(&cid, &bytes).unwrap();
        if cid.codec() == crate::dag::codec::RAW {
            leaves.push(bytes);
            continue;
        }
        let node = Node::decode(&bytes).unwrap();
        waiting.extend(node.links.iter().rev().map(|link| link.cid));
    }
    leaves
}

async fn is_gone(blobs: &Blobs, cid: &Cid) -> bool {
    let found = blobs.block(cid).await;
    let is_gone = matches!(found, Err(BlockError::NotHeld(_)));
    assert_eq!(blobs.has_block(cid).await.unwrap(), !is_gone, "{found:?}");
    is_gone
}

#[tokio::test]
async fn every_way_in_gives_the_same_names_and_they_survive_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let (keep, watch) = (Keep::Cache, unwatched());
    let blobs = open(dir.path()).await;
    for size in SIZES {
        let bytes = noise("named", size);
        let (leaves, root) = names(&bytes);
        std::fs::write(&file, &bytes).unwrap();
        let from_path = blobs.import_path(&file, &keep, &watch).await.unwrap();
        let parts = stream::iter(bytes.chunks(70_001))
            .map(|part| std::io::Result::Ok(Bytes::copy_from_slice(part)));
        let from_stream = blobs.import_stream(parts, None, u64::MAX, &keep, &watch);
        let from_stream = from_stream.await.unwrap();
        let from_memory = blobs.import_bytes(bytes.clone(), &keep).await.unwrap();
        assert_eq!(from_path.unixfs, root, "{size} bytes");
        assert_eq!([from_stream, from_memory], [from_path; 2]);
        for leaf in &leaves {
            assert!(blobs.has_block(&leaf.cid).await.unwrap());
        }
    }
    let left = crashed(dir.path());
    let blobs = open(left.path()).await;
    for size in SIZES {
        let bytes = noise("named", size);
        let blob = BlobId::of(&bytes);
        let (_, root) = names(&bytes);
        assert_eq!(blobs.unixfs(blob).await.unwrap(), Some(root));
        let size_bytes = size as u64;
        let at = FileAt { blob, size_bytes };
        assert_eq!(blobs.file(&root).await.unwrap(), Some(at));
        let read = walk(&blobs, root).await.concat();
        assert!(read == bytes, "{size} bytes");
    }
    assert_eq!(blobs.unnamed(100).await.unwrap(), []);
}

#[tokio::test]
async fn a_codec_changes_nothing_about_a_blocks_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (bytes, imported) = import(&blobs, "codecs", 3 * MIB).await;
    let node = blobs.block(&imported.unixfs).await.unwrap();
    let as_raw = Cid::new_v1(crate::dag::codec::RAW, *imported.unixfs.hash());
    let as_old = Cid::new_v0(*imported.unixfs.hash()).unwrap();
    for cid in [as_raw, as_old] {
        assert_eq!(blobs.block(&cid).await.unwrap(), node);
    }
    // As a block of its own, the root's bytes are no file's.
    assert_eq!(blobs.file(&as_raw).await.unwrap(), None);
    assert!(blobs.file(&as_old).await.unwrap().is_some());
    let unknown = Cid::new_v1(0x72, *imported.unixfs.hash());
    assert!(matches!(
        blobs.block(&unknown).await,
        Err(BlockError::Fault(_))
    ));
    assert!(!blobs.has_block(&unknown).await.unwrap());
    let other = name_of(crate::dag::codec::RAW, &bytes);
    assert!(is_gone(&blobs, &other).await);
}

#[tokio::test]
async fn a_blob_is_a_block_under_its_own_name_while_it_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    for size in [0, 5, 100_000, 2 * MIB, 2 * MIB + 1] {
        let (bytes, imported) = import(&blobs, "own name", size).await;
        let cid = imported.blob.to_cid();
        let at = blobs.file(&cid).await.unwrap().unwrap();
        assert_eq!((at.blob, at.size_bytes), (imported.blob, size as u64));
        match blobs.block(&cid).await {
            Ok(block) => assert!(size <= 2 * MIB && block == bytes),
            Err(error) => assert!(size > 2 * MIB, "{error}"),
        }
    }
}

#[tokio::test]
async fn what_was_there_before_the_index_is_named_later() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut held = Vec::new();
    for size in [100, 100_000, 2 * MIB + 7] {
        held.push(import(&blobs, "older", size).await.1);
    }
    blobs.shutdown().await.unwrap();
    drop(blobs);
    std::fs::remove_file(dir.path().join("blobs/index.redb")).unwrap();
    let blobs = open(dir.path()).await;
    assert_eq!(blobs.unnamed(2).await.unwrap().len(), 2);
    for imported in &held {
        assert!(is_gone(&blobs, &imported.unixfs).await);
        assert_eq!(blobs.unixfs(imported.blob).await.unwrap(), None);
        for _ in 0..2 {
            assert_eq!(blobs.name(imported.blob).await.unwrap(), imported.unixfs);
        }
        walk(&blobs, imported.unixfs).await;
    }
    assert_eq!(blobs.unnamed(2).await.unwrap(), []);
    assert_eq!(blobs.quota().usage().reserved_bytes, 0);
}

#[tokio::test]
async fn a_blob_that_goes_takes_its_blocks_with_it_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let long = noise("shared", 2 * MIB + 1);
    let short = long.slice(..2 * MIB);
    let mut imported = Vec::new();
    for bytes in [&long, &short] {
        let done = blobs.import_bytes(bytes.clone(), &Keep::Cache).await;
        imported.push(done.unwrap());
    }
    let (leaves, _) = names(&long);
    blobs.delete(imported[0].blob).await.unwrap();
    assert!(is_gone(&blobs, &imported[0].unixfs).await);
    assert!(is_gone(&blobs, &leaves[2].cid).await);
    walk(&blobs, imported[1].unixfs).await;
    // Collected, nobody tells the index: it finds out when it is asked, or when it is swept.
    let other = import(&blobs, "other", 2 * MIB).await.1;
    for blob in [imported[1].blob, other.blob] {
        blobs.release(blob, &Keep::Cache).await.unwrap();
    }
    blobs.collect().await.unwrap();
    assert!(is_gone(&blobs, &leaves[0].cid).await);
    assert_eq!(blobs.unixfs(imported[1].blob).await.unwrap(), None);
    assert!(blobs.unixfs(other.blob).await.unwrap().is_some());
    blobs.maintain().await.unwrap();
    assert_eq!(blobs.unixfs(other.blob).await.unwrap(), None);
    assert!(is_gone(&blobs, &other.unixfs).await);
    // And back again.
    blobs.import_bytes(long, &Keep::Cache).await.unwrap();
    walk(&blobs, imported[0].unixfs).await;
}

#[tokio::test]
async fn a_denied_blob_is_denied_under_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (bytes, imported) = import(&blobs, "denied", 2 * MIB + 1).await;
    let small = import(&blobs, "denied", 1000).await.1;
    let (leaves, _) = names(&bytes);
    for blob in [imported.blob, small.blob] {
        blobs.deny(blob).await.unwrap();
    }
    blobs.maintain().await.unwrap();
    let names = [
        imported.unixfs,
        leaves[0].cid,
        leaves[2].cid,
        small.unixfs,
        small.blob.to_cid(),
    ];
    for cid in names {
        let found = blobs.block(&cid).await;
        assert!(matches!(found, Err(BlockError::Denied { .. })), "{found:?}");
        assert!(!blobs.has_block(&cid).await.unwrap());
    }
    let at = blobs.file(&imported.unixfs).await.unwrap().unwrap();
    assert_eq!(at.blob, imported.blob);
    assert_eq!(blobs.unnamed(10).await.unwrap(), []);
    blobs.allow(imported.blob);
    assert!(is_gone(&blobs, &leaves[0].cid).await);
    assert!(is_gone(&blobs, &imported.unixfs).await);
}

#[tokio::test]
async fn leaves_of_a_changed_file_are_not_given() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (bytes, imported) = import(&blobs, "changed", 2 * MIB).await;
    let (leaves, _) = names(&bytes);
    assert_eq!(blobs.block(&leaves[0].cid).await.unwrap().len(), MIB);
    let path = blobs.files().data(imported.blob);
    let mut changed = bytes.to_vec();
    changed[5] ^= 1;
    std::fs::write(&path, changed).unwrap();
    // The first look finds out, and nothing is held behind it.
    let found = blobs.block(&leaves[0].cid).await;
    assert!(matches!(found, Err(BlockError::Local { .. })), "{found:?}");
    for leaf in &leaves {
        let found = blobs.block(&leaf.cid).await;
        assert!(matches!(found, Err(BlockError::NotHeld(_))), "{found:?}");
    }
}

#[tokio::test]
async fn an_import_without_room_for_its_names_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 8 * MIB as u64).await;
    let usage = blobs.quota().usage();
    let free = usage.max_bytes - usage.total_bytes();
    let fits = |size: &usize| stored_bytes(*size as u64) + REWRITE_BYTES <= free;
    let free_bytes = usize::try_from(free).unwrap();
    let size = (0..free_bytes).rev().find(fits).unwrap();
    let refused = blobs
        .import_bytes(noise("names", size), &Keep::pin("x"))
        .await;
    assert!(refused.is_err());
    let status = blobs.status(BlobId::of(&noise("names", size))).await;
    assert_eq!(status.unwrap(), BlobStatus::Missing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_meanwhile_has_the_names_of_what_was_kept() {
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let path = dir.path().join("file");
    std::fs::write(&path, noise("changing", 5 * MIB)).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let is_over = std::sync::Arc::new(AtomicBool::new(false));
    let seen = is_over.clone();
    let changing = std::thread::spawn(move || {
        for n in 0u64.. {
            if seen.load(Ordering::Relaxed) {
                return;
            }
            for at in 0..5 {
                let at = (at << 20) + n % 1000;
                file.write_all_at(&n.to_le_bytes(), at).unwrap();
            }
        }
    });
    for _ in 0..5 {
        let imported = blobs.import_path(&path, &Keep::Cache, &unwatched()).await;
        let imported = imported.unwrap();
        let bytes = walk(&blobs, imported.unixfs).await.concat();
        assert_eq!(BlobId::of(&bytes), imported.blob);
        assert_eq!(names(&bytes.into()).1, imported.unixfs);
    }
    is_over.store(true, Ordering::Relaxed);
    changing.join().unwrap();
}
