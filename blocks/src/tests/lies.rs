//! DAGs whose nodes lie about what is below them.

use std::collections::BTreeSet;

use cid::Cid;
use model::BlobId;

use super::{
    intake::{Blocks, add, assert_held, file, folder, node, take},
    noise, open,
};
use crate::{
    BlobStatus, Damaged, Keep, VerifyProgress,
    dag::{codec, verify},
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[tokio::test]
async fn children_that_are_said_to_be_empty_stay_the_blocks_that_they_are() {
    for is_first in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let blobs = open(dir.path()).await;
        let mut blocks = Blocks::new();
        let bytes = noise("true", 300 * KIB);
        let data = (
            add(&mut blocks, codec::RAW, bytes.clone()),
            bytes.len() as u64,
        );
        let large = add(&mut blocks, codec::RAW, noise("large", 100 * KIB));
        let small = add(&mut blocks, codec::RAW, noise("small", 12));
        let wrapped = node(&mut blocks, &noise("wrapped", 1000), &[]).0;
        let below = file(&mut blocks, &noise("below", 200 * KIB), 100 * KIB, true);
        let mut links = [large, small, wrapped, below].map(|cid| (cid, 0)).to_vec();
        links.insert(if is_first { 0 } else { 4 }, data);
        let (root, _) = node(&mut blocks, &[], &links);
        let taken = take(&blobs, root, &blocks).await;
        assert_eq!(taken.files.len(), 1);
        assert_eq!(
            blobs.file(&root).await.unwrap().unwrap().blob,
            BlobId::of(&bytes)
        );
        assert_held(&blobs, &blocks).await;
    }
}

#[tokio::test]
async fn what_the_index_says_wrongly_is_found_and_an_honest_intake_heals_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let bytes = noise("other", 3 * MIB);
    let imported = blobs.import_bytes(bytes, &Keep::Cache).await.unwrap();
    let mut blocks = Blocks::new();
    let cid = add(&mut blocks, codec::RAW, noise("true", 100 * KIB));
    let progress = tokio::sync::watch::Sender::new(VerifyProgress::default());
    for (offset, len) in [(0, 0), (70_000, 100 * 1024)] {
        blobs.misplace(&cid, imported.blob, offset, len).await;
        let found = blobs.block(&cid).await.unwrap();
        verify(&cid, &found).unwrap_err();
        let damages = blobs.verify(&progress).await.unwrap();
        assert_eq!(damages.len(), 1);
        assert_eq!(damages[0].subject, Damaged::Block(cid));
        take(&blobs, cid, &blocks).await;
        assert_held(&blobs, &blocks).await;
        assert_eq!(blobs.verify(&progress).await.unwrap(), []);
        blobs.remove_dag(&cid).await.unwrap();
        assert!(!blobs.has_block(&cid).await.unwrap());
    }
    let status = blobs.status(imported.blob).await.unwrap();
    assert!(matches!(status, BlobStatus::Complete { .. }));
}

#[tokio::test]
async fn a_node_that_is_linked_as_raw_bytes_first_is_followed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let large = noise("large", 300 * KIB);
    let large_leaf = add(&mut blocks, codec::RAW, large.clone());
    let (root, _) = node(&mut blocks, &[], &[(large_leaf, large.len() as u64)]);
    let as_raw = Cid::new_v1(codec::RAW, *root.hash());
    take(&blobs, root, &blocks).await;
    let mut both = blocks.clone();
    let top = folder(&mut both, &[("1 raw", as_raw), ("2 node", root)]);
    let taken = take(&blobs, top, &both).await;
    assert_eq!((taken.blocks, taken.missing), (3, 0));
    let held = blobs.dags().await.unwrap();
    let held = held.iter().find(|dag| dag.root == top).unwrap();
    let bytes: u64 = both.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(held.bytes, bytes);
    blobs.remove_dag(&root).await.unwrap();
    assert_held(&blobs, &both).await;
}

#[tokio::test]
async fn a_node_that_lies_in_a_blob_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let leaf = add(&mut blocks, codec::RAW, noise("leaf", 10));
    let missing = add(&mut Blocks::new(), codec::RAW, noise("missing", 10));
    let (inner, _) = node(&mut blocks, &[], &[(leaf, 10), (missing, 10)]);
    // A file whose only leaf is the node.
    let bytes = blocks[1].1.clone();
    let imported = blobs.import_bytes(bytes, &Keep::pin("own")).await;
    let as_raw = Cid::new_v1(codec::RAW, *inner.hash());
    assert_eq!(imported.unwrap().unixfs, as_raw);
    let mut above = Blocks::new();
    let top = folder(&mut above, &[("node", inner)]);
    above.push(blocks[0].clone());
    let taken = take(&blobs, top, &above).await;
    assert_eq!((taken.blocks, taken.missing), (3, 1));
    assert_held(&blobs, &blocks).await;
}

#[tokio::test]
async fn a_file_far_larger_than_its_blocks_stays_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let piece = add(&mut blocks, codec::RAW, noise("again", 100 * KIB));
    let mut bomb = (piece, 100 * KIB as u64);
    for _ in 0..2 {
        // Each node has its own bytes too.
        let others: Vec<_> = (0..16)
            .map(|n| node(&mut blocks, &[n; 10], &[bomb]))
            .collect();
        bomb = node(&mut blocks, &[], &others);
    }
    assert!(bomb.1 > 24 * MIB as u64);
    let twice = add(&mut blocks, codec::RAW, noise("twice", 200 * KIB));
    let twice = node(&mut blocks, &[], &[(twice, 200 * KIB as u64); 2]);
    let top = folder(&mut blocks, &[("1 bomb", bomb.0), ("2 twice", twice.0)]);
    let distinct: BTreeSet<Cid> = blocks.iter().map(|(cid, _)| *cid).collect();
    let taken = take(&blobs, top, &blocks).await;
    assert_eq!((taken.blocks, taken.missing), (distinct.len() as u64, 0));
    let files: Vec<_> = taken.files.iter().map(|(root, ..)| *root).collect();
    assert_eq!(files, [twice.0]);
    assert_held(&blobs, &blocks).await;
}
