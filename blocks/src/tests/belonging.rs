//! Which blobs blocks belong to.

use cid::Cid;

use super::{
    intake::{Blocks, add, assert_held, file, folder, take},
    noise, open,
};
use crate::{Keep, dag::codec};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[tokio::test]
async fn every_block_of_a_file_names_its_blob_and_a_blob_its_roots() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let bytes = noise("belongs", 3 * MIB + 5);
    let imported = blobs.import_bytes(bytes.clone(), &Keep::Cache).await;
    let imported = imported.unwrap();
    let blob = imported.blob;
    assert_eq!(blobs.roots(blob).await.unwrap(), [imported.unixfs]);
    let mut blocks = Blocks::new();
    let root = file(&mut blocks, &bytes, 256 * KIB, false);
    let of_file = blocks.clone();
    let small = add(&mut blocks, codec::RAW, noise("small", 10));
    let top = folder(&mut blocks, &[("file", root), ("small", small)]);
    take(&blobs, top, &blocks).await;
    let mut roots = vec![imported.unixfs, root];
    roots.sort();
    assert_eq!(blobs.roots(blob).await.unwrap(), roots);
    let own: Cid = blob.to_string().parse().unwrap();
    let as_raw = Cid::new_v1(codec::RAW, *root.hash());
    let names = of_file.iter().map(|(cid, _)| *cid);
    for cid in names.chain([imported.unixfs, own, as_raw]) {
        assert_eq!(blobs.blobs_below(&cid).await.unwrap(), [blob], "{cid}");
    }
    for cid in [small, top] {
        assert_eq!(blobs.blobs_below(&cid).await.unwrap(), []);
        assert!(blobs.is_taken_in(&cid).await.unwrap(), "{cid}");
        let found = blobs.find_below(blob, move |below| below.hash() == cid.hash());
        assert_eq!(found.await.unwrap(), None);
    }
    for (cid, _) in of_file.clone() {
        let found = blobs.find_below(blob, move |below| below.hash() == cid.hash());
        let as_raw = Cid::new_v1(codec::RAW, *cid.hash());
        assert_eq!(found.await.unwrap(), Some(as_raw));
    }
    assert!(!blobs.is_taken_in(&imported.unixfs).await.unwrap());
    // Its nodes stay as long as the blob does, and go with it.
    blobs.remove_dag(&top).await.unwrap();
    assert_held(&blobs, &of_file).await;
    blobs.delete(blob).await.unwrap();
    for (cid, _) in &of_file {
        assert!(!blobs.has_block(cid).await.unwrap(), "{cid}");
        assert_eq!(blobs.blobs_below(cid).await.unwrap(), []);
    }
    assert_eq!(blobs.roots(blob).await.unwrap(), []);
}

#[tokio::test]
async fn a_released_block_leaves_the_dag_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let small = add(&mut blocks, codec::RAW, noise("small", 10));
    let top = folder(&mut blocks, &[("small", small)]);
    let (cid, bytes) = blocks[1].clone();
    assert_eq!(cid, top);
    for _ in 0..2 {
        blobs.put_block(&cid, bytes.clone()).await.unwrap();
        take(&blobs, top, &blocks).await;
        assert!(blobs.release_block(&top).await.unwrap());
        assert!(!blobs.release_block(&top).await.unwrap());
        assert_eq!(blobs.dags().await.unwrap().len(), 1);
        assert_held(&blobs, &blocks).await;
    }
    blobs.put_block(&cid, bytes).await.unwrap();
    assert!(blobs.remove_dag(&top).await.unwrap());
    assert!(!blobs.has_block(&top).await.unwrap());
    assert!(!blobs.release_block(&top).await.unwrap());
}
