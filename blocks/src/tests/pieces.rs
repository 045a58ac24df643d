//! Blobs as BitTorrent cuts and hashes them.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::BlobId;
use n0_future::stream;
use sha1::{Digest, Sha1};

use super::noise;
use crate::{Blobs, BlobsOptions, Keep, Quota, ReadError, unwatched};

const MIB: usize = 1 << 20;
const MIN: u64 = 2 * MIB as u64;

async fn open(dir: &std::path::Path, pieces_min_bytes: u64) -> Blobs {
    let options = BlobsOptions {
        quota: Quota::new(dir, u64::MAX, 0),
        denied: BTreeSet::new(),
        cache_max_bytes: u64::MAX,
        pieces_min_bytes,
    };
    Blobs::open(&dir.join("blobs"), options).await.unwrap()
}

fn cut(bytes: &[u8]) -> Vec<[u8; 20]> {
    let pieces = bytes.chunks(MIB);
    pieces.map(|piece| Sha1::digest(piece).into()).collect()
}

async fn import(blobs: &Blobs, seed: &str, size: usize) -> (BlobId, Bytes) {
    let bytes = noise(seed, size);
    let imported = blobs.import_bytes(bytes.clone(), &Keep::Cache).await;
    (imported.unwrap().blob, bytes)
}

#[tokio::test]
async fn every_way_in_gives_large_blobs_their_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let blobs = open(dir.path(), MIN).await;
    let (keep, watch) = (Keep::Cache, unwatched());
    for (number, size) in [0, 1, MIB, 2 * MIB - 1, 2 * MIB, 3 * MIB + 1]
        .into_iter()
        .enumerate()
    {
        let of = |way: &str| noise(&format!("{way} {number}"), size);
        std::fs::write(&file, of("path")).unwrap();
        let path = blobs.import_path(&file, &keep, &watch).await.unwrap();
        let memory = blobs.import_bytes(of("memory"), &keep).await.unwrap();
        let pieces = |bytes: Bytes| stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let said = Some(size as u64);
        let told = blobs.import_stream(pieces(of("told")), said, u64::MAX, &keep, &watch);
        let told = told.await.unwrap();
        let untold = blobs.import_stream(pieces(of("untold")), None, u64::MAX, &keep, &watch);
        let untold = untold.await.unwrap();
        for (imported, way) in [
            (path, "path"),
            (memory, "memory"),
            (told, "told"),
            (untold, "untold"),
        ] {
            let expected = (size as u64 >= MIN).then(|| cut(&of(way)));
            let found = blobs.pieces(imported.blob).await.unwrap();
            assert_eq!(found, expected, "{way} {size}");
        }
    }
    blobs.shutdown().await.unwrap();
    drop(blobs);
    let blobs = open(dir.path(), MIN).await;
    let blob = BlobId::of(&noise("memory 5", 3 * MIB + 1));
    assert_eq!(blobs.pieces(blob).await.unwrap().unwrap().len(), 4);
    assert_eq!(blobs.pieced(None, 100).await.unwrap().len(), 8);
    blobs.delete(blob).await.unwrap();
    assert_eq!(blobs.pieces(blob).await.unwrap(), None);
    assert_eq!(blobs.pieced(None, 100).await.unwrap().len(), 7);
}

#[tokio::test]
async fn what_came_before_is_cut_when_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path(), u64::MAX).await;
    let (large, bytes) = import(&blobs, "large", 3 * MIB).await;
    let (small, _) = import(&blobs, "small", MIB).await;
    let root = blobs.unixfs(large).await.unwrap();
    assert_eq!(blobs.unnamed(10).await.unwrap(), []);
    blobs.shutdown().await.unwrap();
    drop(blobs);
    let blobs = open(dir.path(), MIN).await;
    assert_eq!(blobs.unnamed(10).await.unwrap(), [large]);
    assert_eq!(Some(blobs.name(large).await.unwrap()), root);
    assert_eq!(blobs.pieces(large).await.unwrap(), Some(cut(&bytes)));
    assert_eq!(blobs.unnamed(10).await.unwrap(), []);
    blobs.name(small).await.unwrap();
    assert_eq!(blobs.pieces(small).await.unwrap(), None);
}

#[tokio::test]
async fn those_with_pieces_are_listed_part_by_part_while_they_are_held_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path(), MIN).await;
    let mut expected = Vec::new();
    for seed in ["one", "two", "three"] {
        let (blob, bytes) = import(&blobs, seed, 2 * MIB + seed.len()).await;
        expected.push((blob, bytes.len() as u64));
    }
    expected.sort();
    let first = blobs.pieced(None, 2).await.unwrap();
    assert_eq!(first, expected[..2]);
    let rest = blobs.pieced(Some(first[1].0), 2).await.unwrap();
    assert_eq!(rest, expected[2..]);
    blobs.replace_denied(BTreeSet::from([expected[1].0]));
    let listed = blobs.pieced(None, 10).await.unwrap();
    assert_eq!(listed, [expected[0], expected[2]]);
}

#[tokio::test]
async fn pieces_of_several_blobs_cross_their_borders() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path(), u64::MAX).await;
    let (mut album, mut all) = (Vec::new(), Vec::new());
    for (seed, size) in [
        ("a", MIB + 5),
        ("b", 100),
        ("c", 0),
        ("d", 3 * MIB),
        ("e", 70_000),
    ] {
        let (blob, bytes) = import(&blobs, seed, size).await;
        album.push(blob);
        all.extend_from_slice(&bytes);
    }
    assert_eq!(blobs.hash_pieces(&album).await.unwrap(), cut(&all));
    assert_eq!(blobs.hash_pieces(&[]).await.unwrap(), cut(&[]));
    let lacking = BlobId::of(b"lacking");
    let refused = blobs.hash_pieces(&[album[0], lacking]).await;
    assert!(matches!(refused, Err(ReadError::NotHeld(blob)) if blob == lacking));
}
