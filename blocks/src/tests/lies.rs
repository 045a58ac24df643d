//! DAGs whose nodes lie about what is below them.

use super::{
    intake::{Blocks, add, assert_held, file, node, take},
    noise, open,
};
use crate::{
    BlobStatus, Damaged, Keep, VerifyProgress,
    dag::{codec, verify},
};
use model::BlobId;

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
